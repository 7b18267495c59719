"""`--quiet`, `--verbose` and `--log`: where the progress of a command goes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

import click

from cli.console import columns_to_fit, epoch_figures, figure, printable, timestamp
from cli.terminal import Terminal
from featurestore.showing import spelled_bytes

if TYPE_CHECKING:
    from models.training_loop import StepReport
    from pipelines.experiments import Listener

Command = Callable[..., Any]
TENTHS = 10
"""Lines of a build or a download, at most."""
LONG_TO_HASH = 10**9
"""Bytes that take about a second to hash."""


class DatedLines:
    """Writes progress as lines that begin with date and time; a `pipelines.experiments.Listener`.

    Without a stream they go to standard error, whatever that is at the time.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """Write one line, at once."""
        stream = self._stream or sys.stderr
        stream.write(f"{timestamp()} {printable(text)}\n")
        stream.flush()

    def notice(self, text: str) -> None:
        """Write a remark."""
        self.line(text)

    def download(self) -> Callable[[int, int | None], None]:
        """Write a line for each tenth of a download."""
        return self._tenths(lambda done, total: f"downloaded {spelled_bytes(done)} of {spelled_bytes(total)}")

    def reading(self, corpus: str) -> Callable[[int, int | None], None]:
        """Write a line for each tenth of the files of a corpus."""
        return self._tenths(lambda done, total: f"{corpus}: read {done:,} of {total:,} files")

    def hashing(self, corpus: str) -> Callable[[int, int | None], None]:
        """Write a line for each tenth of the bytes of an archive that takes a while to hash."""
        show = self._tenths(lambda done, total: f"{corpus}: hashed {spelled_bytes(done)} of {spelled_bytes(total)}")
        return lambda done, total: show(done, total if total and total >= LONG_TO_HASH else None)

    def _tenths(self, text: Callable[[int, int], str]) -> Callable[[int, int | None], None]:
        shown = -1

        def show(done: int, total: int | None) -> None:
            """Write a line if another tenth has come."""
            nonlocal shown
            if total and TENTHS * done // total != shown:
                shown = TENTHS * done // total
                self.line(text(done, total))

        return show

    def build(self, corpus: str) -> _DatedBuild:
        """Write a line for each tenth of a build, and what it waits for."""
        return _DatedBuild(corpus, self.line)

    def training(self, title: str) -> _DatedTraining:
        """Write a line for each epoch and each stage of a training."""
        return _DatedTraining(title, self.line)


class _DatedBuild:
    def __init__(self, label: str, line: Callable[[str], None]) -> None:
        self._label, self._line = label, line
        self._rows = self._done = 0

    def begin(self, rows: int, reused: int) -> None:
        """Write how many rows are to be written."""
        self._rows = rows
        self._line(f"{self._label}: {rows:,} rows to write, {reused:,} already in the store")

    def advance(self, rows: int) -> None:
        """Write a line if another tenth of the rows is written."""
        before, self._done = self._done, self._done + rows
        if self._rows and TENTHS * before // self._rows != TENTHS * self._done // self._rows:
            self._line(f"{self._label}: {self._done:,} of {self._rows:,} rows written")

    def tell(self, text: str) -> None:
        """Write what the build waits for, or does without."""
        self._line(f"{self._label}: {text}")

    def end(self) -> None:
        """Write nothing: the command says how it ended."""


class _DatedTraining:
    def __init__(self, label: str, line: Callable[[str], None]) -> None:
        self._label, self._line = label, line

    def step(self, report: StepReport) -> None:
        """Write nothing: epochs are enough."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Write the figures of a finished epoch."""
        train, validation = record["train"], record["validation"]
        self._line(
            f"{self._label}: epoch {record['epoch']}: training loss {figure(train['loss'])}, "
            f"{epoch_figures(train, 1)}; validation {epoch_figures(validation)}; rate {record['learning_rate']:.3g}"
        )

    def stage(self, text: str) -> None:
        """Write what begins now."""
        self._line(f"{self._label}: {text}")


class _Several:
    """Passes each call on to several listeners, or to what they returned for a build, a download or a training."""

    def __init__(self, *ones: Any) -> None:  # noqa: ANN401 (listeners, and what they return)
        self._ones = ones

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:  # noqa: ANN401
            """Call the method of each; return what passes further calls on to all that they returned."""
            found = [getattr(one, name)(*arguments) for one in self._ones]
            return None if found[0] is None else _Several(*found)

        return call

    def __call__(self, *arguments: Any) -> None:  # noqa: ANN401 (of a download)
        for one in self._ones:
            one(*arguments)


def progress_options(command: Command) -> Command:
    """Add `--quiet`, `--verbose` and `--log`; the command gets a `listener` that shows its progress as they say."""

    @functools.wraps(command)
    def listened(
        *arguments: Any,  # noqa: ANN401 (any command)
        quiet: bool,
        verbose: bool,
        log: TextIO | None,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run the command with its listener."""
        return command(*arguments, listener=_listener(quiet=quiet, verbose=verbose, log=log), **options)

    for option in (
        click.option(
            "--log", type=click.File("a", encoding="utf-8", lazy=False), help="Also append dated lines to a file."
        ),
        click.option("--verbose", is_flag=True, help="Show progress as dated lines, as in a pipe and with --log."),
        click.option("--quiet", is_flag=True, help="Show no progress; errors and results remain."),
    ):
        listened = option(listened)
    return listened


def _listener(*, quiet: bool, verbose: bool, log: TextIO | None) -> Listener:
    from pipelines.experiments import Silent

    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other.")
    plain = verbose or columns_to_fit(err=True) is None
    shown: Any = Silent() if quiet else DatedLines() if plain else Terminal()
    listener: Listener = shown if log is None else _Several(shown, DatedLines(log))
    return listener
