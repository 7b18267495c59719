"""`curve`: nested draws of speakers or copies, the same test items each time, nothing trained twice."""

from __future__ import annotations

import csv
import json

import pytest
from command_line import error_line, featurestore
from spoken_corpora import spoken
from test_json_schemas import SCHEMAS, differences

from featurestore.corpus.protocols import folds
from featurestore.errors import SpecError, SplitError
from featurestore.store import open_store
from pipelines.experiments import baseline, curve
from pipelines.experiments.curves import fewer_speakers


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curve")
    found = open_store(folder / "store")
    spoken(found, folder, "five", "abcde", ("joy", "sad"), 1)
    spoken(found, folder, "copied", "abc", ("joy", "sad"), 2, copies=2)
    return found


def test_a_draw_of_more_speakers_holds_all_of_fewer_and_leaves_the_other_sides_alone(store):
    utterances = store.view("five").table.utterances
    speaker_of = dict(zip(utterances.paths, utterances.speakers, strict=True))

    for split in folds(utterances, "loso"):
        everyone = {speaker_of[path] for path in split.train}
        for seed in range(4):
            before = set()
            for count in range(1, len(everyone) + 1):
                smaller = fewer_speakers(split, speaker_of, count, seed)
                drawn = {speaker_of[path] for path in smaller.train}
                assert len(drawn) == count
                assert before < drawn <= everyone
                assert set(smaller.train) == {path for path in split.train if speaker_of[path] in drawn}
                assert (smaller.validation, smaller.test) == (split.validation, split.test)
                before = drawn
        assert smaller.train == split.train
        with pytest.raises(SplitError, match="has 3 speakers, and 4 are asked for"):
            fewer_speakers(split, speaker_of, 4, 0)
        with pytest.raises(SplitError, match="who speaks is not known"):
            fewer_speakers(split, dict.fromkeys(speaker_of), 1, 0)


def test_a_curve_over_speakers_ends_at_the_baseline_itself(store, tmp_path):
    whole = baseline("five", regularisation=0.01, store=store, folder=tmp_path / "baseline")["pooled"]

    found = curve("five", regularisation=0.01, store=store, folder=tmp_path / "curve")

    assert [(point["value"], point["rows"]) for point in found["points"]] == [(2, 16), (4, 32)]
    assert [run["uar"] for run in found["points"][-1]["runs"]] == [whole["uar"]] * 3
    assert len({run["uar"] for run in found["points"][0]["runs"]}) > 1
    first = found["points"][0]
    assert first["mean"]["uar"] == pytest.approx(sum(run["uar"] for run in first["runs"]) / 3)
    assert first["interval_over"]["covers"] == "other speakers and other seeds"
    lines = list(csv.DictReader((tmp_path / "curve" / "curve.csv").read_text().splitlines()))
    assert [float(line["uar"]) for line in lines] == [point["mean"]["uar"] for point in found["points"]]
    assert (tmp_path / "curve" / "curve.png").stat().st_size > 1000


def test_a_curve_over_copies_takes_the_first_ones_and_trains_nothing_twice(store, tmp_path):
    words = ("curve", "copied", "--over", "copies", "--draws", 1, "--model", "tdnn", "--epochs", 1, "--split", "loso/a")
    words = (*words, "--set", "batch_norm=moving", "--set", "width=8", "--run", tmp_path / "run", "--json")

    first = featurestore(*words, "--values", "0,2", store=store.uri)
    weights = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("model.safetensors")}
    again = featurestore(*words, store=store.uri)
    other = featurestore(*words, "--seed", 5, store=store.uri)

    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert differences(found, SCHEMAS["curve"], "curve") == []
    clean = found["points"][0]["rows"]
    assert [(point["value"], point["rows"]) for point in found["points"]] == [(0, clean), (2, 2 * clean)]
    points = json.loads(again.stdout)["points"]
    assert [(point["value"], point["rows"]) for point in points] == [(0, clean), (1, clean), (2, 2 * clean)]
    assert [points[0], points[2]] == found["points"]
    assert len(weights) == 2
    assert {file: file.stat().st_mtime_ns for file in weights} == weights
    assert "other data or settings" in error_line(other)


def test_what_a_dataset_does_not_have_is_refused_by_name(store, tmp_path):
    for name, how, words in (
        (
            "five",
            {"values": (2, 9)},
            "has 4 speakers to train on in each fold: values must lie within 1 and 4, not 2, 9",
        ),
        ("copied", {"over": "copies", "values": (3,), "model": "tdnn"}, "has 2 copies to train on: .* not 3"),
        ("copied", {"over": "copies"}, "a curve over copies needs a network"),
        ("five", {"epochs": 2}, "epochs is of networks"),
        ("five", {"model": "tdnn", "regularisation": 1.0}, "regularisation is of baselines"),
    ):
        with pytest.raises(SpecError, match=words):
            curve(name, **how, store=store, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
