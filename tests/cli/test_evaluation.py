"""Evaluating, comparing and cross-validating from the command line, on the demo corpus."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from browser import opened
from command_line import error_line, featurestore

from models.runs.records import read_predictions
from pipelines.experiments.listener import Silent

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

    for words in ("accuracy (WA)", "UAR (UA)", "macro F1", "95 % interval", "intervals ", "macro avg", "weighted"):
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


def test_an_ensemble_answers_by_the_mean_probability_of_its_members_and_can_be_compared(place):
    voted, written = place / "other.csv", place / "together.csv"
    featurestore(
        "evaluate", place / "run", "--dataset", "demo-short", "--vote", "--predictions", voted, store=place / "store"
    )
    found = json.loads(featurestore("ensemble", place / "run", voted, "--out", written, "--json").stdout)

    one, other = read_predictions(place / "run" / "predictions-test.csv"), read_predictions(voted)
    moved = [other.paths.index(path) for path in one.paths]
    right = (one.probabilities + other.probabilities[moved]).argmax(axis=1) == one.labels
    assert [member["run"] for member in found["members"]] == [str(place / "run"), str(voted)]
    assert found["accuracy"] == pytest.approx(np.mean(right))
    against = json.loads(featurestore("compare", written, place / "run", "--json").stdout)
    assert against["accuracy"]["first"] == pytest.approx(found["accuracy"])


def test_an_ensemble_of_one_is_one_clear_line(place):
    result = featurestore("ensemble", place / "run")

    assert result.returncode == 1
    assert "an ensemble needs two members or more" in error_line(result)


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
    assert set(whole) >= {"folds", "mean", "deviation", "pooled"}
    assert whole["pooled"]["items"] == 120
    for name in ("accuracy", "uar"):
        assert f"{whole['mean'][name]:.4f}" in again.stdout
    assert "mean over 3 folds" in again.stdout
    assert max(map(len, again.stdout.splitlines()[:-1])) <= 80
    page = json.loads(featurestore("report", folder, "--json").stdout)["path"]
    assert "Mean and deviation over 3 folds" in Path(page).read_text()


def test_a_click_on_any_cell_plays_one_of_its_recordings(place):
    page = place / "heard.html"
    written = featurestore("report", place / "run", "--examples", 1, "--out", page, store=place / "store")
    assert written.returncode == 0, written.stderr

    with opened(page) as tab:
        for matrix in tab.locator("[data-confusion]").all():
            for cell in matrix.locator("button:not([disabled])").all():
                cell.click()
                shown = matrix.locator(".behind:visible details[open]")
                assert shown.locator("svg.clip").count() == 1
                duration = shown.locator("audio").evaluate(
                    "async (one) => { one.muted = true; await one.play(); one.pause(); return one.duration; }"
                )
                assert 0.5 < duration < 5


def test_options_for_a_run_are_refused_for_a_dataset(place):
    for option in (["--figures", place / "figures"], ["--folds"]):
        result = featurestore("report", "demo-short", *option, store=place / "store")

        assert result.returncode == 1
        assert "is a dataset: give its run folder" in error_line(result)


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
    from models.runs.run import dataset_of, trained_view

    store, config, table = two_schemes

    assert dataset_of(store, config.dataset) == f"{config.dataset['digest']}@{table.id}"
    assert trained_view(store, config).classes == config.classes
    assert store.view("demo-short").classes[0].startswith("not ")


def test_a_digest_with_two_label_schemes_is_refused_with_both_names(two_schemes):
    from featurestore.errors import SpecError

    store, config, _ = two_schemes

    with pytest.raises(SpecError, match="is the digest of demo-short and kept, whose labels differ"):
        store.reference(config.dataset["digest"][:12])


def test_labels_that_are_gone_are_one_clear_line(two_schemes):
    from models.errors import RunError
    from models.runs.run import trained_view

    store, config, table = two_schemes
    store.storage.delete(table.key)

    with pytest.raises(RunError, match="labels of 'demo-short' that the run was trained with are no longer in"):
        trained_view(store, config)


def test_resuming_with_other_labels_is_refused(place, two_schemes, tmp_path):
    from models.errors import RunError
    from models.runs.run import read_config, start_run

    config = read_config(place / "run")
    other = dataclasses.replace(config, dataset={**config.dataset, "table": "0" * 64})

    assert start_run(place / "run", config, resume=True)
    with pytest.raises(RunError, match="began with other labels of demo-short"):
        start_run(place / "run", other, resume=True)


@pytest.fixture
def regrouped(place, tmp_path):
    """Publishes the rows of the run's dataset under other tables, in a copy of the store."""
    from featurestore.store import open_store
    from models.runs.run import load_run

    shutil.copytree(place / "store", tmp_path / "store")
    shutil.copytree(place / "run", tmp_path / "run")
    store = open_store(tmp_path / "store")
    reference = store.reference("demo-short")
    record, table = store.dataset(reference.dataset), store.table(reference.table)

    def publish(name, corpus=table.corpus, **changes):
        """Name a table in which each utterance has the fields that functions of it give."""
        utterances = tuple(
            dataclasses.replace(one, **{field: change(one) for field, change in changes.items()})
            for one in table.utterances
        )
        store.publish(record, dataclasses.replace(table, corpus=corpus, utterances=utterances), name)

    return store, load_run(tmp_path / "run"), publish


def other_speaker(utterance):
    """Mirrors the speakers' names, so that a split that goes by their order puts others on the test side."""
    return "".join(chr(255 - ord(letter)) for letter in utterance.speaker)


def test_recordings_that_a_run_learnt_from_are_never_its_test_side_on_another_state_of_the_corpus(regrouped):
    from models.errors import RunError
    from pipelines.experiments.evaluation import evaluated_rows

    store, run, publish = regrouped
    publish("grown", speaker=other_speaker)

    with pytest.raises(RunError, match=r"learnt from 20 of the 20 test recordings of grown, such as '.*\.wav'"):
        evaluated_rows(store, run, None, "grown", vote=False)
    with pytest.raises(RunError, match="learnt from"):
        evaluated_rows(store, run, "test", "grown", vote=True)
    assert len(evaluated_rows(store, run, "train", "grown", vote=False).view)


def test_a_run_may_be_judged_on_the_same_test_recordings_under_another_table(regrouped):
    from pipelines.experiments.evaluation import evaluated_rows

    store, run, publish = regrouped
    publish("relabelled", label=lambda one: run.config.classes[0])

    rows = evaluated_rows(store, run, None, "relabelled", vote=False)

    assert (rows.side, len(rows.view)) == ("test", 20)


class Heard(Silent):
    """Keeps the remarks of an experiment."""

    def __init__(self):
        self.remarks = ""

    def notice(self, text):
        self.remarks += text


def test_learnt_recordings_are_known_by_their_bytes_in_another_corpus_and_taken_only_when_asked_for(regrouped):
    from models.errors import RunError
    from pipelines.experiments.evaluation import evaluated_rows

    store, run, publish = regrouped
    publish("elsewhere", corpus="another", path=lambda one: f"other/{one.path}")

    with pytest.raises(RunError, match=r"learnt from 100 of all 120 recordings of elsewhere"):
        evaluated_rows(store, run, None, "elsewhere", vote=False, listener=(heard := Heard()))
    assert heard.remarks == ""
    assert len(evaluated_rows(store, run, "all", "elsewhere", vote=False, listener=heard).view) == 120
    assert "learnt from 100 of all 120" in heard.remarks


def test_a_recording_that_was_cut_since_the_training_is_still_known_by_its_path(regrouped):
    from models.runs.records import Recording, read_sides
    from pipelines.experiments.evaluation import learnt

    store, run, _ = regrouped
    sides = {side: dict.fromkeys(found, Recording("0" * 64)) for side, found in read_sides(run.folder).items()}

    found, count = learnt(run, store.view("demo-short"), "test", sides, same_corpus=True)

    assert (len(found), count) == (100, 120)
    assert learnt(run, store.view("demo-short"), "test", sides, same_corpus=False) == ([], 120)


def test_learnt_recordings_are_known_by_their_sound_in_another_container_and_corpus(regrouped):
    from models.errors import RunError
    from models.runs.records import read_sides
    from pipelines.experiments.evaluation import evaluated_rows, learnt

    store, run, publish = regrouped
    publish("elsewhere", corpus="another", path=lambda one: f"other/{one.path}")
    view = store.view("elsewhere")
    lines = (run.folder / "sides.csv").read_text().splitlines()
    other = [",".join((*line.split(",")[:2], "0" * 64, *line.split(",")[3:])) for line in lines[1:]]
    (run.folder / "sides.csv").write_text("\n".join([lines[0], *other]))

    with pytest.raises(RunError, match="learnt from 100 of all 120 recordings of elsewhere"):
        evaluated_rows(store, run, None, "elsewhere", vote=False)
    settings = {**run.config.dataset["features"], "trim_db": 30.0}
    heard_otherwise = dataclasses.replace(
        run, config=dataclasses.replace(run.config, dataset={**run.config.dataset, "features": settings})
    )
    assert learnt(heard_otherwise, view, "all", read_sides(run.folder), same_corpus=False) == ([], 120)


def as_of_speakers(run, speakers):
    """Writes a run's table of sides as if it had learnt from other recordings of these speakers."""
    lines = [f"then/{speaker}.wav,train,{'0' * 64},,{speaker}" for speaker in speakers]
    (run.folder / "sides.csv").write_text("\n".join(["path,side,content,sound,speaker", *lines, ""]))


def test_new_recordings_of_speakers_that_a_run_learnt_from_are_refused_unless_it_declared_that(regrouped):
    from models.errors import RunError
    from pipelines.experiments.evaluation import evaluated_rows

    store, run, publish = regrouped
    publish("grown", text=lambda one: "another")
    publish("elsewhere", corpus="another")
    test = evaluated_rows(store, run, None, None, vote=False).view
    last = max(test.speakers)
    as_of_speakers(run, ["", last])

    with pytest.raises(RunError, match=f"other recordings of 1 speakers of the 20 test .* such as speaker '{last}'"):
        evaluated_rows(store, run, None, "grown", vote=False)
    declared = dataclasses.replace(run.config, leaks={"declared": ["speaker"], "found": {}})
    assert len(evaluated_rows(store, dataclasses.replace(run, config=declared), None, "grown", vote=False).view) == 20
    assert len(evaluated_rows(store, run, None, "elsewhere", vote=False).view) == 120
    assert len(evaluated_rows(store, run, "all", "grown", vote=False, listener=(heard := Heard())).view) == 120
    assert "other recordings of 1 speakers of all 120" in heard.remarks


def test_unknown_speakers_are_nobody_s_and_tables_of_before_name_none(regrouped):
    from models.runs.records import read_sides
    from pipelines.experiments.evaluation import learnt_speakers

    store, run, publish = regrouped
    publish("nobody", speaker=lambda _: None)
    view = store.view("demo-short")
    whole = read_sides(run.folder)
    lines = (run.folder / "sides.csv").read_text().splitlines()
    (run.folder / "sides.csv").write_text("\n".join(",".join(line.split(",")[:3]) for line in lines))
    short = read_sides(run.folder)

    assert learnt_speakers(run, view, "all", whole)
    assert learnt_speakers(run, store.view("nobody"), "all", whole) == []
    assert learnt_speakers(run, view, "all", short) == []
    assert {side: {path: one.content for path, one in found.items()} for side, found in short.items()} == {
        side: {path: one.content for path, one in found.items()} for side, found in whole.items()
    }


def test_a_run_of_before_it_kept_its_recordings_goes_by_its_table_or_is_refused_without_it(regrouped):
    from models.errors import RunError
    from pipelines.experiments.evaluation import evaluated_rows

    store, run, publish = regrouped
    (run.folder / "sides.csv").unlink()
    publish("grown", speaker=other_speaker)
    publish("elsewhere", corpus="another", path=lambda one: f"other/{one.path}")

    with pytest.raises(RunError, match="learnt from 20 of the 20 test recordings of grown"):
        evaluated_rows(store, run, None, "grown", vote=False)
    assert len(evaluated_rows(store, run, None, None, vote=False).view) == 20
    store.storage.delete(store.table(store.reference("demo-short").table).key)
    with pytest.raises(RunError, match="whether it learnt from grown is unknown"):
        evaluated_rows(store, run, None, "grown", vote=False)
    assert len(evaluated_rows(store, run, None, "elsewhere", vote=False, listener=(heard := Heard())).view) == 120
    assert "is unknown" in heard.remarks


def test_the_sides_that_a_run_keeps_are_a_table_that_a_split_can_be_made_of(place):
    from featurestore.corpus.protocols import split
    from featurestore.store import open_store

    table = open_store(place / "store").view("demo-short").table
    kept, made = (split(table.utterances, name) for name in (str(place / "run" / "sides.csv"), "speakers"))

    assert [set(kept.train), set(kept.validation), set(kept.test)] == [
        set(made.train), set(made.validation), set(made.test)
    ]  # fmt: skip


def test_a_spoilt_table_of_sides_is_one_clear_line(tmp_path):
    from models.errors import CheckpointError
    from models.runs.records import read_sides

    for text in ("", "path,side,content\nx.wav,train\n", "path,side,content\nx.wav,nowhere,0\n", "a,b,c\n", "x\n",
                 "path,side,content,sound,speaker\nx.wav,train,0\n"):  # fmt: skip
        (tmp_path / "sides.csv").write_text(text)
        with pytest.raises(CheckpointError, match=r"sides\.csv: no readable table of sides"):
            read_sides(tmp_path)
    assert read_sides(tmp_path / "nowhere") is None


def test_features_that_a_network_was_not_published_for_are_told_before_it_is_trained(place):
    from featurestore.store import open_store
    from pipelines.experiments.prepare import prepare
    from pipelines.experiments.settings import chosen_experiment

    store, heard = open_store(place / "store"), Heard()
    for model in ("keren-standard", "mathworks-cnn-lstm"):
        experiment = chosen_experiment(store, "demo-short", None, None, model=model)
        prepare(store, experiment, dataset="demo-short", listener=heard)

    note = "note: keren-standard was published for 26 or 25 bands; with 128 its first layer is another."
    assert heard.remarks == note
