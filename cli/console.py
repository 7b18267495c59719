"""What a terminal shows: results on standard output, notices and progress on standard error."""

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

    from models.progress import StepReport


def print_json(value: Any) -> None:  # noqa: ANN401
    r"""Print one JSON value on one line; what a terminal would obey, or is no text, is written as `\u` escapes."""
    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
    click.echo(text)


def notice(text: str) -> None:
    """Print a line on standard error."""
    click.echo(printable(text), err=True)


def print_notes(notes: Sequence[str], most: int = 5) -> None:
    """Print the first notes on standard error, each on a line, and how many more there are."""
    for text in notes[:most]:
        notice(f"note: {printable(text)}")
    if len(notes) > most:
        notice(f"note: and {len(notes) - most:,} more like these")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = ()) -> None:
    """Print a plain table as wide as its content; columns named in `numbers` are aligned to the right."""
    right = set(numbers)
    lines = [list(columns), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def columns_to_fit(*, err: bool = False) -> int | None:
    """Return the columns of the terminal that is written to, or of `COLUMNS`; None where there is neither."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return max(40, shutil.get_terminal_size().columns)
    return None


def terminal_width() -> int:
    """Return the columns of the terminal, 60 at least; 80 where there is none."""
    return max(60, shutil.get_terminal_size().columns)


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


def print_card(fields: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    """Print named values, one a paragraph, wrapped to the terminal with the names in a column of their own."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    column = max(len(name) for name, _ in pairs) + 2
    width = terminal_width()
    for name, value in pairs:
        text = textwrap.fill(
            printable(_phrase(value)) or "-",
            width=width,
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


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal: what it would obey, or is no text, becomes escapes."""
    return "\n".join(line if line.isprintable() else repr(line)[1:-1] for line in text.split("\n"))


class RowProgress:
    """A bar with rate and remaining time on standard error; plain lines where that is no terminal."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, rows: int, standing: int) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        reused = f", {standing:,} stand already" if standing else ""
        console.print(f"{self.label}: {rows:,} rows to write{reused}", highlight=False)
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
            notice(printable(text))
        else:
            self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()


class DownloadProgress:
    """Bytes so far on standard error: one line that renews itself on a terminal, one line a tenth elsewhere."""

    def __init__(self) -> None:
        self._tenth = -1

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far a download is."""
        terminal = sys.stderr.isatty()
        share = f" of {size(total)} ({done / total:.0%})" if total else ""
        if terminal:
            click.echo(f"\r{size(done)}{share}   ", err=True, nl=done == total)
        elif total and int(10 * done / total) != self._tenth:
            self._tenth = int(10 * done / total)
            click.echo(f"{size(done)}{share}", err=True)


def figure(value: float | None, form: str = ".3f") -> str:
    """Return a figure as text; a dash where there is none, as for a side without rows."""
    return "-" if value is None else format(value, form)


LEAST_TEXT = 20
"""Columns that the last one of a table keeps, however wide the others are."""

LONGEST_PATH = 28
"""Columns of a path in a table that is too wide."""

ELLIPSIS = "…"


def say(text: str, *, err: bool = False) -> None:
    """Print a line, wrapped where it does not fit, with what follows moved in by two."""
    width = columns_to_fit(err=err)
    click.echo(text if width is None else wrapped(text, width), err=err)


def say_command(*words: str, err: bool = False) -> None:
    """Print a command line of its own that can be copied into a shell, with a backslash where it goes on."""
    line = "  " + shlex.join(map(printable, words))
    width = columns_to_fit(err=err)
    if width is not None:
        lines = textwrap.wrap(line, width - 2, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        line = " \\\n".join(lines)
    click.echo(line, err=err)


def say_resemblance(corpus: str, place: str, *, err: bool = False) -> None:
    """Tell which known corpus a place seems to hold, and how to check it."""
    say(f"this looks like {corpus}, which is known by name:", err=err)
    say_command("featurestore", "corpora", "check", corpus, "--source", place, err=err)


def wrapped(text: str, width: int, indent: str = "  ") -> str:
    """Wrap a text between words, and within a word that is longer than a line; nothing is left out."""
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False
    )


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
    return f"{text[: width - end - 1]}{ELLIPSIS}{text[len(text) - end :]}"


def print_fitting_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = (), paths: Iterable[str] = ()
) -> None:
    """Print a table; where it is too wide, paths are cut in the middle and the last column is wrapped.

    Parameters
    ----------
    columns, rows, numbers
        As `print_table` takes them.
    paths : iterable of str
        Columns that may be cut.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    width = columns_to_fit()
    if width is not None:
        cells = _fitting(columns, cells, frozenset(paths), width)
    print_table(columns, cells, numbers)


def _fitting(columns: Sequence[str], rows: list[list[str]], paths: frozenset[str], width: int) -> list[list[str]]:
    """Return rows that fit, with more of them where a last cell takes several lines."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        return rows
    most = [LONGEST_PATH if name in paths else own for name, own in zip(columns, widths, strict=True)]
    room = max(LEAST_TEXT, width - sum(min(pair) + 2 for pair in zip(widths[:-1], most[:-1], strict=True)))
    fitted: list[list[str]] = []
    for *head, text in rows:
        first, *more = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        fitted.append([*(shorten_middle(*pair) for pair in zip(head, most, strict=False)), first])
        fitted += [["" for _ in head] + [line] for line in more]
    return fitted


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
            click.echo(f"{CLEAR}{_first_fitting(_step_lines(report), width)[:width]}", err=True, nl=False)
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
        say(lines[0] if width is None else _first_fitting(lines, width), err=True)


def _first_fitting(lines: Iterable[str], width: int) -> str:
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


class Terminal:
    """Prints on standard error how experiments go; a `pipelines.experiments.Listener`."""

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
