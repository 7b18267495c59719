"""Evaluating, comparing and cross-validating from the command line, on the demo corpus."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from command_line import error_line, featurestore

RECIPE = """
title = "A very short training"
[dataset]
corpus = "demo"
copies = 2
[split]
name = "speakers"
[training]
epochs = 1
bucket_batches = 2
population_batches = 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a store and a finished run."""
    folder = tmp_path_factory.mktemp("evaluation")
    (folder / "short.toml").write_text(RECIPE)
    result = featurestore(
        "train", "--recipe", folder / "short.toml", "--run", folder / "run", "--jobs", 1, store=folder / "store"
    )
    assert result.returncode == 0, result.stderr
    assert "accuracy (WA)  UAR (UA)" in result.stdout
    return folder


def test_an_evaluation_shows_both_names_intervals_and_a_macro_average_in_80_columns(place):
    (place / "run" / "predictions-test.csv").rename(place / "kept.csv")
    result = featurestore("evaluate", place / "run", store=place / "store")

    for words in ("accuracy (WA)", "UAR (UA)", "macro F1", "95 % interval", "bootstrap over", "macro avg", "weighted"):
        assert words in result.stdout
    assert max(map(len, result.stdout.splitlines()[1:])) <= 80
    assert (place / "run" / "predictions-test.csv").read_bytes() == (place / "kept.csv").read_bytes()


def test_a_vote_over_the_copies_of_the_test_side_counts_every_recording_once(place):
    document = json.loads(
        featurestore(
            "evaluate", place / "run", "--dataset", "demo-short", "--vote", "--predictions", place / "voted.csv",
            "--json", store=place / "store",
        ).stdout
    )  # fmt: skip

    assert document["vote"]["copies"] == 2
    assert document["items"] == sum(map(sum, document["confusion"])) == 20
    assert document["side"] == "test"
    assert set(document["interval"]) == {"accuracy", "uar", "macro_f1"}
    against = json.loads(featurestore("compare", place / "run", place / "voted.csv", "--json").stdout)
    assert against["items"] == 20
    assert against["accuracy"]["second"] == pytest.approx(document["accuracy"])
    assert 0 < against["uar"]["p_value"] <= 1


def test_comparing_other_items_is_one_clear_line(place):
    lines = (place / "run" / "predictions-test.csv").read_text().splitlines(keepends=True)
    (place / "fewer.csv").write_text("".join(lines[:-1]))

    result = featurestore("compare", place / "run", place / "fewer.csv")

    assert result.returncode == 1
    assert "were not tested on the same items: 1 of 20 are only in the first" in error_line(result)


def test_a_cross_validation_is_gone_on_with_and_reported(place):
    folder = place / "folds"
    first = featurestore(
        "crossval", "demo-short", "--split", "group-3fold", "--epochs", 1, "--set", "population_batches=1",
        "--allow-leak", "speaker", "--run", folder, "--json", store=place / "store",
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    shutil.rmtree(folder / "fold-02")

    again = featurestore("crossval", "--resume", folder, store=place / "store")

    whole = json.loads(first.stdout)
    assert set(whole) >= {"folds", "mean", "deviation", "interval", "pooled"}
    assert whole["pooled"]["items"] == 120
    for name in ("accuracy", "uar"):
        assert f"{whole['mean'][name]:.4f}" in again.stdout
    assert "mean over 3 folds" in again.stdout
    assert max(map(len, again.stdout.splitlines()[:-1])) <= 80
    page = json.loads(featurestore("report", folder, "--json").stdout)["path"]
    assert "Mean and deviation over 3 folds" in Path(page).read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["crossval", "--resume", "nowhere"], ["nowhere", "folds.json"]),
        (["crossval", "demo", "--split", "loso", "--scheduler", "tcp://10.0.0.1:8786"], ["tls://"]),
        (["compare", "nowhere", "nowhere"], ["nowhere", "config.json"]),
    ],
)
def test_a_wrong_place_is_one_line(tmp_path, arguments, words):
    result = featurestore(*arguments, store=tmp_path / "store")

    assert result.returncode == 1
    for word in words:
        assert word in error_line(result)


@pytest.fixture
def two_schemes(place, tmp_path):
    """A store in which the run's rows stand under two names, with other labels each; the first name has moved on."""
    from featurestore.store import open_store
    from models.runs.run import read_config

    shutil.copytree(place / "store", tmp_path / "store")
    store, config = open_store(tmp_path / "store"), read_config(place / "run")
    reference = store.reference("demo-short")
    record, table = store.dataset(reference.dataset), store.table(reference.table)
    other = dataclasses.replace(
        table, utterances=tuple(dataclasses.replace(one, label=f"not {one.label}") for one in table.utterances)
    )
    store.publish(record, table, "kept")
    store.publish(record, other, "demo-short")
    return store, config, table


def test_a_run_finds_the_labels_it_was_trained_with_though_its_dataset_s_name_has_others_now(two_schemes):
    from models.runs.datasets import dataset_of, trained_view

    store, config, table = two_schemes

    assert dataset_of(store, config) == f"{config.dataset['digest']}@{table.id}"
    assert trained_view(store, config).classes == config.classes
    assert store.view("demo-short").classes[0].startswith("not ")


def test_a_digest_with_two_label_schemes_is_refused_with_both_names(two_schemes):
    from featurestore.errors import SpecError

    store, config, _ = two_schemes

    with pytest.raises(SpecError, match="is the digest of demo-short and kept, whose labels differ"):
        store.reference(config.dataset["digest"][:12])


def test_labels_that_are_gone_are_one_clear_line(two_schemes):
    from models.errors import RunError
    from models.runs.datasets import trained_view

    store, config, table = two_schemes
    store.storage.delete(table.key)

    with pytest.raises(RunError, match="labels of 'demo-short' that the run was trained with do not stand"):
        trained_view(store, config)


def test_resuming_with_other_labels_is_refused(place, two_schemes, tmp_path):
    from models.errors import RunError
    from models.runs.run import read_config, start_run

    config = read_config(place / "run")
    other = dataclasses.replace(config, dataset={**config.dataset, "table": "0" * 64})

    assert start_run(place / "run", config, resume=True)
    with pytest.raises(RunError, match="begun with other labels of demo-short"):
        start_run(place / "run", other, resume=True)
