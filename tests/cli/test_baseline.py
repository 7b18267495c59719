"""`baseline` from the command line, on the demo corpus: its folders are reported and compared as those of a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import error_line, featurestore
from test_json_schemas import SCHEMAS, differences

FOLDS = ("--split", "group-3fold", "--allow-leak", "audio")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A store with the demo corpus, the folds of a baseline and those of a network."""
    folder = tmp_path_factory.mktemp("baseline")
    for words in (
        ("build", "demo", "--features", "keren", "--set", "mels=16", "--augment", 1, "--jobs", 1),
        ("baseline", "demo", *FOLDS, "--run", folder / "baseline", "--json"),
        (
            "crossval", "demo", *FOLDS, "--model", "etienne-cnn-blstm", "--epochs", 1, "--set", "model.hidden=4",
            "--set", "model.convolutions=1", "--set", "batch_norm=moving",
            "--run", folder / "network",
        ),
    ):  # fmt: skip
        result = featurestore(*words, store=folder / "store")
        assert result.returncode == 0, (words, result.stderr)
        (folder / f"{words[0]}.out").write_text(result.stdout)
    return folder


def test_a_baseline_tests_each_recording_once_on_clean_rows_and_names_chance(place):
    found = json.loads((place / "baseline.out").read_text())

    assert differences(found, SCHEMAS["baseline"], "baseline") == []
    assert found["pooled"]["items"] == 120
    assert found["chance"] == {"uar": 0.25, "majority": "angry", "accuracy": 0.25}
    config = json.loads((place / "baseline" / "fold-01" / "config.json").read_text())
    assert config["rows"] == {"train": 80, "validation": 0, "test": 40}
    assert config["dataset"]["augmentation"] is None
    assert config["split"] == "group-3fold-no-validation/1"


def test_a_report_and_a_comparison_set_a_network_beside_its_baseline(place):
    result = featurestore("compare", place / "network", place / "baseline", "--json")
    found = json.loads(result.stdout)

    assert (found["items"], found["unit"], found["clusters"]) == (120, "speakers", 6)
    assert found["uar"]["second"] == json.loads((place / "baseline.out").read_text())["pooled"]["uar"]
    page = json.loads(
        featurestore("report", place / "network", "--baseline", place / "baseline", "--json").stdout
    )["path"]  # fmt: skip
    text = Path(page).read_text()
    assert f"Baseline svm-linear (normalisation training): accuracy (WA) {found['accuracy']['second']:.3f}" in text
    assert f"this {found['uar']['difference']:+.3f}" in text
    assert "Chance: UAR (UA) 0.250; always angry: accuracy (WA) 0.250" in text


def test_reports_of_a_baseline_say_how_it_was_made_and_name_no_epochs(place):
    for folder, words in (("baseline", "svm-linear on demo, 3 folds"), ("baseline/fold-02", "chosen by inner folds")):
        result = featurestore("report", place / folder, "--out", place / "page.html")
        text = (place / "page.html").read_text()

        assert result.returncode == 0, result.stderr
        assert words in text
        assert "class_weights = balanced" in text
        assert "<h3>Recall by sex</h3>" in text
        assert "epochs" not in text
        assert "learning_rate" not in text


def test_what_needs_a_network_is_refused_by_name(place):
    recording = next((place / "store").glob("featurestore.json"))
    for words in (
        ("evaluate", place / "baseline" / "fold-01"),
        ("predict", place / "baseline" / "fold-01", recording),
        ("train", "--resume", place / "baseline" / "fold-01"),
        ("crossval", "--resume", place / "baseline"),
    ):
        result = featurestore(*words, store=place / "store")

        assert result.returncode == 1, words
        assert "is a baseline (svm-linear)" in error_line(result)


def test_a_folder_that_holds_something_and_a_split_that_leaks_are_refused(place, tmp_path):
    again = featurestore("baseline", "demo", *FOLDS, "--run", place / "baseline", store=place / "store")
    leaking = featurestore("baseline", "demo", "--split", "shuffled", "--run", tmp_path / "run", store=place / "store")

    beside = featurestore("report", "demo", "--baseline", place / "baseline", store=place / "store")

    assert "exists" in error_line(again)
    assert "give its run folder" in error_line(beside)
    assert "speaker" in error_line(leaking)
    assert not (tmp_path / "run").exists()


def test_one_split_is_one_run_and_is_shown_in_80_columns(place, tmp_path):
    result = featurestore(
        "baseline", "demo", "--split", "speakers", "--model", "logistic", "--normalisation", "speaker",
        "--run", tmp_path / "run", store=place / "store",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    assert "chance: UAR (UA) 0.2500; always angry: accuracy (WA) 0.2500" in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["normalisation"]["leakage"] == "transductive: features of the test speakers"
    shutil.rmtree(tmp_path / "run")


def test_a_run_tells_how_many_beside_it_were_tested_on_its_recordings_before(place, tmp_path):
    words = ("baseline", "demo", "--split", "speakers", "--run", place / "speakers")
    assert featurestore(*words, store=place / "store").returncode == 0  # other sides: nobody was tested on these
    report = featurestore("report", place / "network", "--out", tmp_path / "page.html", store=place / "store")
    known = {
        name: {json.loads(file.read_text())["tested_before"] for file in (place / name).rglob("summary.json")}
        for name in ("baseline", "network", "speakers")
    }

    assert known == {"baseline": {0}, "network": {1}, "speakers": {0}}
    assert report.returncode == 0, report.stderr
    assert "Tested on the same recordings before, beside this one: 1 run." in (tmp_path / "page.html").read_text()
