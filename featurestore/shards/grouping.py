"""Which rows share a shard: a rule that looks at contents alone, never at history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from featurestore.segments import mixed

CLEAN_ENDING = "00"
"""A group of clean rows ends at a content id with this ending: about 256 files."""
AUGMENTED_ENDING = "0"
"""A group of augmented rows ends at a content id with this ending: about 16 files."""
BLOCK = 25
"""Copies in one shard of augmented rows."""


def groups(contents: Iterable[str], ending: str) -> Iterator[tuple[str, ...]]:
    """Cut sorted content ids after each one that ends in `ending`.

    The cuts depend on the ids alone, so one file more or less changes one group, as in rsync's and restic's
    content-defined chunking. Of a segment, whose id ends in its times, the checksum of the id decides.

    Examples
    --------
    >>> list(groups(["c1", "a0", "b7"], "0"))
    [('a0',), ('b7', 'c1')]
    """
    group: list[str] = []
    for content in sorted(set(contents)):
        group.append(content)
        if mixed(content).endswith(ending):
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def blocks(copies: int) -> Iterator[tuple[int, int]]:
    """Cut copies 1 to `copies` into blocks `[first, stop)` of `BLOCK`; the last may be short.

    Examples
    --------
    >>> list(blocks(60))
    [(1, 26), (26, 51), (51, 61)]
    """
    for first in range(1, copies + 1, BLOCK):
        yield first, min(first + BLOCK, copies + 1)
