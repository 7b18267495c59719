"""What the commands print: results on standard output, notices on standard error."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

import click

LEAST_TEXT = 20
"""Columns that the last one of a table keeps, however wide the others are."""
LONGEST_PATH = 28
"""Columns of a path in a table that is too wide."""


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
    """Print a line on standard error; on a terminal it is wrapped between words."""
    text = printable(text)
    click.echo(wrapped(text, terminal_width()) if sys.stderr and sys.stderr.isatty() else text, err=True)


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
    """Return the columns of the terminal, 40 at least; 80 where there is none."""
    return max(40, shutil.get_terminal_size().columns)


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
    """Print a plain table as wide as its content; on a narrower terminal text is wrapped.

    First that is the last column, then also the widest of the others that has several words in a cell.

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
        most[-1] = max(LEAST_TEXT, width - sum(most[:-1]) - 2 * len(most[:-1]))
        over = sum(most) + 2 * (len(most) - 1) - width
        words = [max(map(len, " ".join(column).split()), default=0) for column in zip(*lines, strict=True)]
        texts = [
            place for place, name in enumerate(columns[:-1]) if name not in right | cut and words[place] < widths[place]
        ]
        if over > 0 and texts:
            widest = max(texts, key=most.__getitem__)
            most[widest] = max(words[widest], most[widest] - over)
        lines = [
            list(cells)
            for line in lines
            for cells in zip_longest(
                *(_fitted(cell, own, name in cut) for cell, own, name in zip(line, most, columns, strict=True)),
                fillvalue="",
            )
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _fitted(cell: str, width: int, cut: bool) -> list[str]:
    """Return the lines of a cell of so many columns: one that is cut in its middle, or as many as it takes."""
    return [shorten_middle(cell, width)] if cut else textwrap.wrap(cell, width, break_on_hyphens=False) or [""]


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


def duration(seconds: float) -> str:
    """Write a time for people.

    Examples
    --------
    >>> duration(45.2), duration(150), duration(9000)
    ('45 s', '2.5 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def timestamp() -> str:
    """Return date and time, which a line begins with where no terminal shows it."""
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


def figure(value: float | None, form: str = ".3f") -> str:
    """Return a value as text; a dash where there is none, as for a side without rows."""
    return "-" if value is None else format(value, form)


def epoch_figures(figures: Mapping[str, Any], most: int = 2) -> str:
    """Return accuracy and UAR of a side after an epoch, or its CCC where dimensions are estimated."""
    shown = {"ccc": "CCC"} if "ccc" in figures else {"accuracy": "accuracy", "uar": "UAR"}
    return ", ".join(f"{name} {figure(figures[key])}" for key, name in list(shown.items())[:most])
