"""What a training shows on a terminal."""

from __future__ import annotations

import os
import pty
import sys
from contextlib import suppress

import pytest

from cli.console import print_table
from cli.terminal import CLEAR, TrainingProgress
from models.training_loop import StepReport

EPOCH = {
    "epoch": 12,
    "learning_rate": 5e-5,
    "train": {"loss": 0.9164, "accuracy": 0.677},
    "validation": {"loss": 1.2, "accuracy": 0.5, "uar": None},
}
STEP = StepReport(
    epoch=12, epochs=120, step=1_210, steps=12_100, loss=0.9164, clips_per_second=12_345.6, seconds_left=60_000.0
)
FOLD = "fold 12 of 120: test accuracy (WA) 0.5000, UAR (UA) 0.4567"


def pieces_of(terminal):
    """Yields what was written to a terminal whose other end is closed, which ends with an error."""
    with suppress(OSError):
        while piece := terminal.read(10_000):
            yield piece


@pytest.fixture
def shown(monkeypatch):
    """Returns what a training of a label writes on a terminal of some columns."""

    def show(label, columns):
        ours, theirs = pty.openpty()
        with os.fdopen(theirs, "w") as terminal:
            monkeypatch.setenv("COLUMNS", str(columns))
            monkeypatch.setattr(sys, "stderr", terminal)
            progress = TrainingProgress(label)
            progress.step(STEP)
            progress.epoch(EPOCH)
            progress.stage(FOLD)
            monkeypatch.undo()
        with os.fdopen(ours, "rb", buffering=0) as read:
            return b"".join(pieces_of(read)).decode().replace("\r\n", "\n")

    return show


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("label", ["run", "demo-001", "trial-003: training.learning_rate=0.001, model.hidden=256"])
def test_no_line_of_a_training_is_longer_than_the_terminal(shown, label, columns):
    written = shown(label, columns)
    renewed, lines = written.split(CLEAR)[1], written.split(CLEAR)[2].splitlines()

    assert len(renewed) < columns
    assert max(map(len, lines)) <= columns
    for told in ("epoch 12", "0.916", "0.500", "rate 5e-05", "fold 12 of 120"):
        assert told in " ".join(" ".join(lines).split())


def test_a_long_name_of_a_run_is_cut_before_its_figures_are_wrapped(shown):
    lines = shown("emodb-mathworks-shuffled-012", 80).split(CLEAR)[2].splitlines()

    assert lines[0].startswith("emodb-")
    assert "…" in lines[0]
    assert lines[0].endswith(": epoch 12: loss 0.916; validation 0.500, UAR -; rate 5e-05")
    assert len(lines[0]) <= 80


def test_a_wide_terminal_has_all_that_there_is_to_say(shown):
    _, renewed, lines = shown("demo-001", 120).split(CLEAR)

    assert renewed == "epoch 12/120, step 1,210/12,100, loss 0.916, 12,346 clips/s, 1000.0 min left"
    assert lines.splitlines() == [
        "demo-001: epoch 12: training loss 0.916, accuracy 0.677; validation accuracy 0.500, UAR -; rate 5e-05",
        f"demo-001: {FOLD}",
    ]


def test_a_pipe_has_one_whole_line_for_each_epoch(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    progress = TrainingProgress("a-run-with-a-name-that-is-quite-long")
    progress.step(STEP)
    progress.epoch(EPOCH)

    assert capsys.readouterr().err == (
        "a-run-with-a-name-that-is-quite-long: epoch 12: training loss 0.916, accuracy 0.677; "
        "validation accuracy 0.500, UAR -; rate 5e-05\n"
    )


def test_each_command_says_what_its_number_of_jobs_is():
    from cli import experiments

    told = {
        name: next(option.help for option in getattr(experiments, name).params if option.name == "jobs")
        for name in ("train", "crossval", "reproduce", "tune")
    }

    assert "build that comes first" in told["train"]
    for name, others in (("crossval", "--scheduler"), ("reproduce", "Rows and seeds"), ("tune", "Trials")):
        assert told[name].startswith("Folds trained in parallel, each in its own process if above 1. ")
        assert others in told[name]
        assert told[name].endswith("Builds use all cores.")


@pytest.mark.parametrize("columns", [40, 80])
def test_a_table_wraps_text_and_breaks_no_word(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    names = ["best", "parallel-networks"]
    title = "CNN, CNN-LSTM and parallel networks on the ten digits of Speech Commands"

    print_table(("name", "title", "corpora"), [(name, title, "speech_commands_v1, fsdd") for name in names])

    shown = capsys.readouterr().out
    assert columns < 80 or max(map(len, shown.splitlines())) <= columns
    for word in (*names, *title.split(), "speech_commands_v1,", "fsdd"):
        assert word in shown.split()


def test_a_table_in_a_pipe_is_as_wide_as_its_content(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)

    print_table(("name", "title"), [("a", "long " * 60)])

    assert max(map(len, capsys.readouterr().out.splitlines())) > 250
