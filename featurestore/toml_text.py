"""Reading TOML text of unknown origin without a long wait and without a crash."""

from __future__ import annotations

import re
import tomllib
from typing import Any

LARGEST_TEXT = 4 * 2**20
"""Characters; the longest file that comes with the package has about 10,000."""
DEEPEST_KEY = 64
"""Dots in a key such as `a.b.c`: the parser takes time that grows with their square."""

_TEXTS = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'|#.*""")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises
    ------
    ValueError
        Saying in one line why it cannot be read: it is none, is nested too deep, or would keep the parser busy.
    """
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"more than {LARGEST_TEXT:,} characters")
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > DEEPEST_KEY and _bare(line).count(".") > DEEPEST_KEY:
            raise ValueError(f"line {number}: a key of more than {DEEPEST_KEY} parts, or as many dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("values that are nested too deep") from error
    except ValueError as error:  # also a number of more digits than Python reads
        raise ValueError(f"{error!s:.300}") from error


def _bare(line: str) -> str:
    """Return a line of TOML without texts and comments; whole where it begins or ends a text of several lines."""
    return line if '"""' in line or "'''" in line else _TEXTS.sub("", line)
