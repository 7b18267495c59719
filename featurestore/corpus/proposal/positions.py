"""Names of one length whose fields are told by their position alone, such as `0301050102` or `fanghi`.

Neighbouring places belong to one field if their characters depend on each other: two digits of a speaker's number do,
a digit of the number and one of the take do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

FEWEST_NAMES = 20
LONGEST_NAME = 32
ROOM = 20
"""Times that there may be more combinations of all fields than names; names drawn by chance leave far more."""
DEPENDENT = {"digit": 0.9, "letter": 0.75}
"""Share of the combinations of two fields below which they are one."""


def cuts_by_position(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return where the fields of names begin, and the end; None if they are no names with fields by position.

    The values of each field must return, and most combinations of them occur, as in a corpus that was planned.

    Parameters
    ----------
    names : sequence of str
        File names without endings.

    Examples
    --------
    >>> cuts_by_position([f"{speaker:02}{mood}{take}" for speaker in range(8, 12) for mood in "nsh" for take in "123"])
    (0, 2, 3, 4)
    """
    length = len(names[0]) if names else 0
    alike = len(names) >= FEWEST_NAMES and 2 <= length <= LONGEST_NAME and {len(name) for name in names} == {length}
    if not alike or not all(name.isascii() and name.isalnum() for name in names) or _counts(names):
        return None
    cuts = [0]
    for place in range(1, length):
        if not _one_field(names, cuts[-1], place):
            cuts.append(place)
    cuts.append(length)
    sizes = [len(_values(names, *pair)) for pair in pairwise(cuts)]
    fields = 2 * max(sizes) <= len(names) and prod(sizes) <= ROOM * len(names)
    return tuple(cuts) if fields else None


def _values(names: Sequence[str], start: int, stop: int) -> set[str]:
    return {name[start:stop] for name in names}


def _one_field(names: Sequence[str], start: int, place: int) -> bool:
    """Tell whether a place belongs to the field before it: both are fixed, or their characters depend on each other."""
    before, here = _values(names, start, place), _values(names, place, place + 1)
    if len(before) == 1 or len(here) == 1:
        return len(before) == len(here) == 1
    kind = _kind({name[place - 1] for name in names})
    if kind is None or kind != _kind(here):
        return False
    both = _values(names, start, place + 1)
    return len(both) < DEPENDENT["digit" if kind == "digit" else "letter"] * len(before) * len(here)


def _kind(characters: set[str]) -> str | None:
    tests = {"digit": str.isdigit, "upper": str.isupper, "lower": str.islower}
    return next((kind for kind, test in tests.items() if all(map(test, characters))), None)


def _counts(names: Sequence[str]) -> bool:
    """Tell whether what varies in the names is one number that counts them."""
    same = [len(set(column)) == 1 for column in zip(*names, strict=True)]
    first = same.index(False) if False in same else 0
    tails = [name[first:] for name in names]
    if not all(tail.isdecimal() for tail in tails):
        return False
    numbers = [int(tail) for tail in tails]
    return max(numbers) - min(numbers) < 2 * len(numbers)
