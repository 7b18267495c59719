"""Runs in TensorBoard and MLflow, read back with these tools: every value once, whenever and however often written."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from small_training import StopIn, history_of, small_config, small_sides

from featurestore.errors import MissingPackageError, StorageError, UnknownNameError
from featurestore.storage.folder_lock import hold_folder
from models.errors import CheckpointError, RunError
from models.trackers import track
from models.trackers.tensorboard import FILE
from models.training import train

SIDES = ("train", "validation")
MEASURES = ("loss", "accuracy", "uar")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two seeds of a small training: the first has ended, the second was stopped in its third epoch."""
    place, sides = tmp_path_factory.mktemp("tracked") / "small", small_sides()
    train(sides, small_config(sides), place / "seed-0", device="cpu")
    with pytest.raises(InterruptedError):
        train(sides, small_config(sides, seed=1), place / "seed-1", device="cpu", progress=StopIn(3))
    return place


@pytest.fixture
def runs(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "small")
    return tmp_path / "small"


def expected(run):
    """Every value that a run folder records: name, epoch and value."""
    found = {
        (f"{name}/{side}", one["epoch"], one[side][name])
        for one in history_of(run)
        for side in SIDES
        for name in MEASURES
    }
    if (run / "summary.json").exists():
        result = json.loads((run / "summary.json").read_text())["result"]
        found |= {(f"{name}/test", result["best_epoch"], result["test"][name]) for name in MEASURES}
    return sorted(found)


def in_tensorboard(place):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return sorted(
        (tag, one.step, one.value) for tag in events.Tags()["scalars"] if "/" in tag for one in events.Scalars(tag)
    ), events


def same(found, wanted):
    assert [one[:2] for one in found] == [one[:2] for one in wanted]
    assert [one[2] for one in found] == pytest.approx([one[2] for one in wanted], rel=1e-6)


def test_tensorboard_reads_every_epoch_and_the_test_side(runs, tmp_path):
    pytest.importorskip("tensorboard")
    assert track(runs, "tensorboard", tmp_path / "out") == ["small/seed-0", "small/seed-1"]

    for name in ("seed-0", "seed-1"):
        found, events = in_tensorboard(tmp_path / "out" / "small" / name)
        same(found, expected(runs / name))
        settings = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
        assert "| training.batch_size | `4` |" in settings
    assert len(history_of(runs / "seed-1")) == 2


def test_what_a_run_adds_is_put_behind_what_stands(runs, tmp_path):
    pytest.importorskip("tensorboard")
    run, file = runs / "seed-0", tmp_path / "out" / "seed-0" / FILE
    whole, summary = (run / "metrics.jsonl").read_bytes(), (run / "summary.json").read_bytes()
    (run / "metrics.jsonl").write_bytes(whole.splitlines(keepends=True)[0])
    (run / "summary.json").unlink()
    track(run, "tensorboard", tmp_path / "out")
    first, number = file.read_bytes(), file.stat().st_ino
    (run / "metrics.jsonl").write_bytes(whole)
    (run / "summary.json").write_bytes(summary)
    track(run, "tensorboard", tmp_path / "out")

    assert file.read_bytes().startswith(first)
    assert file.stat().st_ino == number  # a running TensorBoard holds it open
    same(in_tensorboard(file.parent)[0], expected(run))
    before = file.stat().st_mtime_ns
    track(run, "tensorboard", tmp_path / "out")
    assert file.stat().st_mtime_ns == before


def test_a_run_that_was_trained_again_replaces_what_stands(runs, tmp_path):
    pytest.importorskip("tensorboard")
    run = runs / "seed-0"
    track(run, "tensorboard", tmp_path / "out")
    lines = [{**one, "train": {**one["train"], "loss": 7.5}} for one in history_of(run)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    track(run, "tensorboard", tmp_path / "out")

    same(in_tensorboard(tmp_path / "out" / "seed-0")[0], expected(run))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy
def test_mlflow_has_each_run_once_with_every_value(runs, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    whole, run = (runs / "seed-0" / "metrics.jsonl").read_bytes(), runs / "seed-0"
    summary = (run / "summary.json").read_bytes()
    (run / "metrics.jsonl").write_bytes(whole.splitlines(keepends=True)[0])
    (run / "summary.json").unlink()
    track(runs, "mlflow", tmp_path / "out")
    (run / "metrics.jsonl").write_bytes(whole)
    (run / "summary.json").write_bytes(summary)
    for _ in range(2):
        track(runs, "mlflow", tmp_path / "out")

    client = mlflow.tracking.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
    found = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    assert set(found) == {"small/seed-0", "small/seed-1"}
    for name, one in found.items():
        histories = [client.get_metric_history(one.info.run_id, key) for key in one.data.metrics if "/" in key]
        same(sorted((m.key, m.step, m.value) for history in histories for m in history), expected(runs.parent / name))
        assert one.data.params["training.batch_size"] == "4"
    assert found["small/seed-0"].info.status == "FINISHED"
    assert found["small/seed-1"].info.status == "RUNNING"

    lines = [{**one, "train": {**one["train"], "loss": 7.5}} for one in history_of(run)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    track(runs, "mlflow", tmp_path / "out")
    again = client.search_runs([experiment.experiment_id])
    assert len(again) == 2
    assert {one.data.metrics["loss/train"] for one in again} > {7.5}


@pytest.mark.parametrize("to", ["tensorboard", "mlflow"])
def test_without_the_package_one_line_says_how_to_get_it(runs, tmp_path, monkeypatch, to):
    for name in [name for name in sys.modules if name.partition(".")[0] == to]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, to, None)

    with pytest.raises(MissingPackageError, match=rf"needs the package {to}: pip install 'featurestore\[tracking\]'"):
        track(runs, to, tmp_path / "out")


def test_what_is_no_run_or_no_tracker_or_busy_is_named(runs, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown tracker 'wandb': known: mlflow, tensorboard"):
        track(runs, "wandb", tmp_path / "out")
    with pytest.raises(RunError, match="is no run folder"):
        track(tmp_path, "tensorboard", tmp_path / "out")
    (tmp_path / "busy").mkdir()
    with (
        hold_folder(tmp_path / "busy", exclusive=True),
        pytest.raises(StorageError, match="written by another command"),
    ):
        track(runs, "tensorboard", tmp_path / "busy")
    (runs / "seed-0" / "metrics.jsonl").write_text("{\n")
    with pytest.raises(CheckpointError, match="a line is not that of an epoch"):
        track(runs, "tensorboard", tmp_path / "out")
