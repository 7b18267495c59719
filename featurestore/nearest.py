"""Which known name somebody may have meant: only one that is near, since a far one misleads."""

from __future__ import annotations

import re
from collections.abc import Iterable

LETTERS_AN_EDIT = 3.5
"""Letters of a name for each edit that a misspelling of it may have."""
SHORTEST_START = 3
"""Letters from which the start of a name stands for the whole."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is likeliest to be meant; None if none is near.

    Near is a name that differs in case or separators only, then one within two edits for every seven letters,
    then one that begins with the given one.

    Examples
    --------
    >>> nearest_name("emdob", ["emodb", "cafe"]), nearest_name("Crema-D", ["cremad"]), nearest_name("tpu", ["cpu"])
    ('emodb', 'cremad', None)
    """
    choices = sorted(known)
    wanted = _plain(name)
    counted = ((_edits_if_near(wanted, _plain(choice)), choice) for choice in choices)
    near = [(count, choice) for count, choice in counted if count is not None]
    if near:
        return min(near)[1]
    begun = (choice for choice in choices if _plain(choice).startswith(wanted))
    return next(begun, None) if len(wanted) >= SHORTEST_START else None


def edits(one: str, other: str) -> int:
    """Count the letters to put in, take out, change, or swap with their neighbour, to get from one text to another.

    The optimal string alignment distance.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one):
        after = [place + 1]
        for column, wanted in enumerate(other):
            cost = min(row[column + 1] + 1, after[column] + 1, row[column] + (letter != wanted))
            swapped = place > 0 and column > 0 and letter == other[column - 1] and one[place - 1] == wanted
            after.append(min(cost, before[column - 1] + 1) if swapped else cost)
        before, row = row, after
    return row[-1]


def _plain(name: str) -> str:
    """Return a name without what people change first: case, and the signs between words."""
    return re.sub(r"[\s_./-]+", "", name.casefold())


def _edits_if_near(wanted: str, known: str) -> int | None:
    """Return the edits between two names, None if they are too many: most people get the first letter right."""
    most = int(max(len(wanted), len(known)) / LETTERS_AN_EDIT)
    if abs(len(wanted) - len(known)) > most:
        return None
    count = edits(wanted, known)
    return count if count <= (most if wanted[:1] == known[:1] else min(most, 1)) else None
