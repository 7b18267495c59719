"""`matrix`: trained on one dataset and tested on another, under common classes, never on the same audio."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import error_line, featurestore
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from spoken_corpora import built, spoken
from test_json_schemas import SCHEMAS, differences

from featurestore.errors import LeakError, SpecError, SplitError
from featurestore.store import open_store
from models.baselines.functionals import functionals
from models.errors import RunError, TrainingError
from models.runs.records import read_predictions
from pipelines.experiments import matrix


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    found = open_store(folder / "store")
    spoken(found, folder, "one", "abc", ("joy", "sad", "fear"), 1)
    spoken(found, folder, "two", "abd", ("happy", "sadness"), 2)
    spoken(found, folder, "alone", "a", ("joy", "fear"), 3)
    built(found, folder, "two", "again")
    built(found, folder, "two", "other", mels=9)
    built(found, folder, "one", "copied", copies=2)
    return found


@pytest.fixture(scope="module")
def found(store, tmp_path_factory):
    return matrix(["one", "two"], regularisation=0.01, store=store, folder=tmp_path_factory.mktemp("runs") / "here")


def cell(found, train, test):
    return next(one for one in found["cells"] if (one["train"], one["test"]) == (train, test))


def test_a_cell_off_the_diagonal_is_what_scikit_learn_gives_when_all_of_one_trains_and_all_of_another_tests(
    store, found
):
    names = {"joy": "happiness", "happy": "happiness", "sad": "sadness", "sadness": "sadness"}
    values, labels = {}, {}
    for name in ("one", "two"):
        view = store.view(name)
        rows = [row for row in range(len(view)) if view.labels[row] in names]
        values[name] = np.stack([functionals(view[row][0]).ravel() for row in rows])
        labels[name] = [names[view.labels[row]] for row in rows]

    for train, test in (("one", "two"), ("two", "one")):
        model = make_pipeline(StandardScaler(), SVC(C=0.01, kernel="linear", class_weight="balanced"))
        answers = model.fit(values[train], labels[train]).predict(values[test])
        expected = recall_score(labels[test], answers, average="macro")

        assert 0.5 < expected < 1
        assert cell(found, train, test)["uar"] == pytest.approx(expected)
        assert cell(found, train, test)["items"] == len(labels[test])


def test_on_the_diagonal_every_item_is_tested_once_by_the_own_split(found):
    assert found["classes"] == ["happiness", "sadness"]
    for name in ("one", "two"):
        own = cell(found, name, name)
        assert (own["split"], own["items"], np.sum(own["confusion"])) == ("own", 24, 24)
        assert own["interval_over"]["count"] == 3


def test_table_figure_and_predictions_say_what_the_result_says(found):
    folder = Path(found["run"])
    lines = list(csv.DictReader((folder / "matrix.csv").read_text().splitlines()))

    assert len(lines) == 4
    for line in lines:
        one = cell(found, line["train"], line["test"])
        kept = read_predictions(folder / f"{line['train']}-on-{line['test']}.csv")
        assert float(line["uar"]) == one["uar"]
        assert kept.confusion.tolist() == one["confusion"]
        assert f"{one['uar']:.3f}" in (folder / "matrix.svg").read_text()


def test_copies_change_nothing_for_a_baseline_which_sees_clean_rows_alone(store, found, tmp_path):
    copied = matrix(["copied", "two"], regularisation=0.01, store=store, folder=tmp_path / "run")

    for train, test in (("copied", "two"), ("two", "copied"), ("copied", "copied")):
        expected = cell(found, *("one" if name == "copied" else name for name in (train, test)))
        assert cell(copied, train, test)["confusion"] == expected["confusion"]


def test_equal_audio_in_two_datasets_is_refused_before_anything_is_written(store, tmp_path):
    with pytest.raises(LeakError, match=r"leaks: more than one side has speaker .*audio .*--allow-leak"):
        matrix(["two", "again"], store=store, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()

    allowed = ("speaker", "source", "recording", "audio")
    found = matrix(["two", "again"], allow_leak=allowed, store=store, folder=tmp_path / "run")
    assert cell(found, "two", "again")["items"] == 24


def test_what_cannot_be_compared_is_refused_by_name(store, tmp_path):
    for datasets, how, error, words in (
        (["one"], {}, SpecError, "two datasets or more"),
        (["one", "other"], {}, TrainingError, "datasets one and other have other features"),
        (["two", "alone"], {}, SplitError, "fewer than two classes in common .*two: happiness, sadness"),
        (["one", "two"], {"epochs": 3}, SpecError, "epochs is of networks, and svm-linear is a baseline"),
        (["one", "two"], {"model": "tdnn", "regularisation": 1.0}, SpecError, "tdnn is a network"),
    ):
        with pytest.raises(error, match=words):
            matrix(datasets, **how, store=store, folder=tmp_path / "run")
    (tmp_path / "mine.txt").write_text("no matrix")
    with pytest.raises(RunError, match=r"has no matrix\.json"):
        matrix(["one", "two"], store=store, folder=tmp_path)


def test_a_dataset_of_one_speaker_has_no_cell_of_its_own_and_the_reason_stands_there(store, tmp_path):
    found = matrix(["one", "alone"], regularisation=0.01, store=store, folder=tmp_path / "run")

    assert found["classes"] == ["fear", "happiness"]
    assert "speaker" in cell(found, "alone", "alone")["none"]
    assert [one["items"] for one in found["cells"] if "none" not in one] == [24, 8, 24]


def test_a_network_is_trained_once_a_dataset_and_a_matrix_is_continued_by_the_same_command(store, tmp_path):
    words = (
        "matrix",
        "one",
        "two",
        "--model",
        "tdnn",
        "--epochs",
        1,
        "--split",
        "loso/a",
        "--set",
        "batch_norm=moving",
    )
    words = (*words, "--set", "width=8", "--run", tmp_path / "run", "--json")

    first = featurestore(*words, store=store.uri)
    weights = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("model.safetensors")}
    again = featurestore(*words, store=store.uri)
    other = featurestore(*words, "--seed", 5, store=store.uri)

    assert first.returncode == 0, first.stderr
    assert differences(json.loads(first.stdout), SCHEMAS["matrix"], "matrix") == []
    assert sorted(file.parent.name for file in weights) == ["one", "one-all", "two", "two-all"]
    assert again.stdout == first.stdout
    assert {file: file.stat().st_mtime_ns for file in weights} == weights
    assert "other data or settings" in error_line(other)
