"""The command line with a store in a bucket: the same rows and runs as with a folder, and no secret kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import error_line
from command_line import featurestore as command

from featurestore.store import open_store

RECIPE = """
title = "A very short training"
[dataset]
corpus = "demo"
features = "keren"
copies = 0
[split]
name = "speakers"
[model]
name = "keren-standard"
[training]
epochs = 1
population_batches = 1
"""
SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "FEATURESTORE_CACHE")


@pytest.fixture
def featurestore(place, monkeypatch):
    """Run a command whose environment names the server."""
    import os

    import command_line

    monkeypatch.setattr(
        command_line, "ENVIRONMENT", {**command_line.ENVIRONMENT, **{name: os.environ[name] for name in SETTINGS}}
    )
    return command


@pytest.mark.slow
def test_a_training_from_a_bucket_is_that_from_a_folder(featurestore, place, tmp_path: Path):
    (tmp_path / "short.toml").write_text(RECIPE)
    options = ("--recipe", tmp_path / "short.toml", "--set", "residence=none", "--set", "shuffle=blocks")
    built = featurestore("build", "--recipe", tmp_path / "short.toml", "--jobs", 2, "--json", "--store", place)
    again = featurestore("build", "--recipe", tmp_path / "short.toml", "--json", "--store", place)
    assert (built.returncode, again.returncode) == (0, 0), built.stderr + again.stderr
    assert json.loads(built.stdout)["computed"] == 120
    assert json.loads(again.stdout)["computed"] == 0

    runs = [tmp_path / "far", tmp_path / "near"]
    for run, store in zip(runs, (place, tmp_path / "store"), strict=True):
        trained = featurestore("train", *options, "--run", run, "--store", store)
        assert trained.returncode == 0, trained.stderr

    weights = [(run / "model.safetensors").read_bytes() for run in runs]
    listed = [json.loads(featurestore("ls", "--json", "--store", s).stdout) for s in (place, tmp_path / "store")]
    assert weights[0] == weights[1]
    assert {entry["digest"] for entry in listed[0]} == {entry["digest"] for entry in listed[1]}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"testing-secret" in path.read_bytes()]


def test_what_cannot_be_a_store_in_a_bucket_is_one_line_without_secrets(featurestore, place):
    for uri, said in {
        "s3://key:topsecret@bucket/x": "no user and no password",
        "gs://bucket/x": "stores of kind gs:// are not supported",
        "s3://nowhere/x": "there is no bucket 'nowhere'",
        place: "no store at",
    }.items():
        result = featurestore("ls", "--store", uri)
        assert result.returncode == 1
        assert said in error_line(result)
        assert "topsecret" not in result.stdout + result.stderr
    assert open_store(place).storage.children("") == []
