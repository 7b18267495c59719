"""Where a training stands, on standard error; each line fits a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from cli.output import columns_to_fit, figure, printable
from cli.wrapping import say, shorten_middle

if TYPE_CHECKING:
    from models.progress import StepReport

CLEAR = "\r\x1b[K"
"""Takes a terminal back to the start of its line, which is empty then."""

LEAST_LABEL = 8
"""Columns that a label keeps; a line with less room for it is wrapped."""


class TrainingProgress:
    """A line that renews itself on a terminal, a line for each epoch everywhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._terminal = bool(sys.stderr and sys.stderr.isatty())
        self._shown = False

    def step(self, report: StepReport) -> None:
        """Renew the line, with as much of it as the terminal has room for."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1  # a full line would begin another
            click.echo(f"{CLEAR}{_fitting(_step_lines(report), width)[:width]}", err=True, nl=False)
            self._shown = True

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Print a finished epoch."""
        lines = [f": epoch {record['epoch']}: {line}" for line in _epoch_lines(record)]
        room = (columns_to_fit(err=True) or 0) - len(lines[-1])
        brief = shorten_middle(self.label, room) if room >= LEAST_LABEL else self.label
        self._say_one_of([*(self.label + line for line in lines), brief + lines[-1]])

    def stage(self, text: str) -> None:
        """Print what begins."""
        self._say_one_of([printable(f"{self.label}: {text}")])

    def _say_one_of(self, lines: list[str]) -> None:
        """Print the first of some lines that fits, or wrap the last one, in the place of the one that renews itself."""
        if self._shown:
            click.echo(CLEAR, err=True, nl=False)
            self._shown = False
        width = columns_to_fit(err=True)
        say(lines[0] if width is None else _fitting(lines, width), err=True)


def _fitting(lines: Iterable[str], width: int) -> str:
    """Return the first line that has room in so many columns, else the last."""
    line = ""
    for line in lines:
        if len(line) <= width:
            return line
    return line


def _step_lines(report: StepReport) -> list[str]:
    """Return where an epoch stands, with less and less said."""
    where = f"epoch {report.epoch}/{report.epochs}, step {report.step:,}/{report.steps:,}"
    loss, left = f"loss {report.loss:.3f}", f"{report.seconds_left / 60:.1f} min left"
    speed = f"{report.clips_per_second:,.0f} clips/s"
    return [", ".join(parts) for parts in ((where, loss, speed, left), (where, loss, left), (where, left), (where,))]


def _epoch_lines(record: Mapping[str, Any]) -> list[str]:
    """Return what an epoch came to and its last learning rate, in full and with less and less said."""
    train, validation = record["train"], record["validation"]
    loss, accuracy = figure(train["loss"]), figure(train["accuracy"])
    validated, uar = figure(validation["accuracy"]), figure(validation["uar"])
    rate = f"rate {record['learning_rate']:.3g}"
    return [
        f"training loss {loss}, accuracy {accuracy}; validation accuracy {validated}, UAR {uar}; {rate}",
        f"loss {loss}, accuracy {accuracy}; validation accuracy {validated}, UAR {uar}; {rate}",
        f"loss {loss}, accuracy {accuracy}; validation {validated}, UAR {uar}; {rate}",
        f"loss {loss}; validation {validated}, UAR {uar}; {rate}",
    ]
