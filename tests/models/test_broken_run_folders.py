"""Run folders whose files are not as a run writes them: one clear line, whoever reads them."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from small_training import StopIn, small_config, small_sides

from models.errors import CheckpointError
from models.reports.report import write_report
from models.runs.checkpoint import read_tensors, write_tensors
from models.runs.folders import pooled_summary
from models.training import train
from models.training_state import CHECKPOINT, seal
from pipelines.experiments.kept_results import keep_results
from pipelines.experiments.recipe import DatasetChoice, Experiment
from pipelines.experiments.search import Search
from pipelines.experiments.training import recorded_folds, recorded_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that has ended."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(small_sides(), small_config(small_sides()), folder, device="cpu")
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def change(file, **fields):
    """Write other values into a JSON file; None takes a field away."""
    document = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


def resume(run):
    return train(small_sides(), small_config(small_sides()), run, device="cpu", resume=True)


def test_a_sound_folder_is_read(run):
    assert resume(run)["test"]
    assert write_report(run).is_file()
    assert pooled_summary([run])["items"] == 5


@pytest.mark.parametrize("result", [None, 3, {}, {"test": 3}, {"test": {"accuracy": "x", "uar": 1}}, {"test": {}}])
@pytest.mark.parametrize("read", [resume, write_report])
def test_a_summary_without_a_result_is_one_clear_line(run, result, read):
    change(run / "summary.json", result=result)

    with pytest.raises(CheckpointError, match=r"^[^\n]*summary.json[^\n]*$"):
        read(run)


@pytest.mark.parametrize("side", [None, 3, {}, {"classes": ["a"], "confusion": [[1, 2]]}, {"classes": 3}])
@pytest.mark.parametrize("read", [write_report, lambda run: pooled_summary([run])])
def test_a_summary_without_confusions_is_one_clear_line(run, side, read):
    change(run / "summary.json", test=side)

    with pytest.raises(CheckpointError, match=r"^[^\n]*summary.json[^\n]*$"):
        read(run)


@pytest.mark.parametrize("text", ['{"epoch": 1, "tra', "3", "{}", '{"epoch": 1, "train": 3}', "[" * 5000, "\\x00"])
def test_a_history_that_was_cut_or_edited_is_one_clear_line(run, text):
    (run / "metrics.jsonl").write_text(f"{(run / 'metrics.jsonl').read_text()}{text}\n")

    with pytest.raises(CheckpointError, match=r"^[^\n]*metrics.jsonl[^\n]*$"):
        write_report(run)


@pytest.mark.parametrize(
    "fields",
    [
        {"dataset": 3}, {"dataset": {}}, {"dataset": {"name": 3}}, {"training": 3}, {"training": {"epochs": "x"}},
        {"classes": 3}, {"classes": [1]}, {"bands": "x"}, {"rows": 3}, {"recipe": 3}, {"model": None}, {"extra": 1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [resume, write_report, recorded_run])
def test_a_configuration_of_other_types_is_one_clear_line(run, fields, read):
    change(run / "config.json", **fields)

    with pytest.raises(CheckpointError, match=r"^config.json does not describe a run[^\n]*$"):
        read(run)


@pytest.mark.parametrize("recipe", [{}, {"x": 1}, {"dataset": 3}, {"dataset": {"corpus": "demo"}}])
def test_a_run_without_a_whole_recipe_cannot_be_gone_on_with_and_says_so(run, recipe):
    change(run / "config.json", recipe=recipe)

    with pytest.raises(CheckpointError, match=r"^[^\n]*config.json: its recipe[^\n]*$"):
        recorded_run(run)


@pytest.mark.parametrize("text", ["{}", '{"seeds": "x"}', '{"seeds": 0}', '{"seeds": true}', "3", "", "{"])
def test_seeds_that_are_no_number_are_one_clear_line(tmp_path, text):
    (tmp_path / "seeds.json").write_text(text)

    with pytest.raises(CheckpointError, match=r"^[^\n]*seeds.json[^\n]*$"):
        recorded_run(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"dataset": 3}', '{"dataset": {}}', '{"dataset": {}, "recipe": 3}', "3", "["])
def test_folds_that_tell_no_experiment_are_one_clear_line(store, tmp_path, text):
    (tmp_path / "folds.json").write_text(text)

    with pytest.raises(CheckpointError, match=r"^[^\n]*folds.json[^\n]*$"):
        recorded_folds(store, tmp_path)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was interrupted in its second epoch."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(InterruptedError):
        train(small_sides(), small_config(small_sides()), folder, device="cpu", progress=StopIn(2))
    return folder


@pytest.mark.parametrize("group", ["model", "optimiser"])
@pytest.mark.parametrize("sealed", [False, True])
def test_a_checkpoint_of_other_values_or_shapes_is_not_gone_on_from(begun, tmp_path, group, sealed):
    run = shutil.copytree(begun, tmp_path / "run")
    tensors, metadata = read_tensors(run / CHECKPOINT)
    del metadata["seal"]
    name = next(name for name, tensor in tensors.items() if name.startswith(group) and tensor.ndim > 1)
    tensors[name] = torch.ones(1) if sealed else tensors[name] + 1
    found = {"seal": seal(tensors, metadata)} if sealed else {"seal": "0" * 64}
    write_tensors(run / CHECKPOINT, tensors, {**metadata, **found})

    with pytest.raises(CheckpointError, match=rf"^[^\n]*{CHECKPOINT}: (its bytes|does not fit)[^\n]*Remove it[^\n]*$"):
        resume(run)


@pytest.mark.parametrize("line", ["[]", "3", "{}", '{"op_code": 99}', '{"op_code": 5, "trial_id": 7}', "\x00", "{"])
def test_a_journal_of_trials_that_was_edited_is_one_clear_line(tmp_path, line):
    pytest.importorskip("optuna")
    search = Search(Experiment("made-up", DatasetChoice("demo")), {"training.epochs": {"low": 1, "high": 3}}, tmp_path)
    search._study()
    (tmp_path / "trials.log").write_text(f"{line}\n{(tmp_path / 'trials.log').read_text()}")

    with pytest.raises(CheckpointError, match=r"^[^\n]*trials.log: no journal of trials[^\n]*$"):
        search._study()


@pytest.mark.parametrize("text", ['{"zhao": []}', '{"zhao": {"rows": 3}}', '{"zhao": {"rows": [3]}}', "[]", "{"])
def test_kept_results_that_were_edited_are_one_clear_line_and_stay(tmp_path, text):
    (tmp_path / "results.json").write_text(text)

    with pytest.raises(CheckpointError, match=r"^[^\n]*results.json[^\n]*$"):
        keep_results(tmp_path / "results.json", "zhao", [])
    assert (tmp_path / "results.json").read_text() == text
