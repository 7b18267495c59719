"""What every reader of label files shares: a row, and the text of a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.errors import SourceError

Row = Mapping[str, str]
"""Fields of one recording; which recording is told by the key of the table's rule."""

LARGEST_LABEL_FILE = 64 * 2**20
"""Bytes of a label file that is read; a line for each of 250,000 recordings takes about 40 MB."""
_MISSING = frozenset({"#NA", "-NaN", "-nan", "NA", "NaN", "NaT", "nan"})
"""Written otherwise they may be names, as Nan and Na are."""
_MISSING_IN_ANY_CASE = frozenset({"#n/a", "<na>", "n/a", "none", "null"})


def is_missing(value: str) -> bool:
    """Tell whether a table says with a text that a value is missing.

    It does with what pandas takes for that and writes, `none` in any case of its letters, and dashes or question marks
    alone. `unknown` may be a class, and is one.

    Examples
    --------
    >>> is_missing("-"), is_missing("#N/A"), is_missing("none"), is_missing("unknown"), is_missing("Nan")
    (True, True, True, False, False)
    """
    return value in _MISSING or value.casefold() in _MISSING_IN_ANY_CASE or not value.strip("-–—?")


def is_number(value: str) -> bool:
    """Tell whether a value is written as a number."""
    return (
        re.fullmatch(r"[+-]?(\d{1,30}([.,]\d*)?|[.,]\d+)(e[+-]?\d{1,2})?", value, re.IGNORECASE | re.ASCII) is not None
    )


def cased(field: str, value: str, *, lower: bool) -> str:
    """Return a field's value, in lower case if wanted; the name of the recording and a missing value stay as they are.

    Examples
    --------
    >>> cased("emotion", "Joy", lower=True), cased("emotion", "NA", lower=True)
    ('joy', 'NA')
    """
    return value.lower() if lower and field != "file" and not is_missing(value) else value


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a label file, for messages."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"label file {self.path!r:.120}, line {self.line}"


def label_text(data: bytes, encodings: tuple[str, ...], path: str) -> str:
    """Decode a label file by the first encoding that fits.

    Raises
    ------
    SourceError
        If the file is too large or none fits.
    """
    if len(data) > LARGEST_LABEL_FILE:
        raise SourceError(f"label file {path!r:.120} has {len(data):,} bytes; at most {LARGEST_LABEL_FILE:,} are read.")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SourceError(
        f"label file {path!r:.120} is no {' or '.join(encodings)} text. Say its 'encoding' in the manifest, "
        "or get the file again."
    )


def text_lines(text: str) -> list[str]:
    """Return the lines of a text as files have them; other signs that end a line in Unicode stand within values."""
    lines = re.split("\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]
