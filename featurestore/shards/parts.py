"""The parts of a dataset: which of their rows share a shard, and which shards exist, give rows, or must be written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from featurestore.shards.record import ShardRecord, shard_address
from featurestore.specs.row_spec import RowSpec

CLEAN_ENDING = "00"
"""A group of clean rows ends at a content id with this ending: about 256 files."""

AUGMENTED_ENDING = "0"
"""A group of augmented rows ends at a content id with this ending: about 16 files."""

BLOCK = 25
"""Copies in one shard of augmented rows."""

Span = tuple[int, int, str]
"""Copies `[first, stop)` of a recording that exist, and the address of their shard."""


def groups(contents: Iterable[str], ending: str) -> Iterator[tuple[str, ...]]:
    """Cut sorted content ids after each one that ends in `ending`.

    The cuts depend on the ids alone, so one file more or less changes one group, as in rsync's and restic's
    content-defined chunking.

    Examples
    --------
    >>> list(groups(["c1", "a0", "b7"], "0"))
    [('a0',), ('b7', 'c1')]
    """
    group: list[str] = []
    for content in sorted(set(contents)):
        group.append(content)
        # the ids of segments end alike, so their checksum decides
        digits = content if len(content) == 64 else hashlib.sha256(content.encode("ascii")).hexdigest()
        if digits.endswith(ending):
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


@dataclass(frozen=True)
class Part:
    """The rows of one spec in a dataset: copies `[first, stop)` of each content."""

    spec: RowSpec
    contents: tuple[str, ...]
    """Content ids in ascending order."""
    first: int
    stop: int

    @classmethod
    def clean(cls, spec: RowSpec, contents: Iterable[str]) -> Part:
        """Return the part of the clean rows."""
        return cls(spec, tuple(sorted(set(contents))), 0, 1)

    @classmethod
    def augmented(cls, spec: RowSpec, contents: Iterable[str], copies: int) -> Part:
        """Return the part of the augmented rows, copies 1 to `copies`."""
        return cls(spec, tuple(sorted(set(contents))), 1, copies + 1)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.contents) * (self.stop - self.first)


@dataclass(frozen=True)
class PlannedShard:
    """A shard as the grouping rule wants it, built or not."""

    spec: RowSpec
    first: int
    stop: int
    members: tuple[str, ...]

    @cached_property
    def address(self) -> str:
        """The shard's address, whether it exists or not."""
        return shard_address(self.spec.id, self.first, self.stop, self.members)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.members) * (self.stop - self.first)


@dataclass(frozen=True)
class ShardTask:
    """A shard that has to be written: some rows are copied from donors, the others computed."""

    shard: PlannedShard
    donors: tuple[str, ...]
    """Addresses of existing shards that hold some of the rows."""
    copied: int
    """Rows that donors hold."""

    @property
    def computed(self) -> int:
        """Rows that no shard holds yet."""
        return self.shard.rows - self.copied


@dataclass(frozen=True)
class PartPlan:
    """How the rows of one part are obtained."""

    part: Part
    existing: tuple[str, ...]
    """Addresses that are referred to as they are."""
    tasks: tuple[ShardTask, ...]

    @property
    def computed(self) -> int:
        """Rows to compute."""
        return sum(task.computed for task in self.tasks)

    @property
    def copied(self) -> int:
        """Rows to copy from other shards."""
        return sum(task.copied for task in self.tasks)

    @property
    def reused(self) -> int:
        """Rows of shards that are referred to as they are."""
        return self.part.rows - self.computed - self.copied

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of all shards that hold the part's rows once the tasks are done, sorted."""
        return tuple(sorted({*self.existing, *(task.shard.address for task in self.tasks)}))


def canonical_shards(part: Part) -> list[PlannedShard]:
    """Return the shards of a part that is built at once; no history enters."""
    clean = part.first == 0
    ending = CLEAN_ENDING if clean else AUGMENTED_ENDING
    spans = [(0, 1)] if clean else list(blocks(part.stop - 1))
    return [
        PlannedShard(part.spec, first, stop, members)
        for members in groups(part.contents, ending)
        for first, stop in spans
    ]


Shard = ShardRecord | PlannedShard
"""A shard that exists, or that a plan assumes to."""


def plan_part(part: Part, records: Sequence[Shard]) -> PartPlan:
    """Decide for each shard of a part: refer to it, refer to others that hold all its rows, or write it.

    `records` are all existing shards of the part's spec.
    """
    known = {record.address for record in records}
    shards = canonical_shards(part)
    existing = {shard.address for shard in shards if shard.address in known}
    absent = [shard for shard in shards if shard.address not in existing]
    spans: dict[str, list[Span]] = {member: [] for shard in absent for member in shard.members}
    for record in records if spans else ():
        for member in record.members:
            if member in spans:
                spans[member].append((record.first, record.stop, record.address))
    tasks: list[ShardTask] = []
    for shard in absent:
        held, donors = _cover(shard, spans)
        if held == shard.rows:
            existing.update(donors)
        else:
            tasks.append(ShardTask(shard, tuple(sorted(donors)), held))
    return PartPlan(part, tuple(sorted(existing)), tuple(tasks))


def _cover(shard: PlannedShard, spans: Mapping[str, Sequence[Span]]) -> tuple[int, set[str]]:
    """Return how many of a shard's rows exist, and addresses that hold them."""
    donors: set[str] = set()
    held = 0

    def order(span: Span) -> tuple[bool, int, str]:
        """Prefer shards that are referred to already, then those that hold most of the rows."""
        first, stop, address = span
        return address not in donors, max(first, shard.first) - min(stop, shard.stop), address

    for member in shard.members:
        missing = set(range(shard.first, shard.stop))
        for first, stop, address in sorted(spans.get(member, ()), key=order):
            found = missing & set(range(first, stop))
            if found:
                donors.add(address)
                missing -= found
        held += shard.stop - shard.first - len(missing)
    return held, donors
