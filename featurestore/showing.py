"""How objects show themselves: one line in a shell, a small table in a notebook."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from html import escape

MOST_COUNTS = 20
"""Classes or names that a table spells out before it only counts."""


def has_control_characters(path: str) -> bool:
    """Tell whether a path holds characters that a terminal would obey, or bytes that are no text."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in path)


def shown(path: str) -> str:
    """Return a path that is safe to print: control characters and undecodable bytes become escapes."""
    return repr(path)[1:-1] if has_control_characters(path) else path


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an `s` or `es` unless the number is 1.

    Examples
    --------
    >>> counted(1, "row"), counted(28_360, "row"), counted(7, "class")
    ('1 row', '28,360 rows', '7 classes')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"


def spelled_bytes(count: float) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> spelled_bytes(999), spelled_bytes(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def brief(kind: str, name: str, *parts: str) -> str:
    """Return what an object is in one line, `Kind('name': part, part)`; nothing in it acts on a terminal."""
    return f"{kind}({name!r}: {', '.join(shown(part) for part in parts if part)})"


def spelled_counts(counts: Mapping[str, int]) -> str:
    """Return names with their numbers, the first ones of many."""
    spelled = [f"{name} {number:,}" for name, number in list(counts.items())[:MOST_COUNTS]]
    left = len(counts) - len(spelled)
    return ", ".join(spelled) + (f" and {left:,} more" if left > 0 else "")


def html_table(title: str, lines: Iterable[tuple[str, object]]) -> str:
    """Return a table of names and values as HTML in which all text is escaped; a value of None or "" has no line.

    It has no colours or fonts of its own, so that it fits a light and a dark notebook.
    """
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{_text(name)}</th>'
        f'<td style="text-align:left; overflow-wrap:anywhere">{_text(value)}</td></tr>'
        for name, value in lines
        if value not in (None, "")
    )
    caption = f'<caption style="text-align:left; white-space:nowrap"><b>{_text(title)}</b></caption>'
    return f"<table>{caption}<tbody>{rows}</tbody></table>"


def _text(value: object) -> str:
    return escape(shown(str(value)))
