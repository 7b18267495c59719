"""Two trainings in one run folder."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from small_training import StopIn, history_of, small_config, small_sides

from models.crossval import cross_validate
from models.errors import RunError
from models.runs.folders import hold_run
from models.runs.run import start_run
from models.training import train
from models.training_loop import SilentTraining

HERE = Path(__file__).parent
CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from models.runs.folders import hold_run

with hold_run(Path({folder!r})):
    print("held", flush=True)
    sys.stdin.read()
"""


class Second(SilentTraining):
    """Progress that starts another training in the folder after the first step of one."""

    def __init__(self, sides, folder):
        self.sides, self.folder, self.refused = sides, folder, []

    def step(self, report):
        for resume in (False, True):
            with pytest.raises(RunError, match="in use by another training: wait until it ends") as caught:
                train(self.sides, small_config(self.sides, epochs=1), self.folder, device="cpu", resume=resume)
            self.refused.append(caught.value)


def test_a_second_training_is_refused_while_one_is_at_a_folder_and_disturbs_it_in_nothing(tmp_path):
    sides = small_sides()
    train(sides, small_config(sides), tmp_path / "alone", device="cpu")
    second = Second(sides, tmp_path / "run")

    train(sides, small_config(sides), tmp_path / "run", device="cpu", progress=second)

    assert second.refused
    losses = [[record["losses"] for record in history_of(tmp_path / run)] for run in ("alone", "run")]
    assert losses[0] == losses[1]


def test_a_training_that_failed_or_ended_lets_go_of_its_folder(tmp_path):
    sides = small_sides()
    config = small_config(sides)
    with pytest.raises(InterruptedError):
        train(sides, config, tmp_path / "run", device="cpu", progress=StopIn(2))

    result = train(sides, config, tmp_path / "run", device="cpu", resume=True)

    assert train(sides, config, tmp_path / "run", device="cpu", resume=True) == result


def test_a_second_cross_validation_in_a_folder_is_refused_before_it_trains_a_fold(tmp_path):
    sides = small_sides()

    with hold_run(tmp_path), pytest.raises(RunError, match="in use by another training"):
        cross_validate([sides], partial(small_config, epochs=1), tmp_path, device="cpu")
    assert not list(tmp_path.iterdir())
    assert len(cross_validate([sides], partial(small_config, epochs=1), tmp_path, device="cpu")["folds"]) == 1


def test_a_process_that_is_killed_lets_go_of_its_folder(tmp_path):
    sides, folder = small_sides(), tmp_path / "run"
    config = small_config(sides, epochs=1)
    start_run(folder, config, resume=False)
    script = CHILD.format(root=str(HERE.parents[1]), here=str(HERE), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="in use by another training"):
            train(sides, config, folder, device="cpu")
        os.kill(child.pid, signal.SIGKILL)

    assert train(sides, config, folder, device="cpu")["epochs"] == 1


def test_going_on_in_a_folder_that_is_not_there_makes_none(tmp_path):
    sides = small_sides()

    with pytest.raises(RunError, match="is no run folder"):
        train(sides, small_config(sides), tmp_path / "nowhere", device="cpu", resume=True)
    assert not (tmp_path / "nowhere").exists()


HEX = "0123456789abcdef" * 2


@pytest.mark.parametrize("epochs_done", [0, 1])
def test_what_a_killed_write_left_is_in_nobodys_way_and_goes(epochs_done, tmp_path):
    sides, folder = small_sides(), tmp_path / "run"
    config = small_config(sides, epochs=2)
    folder.mkdir()
    if epochs_done:
        with pytest.raises(InterruptedError):
            train(sides, config, folder, device="cpu", progress=StopIn(2))
    for name in (f".config.json.{HEX}", f".checkpoint.safetensors.{HEX}", f".metrics.jsonl.{HEX}"):
        (folder / name).write_text("{")

    train(sides, config, folder, device="cpu", resume=bool(epochs_done))

    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    "name", [".config.json.0123", f".config.json.{HEX}x", f"config.json.{HEX}", ".hidden", "notes"]
)
def test_files_of_others_stay_and_a_folder_that_holds_them_is_no_new_run(name, tmp_path):
    sides = small_sides()
    (tmp_path / name).write_text("mine")
    (tmp_path / f".linked.{HEX}").symlink_to(tmp_path / name)

    with pytest.raises(RunError, match="exists"):
        train(sides, small_config(sides, epochs=1), tmp_path, device="cpu")

    assert (tmp_path / f".linked.{HEX}").read_text() == "mine"
