"""What the commands print: results on standard output, notices and progress on standard error."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from models.training_loop import StepReport

LEAST_TEXT = 20
"""Columns that the last one of a table keeps, however wide the others are."""
LONGEST_PATH = 28
"""Columns of a path in a table that is too wide."""
LEAST_LABEL = 8
"""Columns that the label of a progress line keeps; a line with less room for it is wrapped."""
CLEAR = "\r\x1b[K"
"""Takes a terminal back to the start of its line, which is empty then."""


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal: what it would obey, or is no text, becomes escapes."""
    return "\n".join(line if line.isprintable() else repr(line)[1:-1] for line in text.split("\n"))


def print_json(value: Any) -> None:  # noqa: ANN401
    """Print one JSON value on one line, as `json_text` writes it."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:  # noqa: ANN401
    r"""Return one JSON value on one line; what a terminal would obey, or is no text, is written as `\u` escapes."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def notice(text: str) -> None:
    """Print a line on standard error."""
    click.echo(printable(text), err=True)


def print_some(kind: str, lines: Sequence[str], most: int, *, err: bool = True, rest: str = "") -> None:
    """Print the first lines, each after `kind`, and how many more there are; `rest` names the place of the others."""
    for line in lines[:most]:
        say(f"{kind}: {printable(line)}", err=err)
    if len(lines) > most:
        click.echo(f"{kind}: and {len(lines) - most:,} more{rest}", err=err)


def columns_to_fit(*, err: bool = False) -> int | None:
    """Return the columns of the terminal that is written to, or of `COLUMNS`; None where there is neither."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return max(40, shutil.get_terminal_size().columns)
    return None


def terminal_width() -> int:
    """Return the columns of the terminal, 60 at least; 80 where there is none."""
    return max(60, shutil.get_terminal_size().columns)


def wrapped(text: str, width: int) -> str:
    """Wrap a text between words, and within a word that is longer than a line; nothing is left out."""
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False, replace_whitespace=False)


def say(text: str, *, err: bool = False) -> None:
    """Print a line, wrapped where it does not fit, with what follows indented by two."""
    width = columns_to_fit(err=err)
    click.echo(text if width is None else wrapped(text, width), err=err)


def say_command(*words: str, err: bool = False) -> None:
    """Print a command that can be copied into a shell, with a backslash at the end of each line but the last."""
    line = "  " + shlex.join(map(printable, words))
    width = columns_to_fit(err=err)
    if width is not None:
        lines = textwrap.wrap(line, width - 2, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        line = " \\\n".join(lines)
    click.echo(line, err=err)


def say_resemblance(corpus: str, place: str, *, err: bool = False) -> None:
    """Say which known corpus a place seems to hold, and how to check it."""
    say(f"this looks like {corpus}, which is known by name:", err=err)
    say_command("featurestore", "corpora", "check", corpus, "--source", place, err=err)


def shorten_middle(text: str, width: int) -> str:
    """Cut a text such as a path in its middle, so that its start and its end can be read.

    Examples
    --------
    >>> shorten_middle("a/long/path/of/a/recording.wav", 16)
    'a/long/…ding.wav'
    """
    if len(text) <= width:
        return text
    end = width // 2
    return f"{text[: width - end - 1]}…{text[len(text) - end :]}"


def some_names(names: Sequence[str], width: int) -> str:
    """Write names in so many columns: all of them, else their number and the first ones.

    Examples
    --------
    >>> some_names(["a1", "a2", "a3"], 12), some_names(["a1", "a2", "a3"], 9), some_names([], 9)
    ('a1, a2, a3', '3: a1, …', 'none')
    """
    whole = ", ".join(names) or "none"
    if len(whole) <= width:
        return whole
    shown, start = "", f"{len(names)}: "
    for name in names:
        if len(f"{start}{shown}{name}, …") > width:
            break
        shown += f"{name}, "
    return f"{start}{shown}…"


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = (), paths: Iterable[str] = ()
) -> None:
    """Print a plain table as wide as its content; on a narrower terminal the last column is wrapped.

    Parameters
    ----------
    numbers : iterable of str
        Columns that are aligned to the right.
    paths : iterable of str
        Columns that may be cut in the middle on a narrow terminal.
    """
    right, cut = set(numbers), set(paths)
    lines = [list(columns), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    width = columns_to_fit()
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        most = [min(LONGEST_PATH, own) if name in cut else own for name, own in zip(columns, widths, strict=True)]
        room = max(LEAST_TEXT, width - sum(most[:-1]) - 2 * len(most[:-1]))
        heads = [[shorten_middle(*pair) for pair in zip(line[:-1], most, strict=False)] for line in lines]
        texts = [textwrap.wrap(line[-1], room, break_on_hyphens=False) or [""] for line in lines]
        lines = [
            [*(head if first else [""] * len(head)), text]
            for head, parts in zip(heads, texts, strict=True)
            for first, text in zip([True, *[False] * len(parts)], parts, strict=False)
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def print_card(fields: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    """Print named values, one a paragraph, wrapped to the terminal with the names in a column of their own."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    column = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        text = textwrap.fill(
            printable(_phrase(value)) or "-",
            width=terminal_width(),
            initial_indent=name.ljust(column),
            subsequent_indent=" " * column,
            break_long_words=columns_to_fit() is not None,  # an address that is longer than a line
            break_on_hyphens=False,
        )
        click.echo(text)


def _phrase(value: Any) -> str:  # noqa: ANN401
    """Write a JSON value as words."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        parts = ((name, _phrase(inner)) for name, inner in value.items() if inner is not None)
        return "; ".join(f"{name} {text}" for name, text in parts)
    if isinstance(value, list):
        return ", ".join(_phrase(inner) for inner in value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def size(count: float) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> size(999), size(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def figure(value: float | None, form: str = ".3f") -> str:
    """Return a value as text; a dash where there is none, as for a side without rows."""
    return "-" if value is None else format(value, form)


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


class DownloadProgress:
    """Bytes so far on standard error: one line that renews itself on a terminal, a line for each tenth elsewhere."""

    def __init__(self) -> None:
        self._tenth = -1

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far a download is."""
        share = f" of {size(total)} ({done / total:.0%})" if total else ""
        if sys.stderr.isatty():
            click.echo(f"\r{size(done)}{share}   ", err=True, nl=done == total)
        elif total and int(10 * done / total) != self._tenth:
            self._tenth = int(10 * done / total)
            click.echo(f"{size(done)}{share}", err=True)


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
        loss, accuracy = figure(train["loss"]), figure(train["accuracy"])
        validated, uar = figure(validation["accuracy"]), figure(validation["uar"])
        lines = [
            f": epoch {record['epoch']}: {figures}; rate {record['learning_rate']:.3g}"
            for figures in (
                f"training loss {loss}, accuracy {accuracy}; validation accuracy {validated}, UAR {uar}",
                f"loss {loss}, accuracy {accuracy}; validation accuracy {validated}, UAR {uar}",
                f"loss {loss}, accuracy {accuracy}; validation {validated}, UAR {uar}",
                f"loss {loss}; validation {validated}, UAR {uar}",
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

    def download(self) -> DownloadProgress:
        """Show a download."""
        return DownloadProgress()

    def build(self, corpus: str) -> RowProgress:
        """Show a build."""
        return RowProgress(corpus)

    def training(self, title: str) -> TrainingProgress:
        """Show a training."""
        return TrainingProgress(title)
