"""Fitting results into the columns of a terminal; into a pipe they are written as they are, a line for each."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence

import click

from cli.output import columns_to_fit, print_table, printable

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
