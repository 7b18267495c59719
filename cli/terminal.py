"""Progress on a terminal: bars and lines that renew themselves, on standard error."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.console import (
    columns_to_fit,
    duration,
    epoch_figures,
    figure,
    notice,
    printable,
    say,
    shorten_middle,
    timestamp,
)
from featurestore.showing import spelled_bytes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from models.training_loop import StepReport

LEAST_LABEL = 8
"""Columns that the label of a progress line keeps; a line with less room for it is wrapped."""
CLEAR = "\r\x1b[K"
"""Takes a terminal back to the start of its line, which is empty then."""
OFTEN, SELDOM = 0.1, 10.0
"""Seconds between two looks at progress, on a terminal and elsewhere."""


class RowProgress:
    """A bar with rate and remaining time on standard error; plain lines where that is no terminal."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, rows: int, reused: int) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        stored = f", {reused:,} already in the store" if reused else ""
        console.print(f"{self.label}: {rows:,} rows to write{stored}", highlight=False)
        rate = TextColumn("{task.fields[rate]}")
        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), rate, TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("rows", total=rows, rate="")
        self._bar.start()

    def advance(self, rows: int) -> None:
        """Count rows that are written."""
        if self._bar is None or self._task is None:
            return
        task = self._bar.tasks[0]
        speed = f"{(task.completed + rows) / task.elapsed:,.0f} rows/s" if task.elapsed else ""
        self._bar.update(self._task, advance=rows, rate=speed)

    def tell(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar is None:
            notice(text)
        else:
            self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()


class CountProgress:
    """How much is done, how fast, and for how long still: a line that renews itself on a terminal, and then goes.

    Elsewhere it is a dated line every ten seconds, so that what is short prints nothing.

    Parameters
    ----------
    verb : str
        What is done: `checked`, `downloaded`.
    unit : str
        What is counted; bytes if there is none.
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(self, verb: str, unit: str = "", now: Callable[[], float] = time.monotonic) -> None:
        self._verb, self._unit, self._now = verb, unit, now
        self._begun = self._shown = now()
        self._before: int | None = None
        self._first = 0
        self._terminal = bool(sys.stderr and sys.stderr.isatty())

    def __call__(self, done: int, total: int | None) -> None:
        """Tell what is done so far, and of how much; where it falls back, something new begins."""
        now = self._now()
        if self._before is None or done < self._before:
            self._begun, self._first = now, done
        self._before = done
        if self._terminal:
            if done == total:
                click.echo(CLEAR, err=True, nl=False)
            elif now - self._shown >= OFTEN:
                width = shutil.get_terminal_size().columns - 1
                click.echo(f"{CLEAR}{self.line(done, total, now)[:width]}\r", err=True, nl=False)
                self._shown = now
        elif now - self._shown >= SELDOM:
            click.echo(f"{timestamp()} {self.line(done, total, now)}", err=True)
            self._shown = now

    def line(self, done: int, total: int | None, now: float) -> str:
        """Return what is told: `checked 1,200 of 5,400 objects (22%), 310/s, 14 s left`."""
        seconds, fresh = now - self._begun, done - self._first
        text = f"{self._verb} {self._amount(done)}"
        text += f" of {self._amount(total)}" if total else ""
        text += f" {self._unit}" if self._unit else ""
        text += f" ({done / total:.0%})" if total else ""
        if seconds > 0 and fresh > 0:
            rate = fresh / seconds
            text += f", {self._amount(round(rate) if rate >= 1 else rate)}/s"
            text += f", {duration((total - done) / rate)} left" if total and total > done else ""
        return text

    def _amount(self, count: float) -> str:
        return f"{count:,.3g}" if self._unit and count < 1 else f"{count:,}" if self._unit else spelled_bytes(count)


class TrainingProgress:
    """A line that renews itself on a terminal, a line for each epoch everywhere."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._terminal = bool(sys.stderr and sys.stderr.isatty())
        self._shown = False

    def step(self, report: StepReport) -> None:
        """Renew the line, with as much of it as the terminal has room for."""
        if not self._terminal:
            return
        where = f"epoch {report.epoch}/{report.epochs}, step {report.step:,}/{report.steps:,}"
        loss, left = f"loss {report.loss:.3f}", f"{report.seconds_left / 60:.1f} min left"
        speed = f"{report.clips_per_second:,.0f} clips/s"
        lines = [
            ", ".join(parts) for parts in ((where, loss, speed, left), (where, loss, left), (where, left), (where,))
        ]
        width = shutil.get_terminal_size().columns - 1  # a full line would begin another
        click.echo(f"{CLEAR}{_first_fitting(lines, width)[:width]}", err=True, nl=False)
        self._shown = True

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Print a finished epoch: its metrics and last learning rate, as far as there is room."""
        train, validation = record["train"], record["validation"]
        loss, trained, validated = figure(train["loss"]), epoch_figures(train, 1), epoch_figures(validation)
        briefly = validated.removeprefix("accuracy ")
        lines = [
            f": epoch {record['epoch']}: {figures}; rate {record['learning_rate']:.3g}"
            for figures in (
                f"training loss {loss}, {trained}; validation {validated}",
                f"loss {loss}, {trained}; validation {validated}",
                f"loss {loss}, {trained}; validation {briefly}",
                f"loss {loss}; validation {briefly}",
            )
        ]
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
        say(lines[0] if width is None else _first_fitting(lines, width), err=True)


def _first_fitting(lines: Sequence[str], width: int) -> str:
    return next((line for line in lines if len(line) <= width), lines[-1])


class Terminal:
    """Prints the progress of experiments on standard error; a `pipelines.experiments.Listener`."""

    def notice(self, text: str) -> None:
        """Print a remark."""
        notice(text)

    def download(self) -> CountProgress:
        """Show a download."""
        return CountProgress("downloaded")

    def reading(self, corpus: str) -> CountProgress:
        """Show how far a corpus is read."""
        return CountProgress(f"{corpus}: read", "files")

    def hashing(self, corpus: str) -> CountProgress:
        """Show how far the archive of a corpus is hashed."""
        return CountProgress(f"{corpus}: hashed")

    def build(self, corpus: str) -> RowProgress:
        """Show a build."""
        return RowProgress(corpus)

    def training(self, title: str) -> TrainingProgress:
        """Show a training."""
        return TrainingProgress(title)
