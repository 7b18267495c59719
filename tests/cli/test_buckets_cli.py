"""The command line with a store in a bucket: the same rows and runs as with a folder, and no secret kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, error_line
from command_line import featurestore as command
from demo_corpus import ROOT

from featurestore.storage import open_storage
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
def featurestore(place):
    """Run a command whose environment names the server."""
    return partial(command, environment={**ENVIRONMENT, **{name: os.environ[name] for name in SETTINGS}})


RANKS = """
title = "A network in which no clip changes what another one gives"
[dataset]
corpus = "demo"
features = "keren"
copies = 0
[split]
name = "speakers"
[model]
name = "etienne-cnn-blstm"
convolutions = 1
hidden = 4
[training]
epochs = 2
batch_size = 16
optimiser = "sgd"
learning_rate = 0.001
batch_norm = "moving"
residence = "none"
shuffle = "blocks"
"""


@pytest.mark.slow
def test_two_ranks_learn_from_a_bucket_what_one_process_does_from_a_folder(featurestore, place, tmp_path: Path):
    (tmp_path / "ranks.toml").write_text(RANKS)
    arguments = ("train", "--recipe", tmp_path / "ranks.toml", "--device", "cpu", "--json")
    alone = featurestore(*arguments, "--run", tmp_path / "one", "--store", tmp_path / "store")
    assert alone.returncode == 0, alone.stderr
    near, far = open_storage(tmp_path / "store"), open_storage(place)
    for key, _ in near.walk():
        far.replace(key, near.get(key)) if key.startswith("refs/") else far.put_if_absent(key, near.get(key))
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "cli")
    together = subprocess.run(
        [sys.executable, "-m", *torchrun, *map(str, (*arguments, "--run", tmp_path / "two", "--store", place))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert together.returncode == 0, together.stderr

    assert json.loads(together.stdout)["device"].startswith("2 x cpu")
    histories = [
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    ]
    for one, two in zip(*histories, strict=True):
        for side in ("train", "validation"):
            assert two[side]["loss"] == pytest.approx(one[side]["loss"], rel=1e-4)
            assert two[side]["accuracy"] == pytest.approx(one[side]["accuracy"], abs=1 / 40)


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
