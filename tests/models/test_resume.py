"""An interrupted training ends as an undisturbed one."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.runs.run import load_run
from models.training import train
from models.training_loop import SilentTraining

HERE = Path(__file__).parent
TIMES = ("seconds", "clips_per_second", "run")

CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from array_view import SPEC, some_view
from models.batches.loader import Sides
from models.training_loop import SilentTraining
from models.training import configure, train
from models.training_spec import TrainingSpec

class Pause(SilentTraining):
    def step(self, report):
        if report.epoch == 2:
            print("in the second epoch", flush=True)
            sys.stdin.read()

sides = Sides(some_view(48, seed=1), some_view(9, seed=2), some_view(12, seed=3))
spec = TrainingSpec.from_dict({{**SPEC, **{changes!r}}})
config = configure(sides, "mathworks-cnn-lstm", spec, split="made-up")
train(sides, config, Path({folder!r}), device="cpu", progress=Pause())
"""


class StopAfter(SilentTraining):
    """Progress that ends a training as an error would, at a given epoch."""

    def __init__(self, epoch):
        self.last = epoch

    def epoch(self, record):
        if record["epoch"] == self.last:
            raise InterruptedError


def outcome(folder):
    """Everything in a finished run folder that is no clock time."""
    summary = json.loads((folder / "summary.json").read_text())
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for record in (summary["result"], *history):
        for name in TIMES:
            record.pop(name, None)
    return summary, history


def test_a_training_stopped_between_epochs_goes_on_exactly(finished, sides, configured, tmp_path):
    with pytest.raises(InterruptedError):
        train(sides, configured(), tmp_path / "run", device="cpu", progress=StopAfter(1))

    train(sides, configured(), tmp_path / "run", device="cpu", resume=True)

    assert outcome(tmp_path / "run") == outcome(finished[0])


def test_a_training_killed_in_its_second_epoch_goes_on_exactly(finished, sides, configured, tmp_path):
    folder, changes = tmp_path / "run", {"checkpoint_minutes": 1e-9}  # a checkpoint after every step
    script = CHILD.format(root=str(HERE.parents[1]), here=str(HERE), folder=str(folder), changes=changes)
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout.readline() == "in the second epoch\n"
        child.send_signal(signal.SIGKILL)

    train(sides, configured(**changes), folder, device="cpu", resume=True)

    found, expected = outcome(folder), outcome(finished[0])
    found[0].pop("model_sha256")  # the file names its configuration, which differs in checkpoint_minutes
    expected[0].pop("model_sha256")
    assert found == expected
    assert all(
        torch.equal(a, b)
        for a, b in zip(load_run(folder).model.parameters(), finished[2].model.parameters(), strict=True)
    )


def test_a_damaged_checkpoint_is_named_and_not_used(sides, configured, tmp_path):
    with pytest.raises(InterruptedError):
        train(sides, configured(), tmp_path / "run", device="cpu", progress=StopAfter(1))
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(b"\x80\x04 a pickle")

    with pytest.raises(Exception, match=r"checkpoint\.safetensors: a pickle could run any code"):
        train(sides, configured(), tmp_path / "run", device="cpu", resume=True)
