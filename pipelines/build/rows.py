"""The rows of a few shards: copied from donors where they stand, else computed, source by source or many at a time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from featurestore.errors import AudioError, FeatureStoreError, TooLongError
from featurestore.segments import recording_of, segment_of
from featurestore.shards.plan import PlannedShard, ShardTask
from featurestore.shards.reader import ShardReader
from featurestore.shards.record import Remark, Remarks, row_checksum
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store

if TYPE_CHECKING:
    from featurestore.rows.engine import Engine
    from featurestore.rows.recordings import DecodedRecording
    from featurestore.specs.perturbation import Perturbation

Row = NDArray[Any]
MOST_SECONDS_TOGETHER = 60.0
"""Seconds of segments of one recording that are decoded together."""


class GatheredRows:
    """The rows of shards with the same members, gathered as many sources at a time as the engine is best given.

    Parameters
    ----------
    store : Store
    spec : RowSpec
        That of all shards.
    members : tuple of str
        Content ids of their recordings.
    tasks : list of ShardTask
        What has to be written.
    engine : Engine
        Computes what no donor holds.
    max_seconds : float
        Longest recording that is read.
    """

    def __init__(
        self,
        store: Store,
        spec: RowSpec,
        members: tuple[str, ...],
        tasks: list[ShardTask],
        engine: Engine,
        max_seconds: float,
    ) -> None:
        self.computed = 0
        self.copied = 0
        self.long: dict[str, float] = {}
        """Seconds of recordings that are longer than `MAX_SECONDS`, by content."""
        self._store, self._spec, self._members, self._tasks, self._engine = store, spec, members, tasks, engine
        self._donors = _Donors(store, {address for task in tasks for address in task.donors})
        in_turn = members if not any(task.donors for task in tasks) else ()
        self._originals = _Originals(store, engine, in_turn, max_seconds)
        self._rows: dict[str, list[Row | None]] = {task.shard.address: [] for task in tasks}
        self._remarks: dict[str, dict[int, Remark]] = {address: {} for address in self._rows}
        self._wanted: dict[str, list[_Wanted]] = {}

    def collect(self) -> list[tuple[str, str]]:
        """Gather all rows; return (content, reason) of the recordings that cannot be used.

        Where there are any, or any that is too long, rows are missing, and none may be taken.
        """
        rejected: list[tuple[str, str]] = []
        whole = True
        together = self._engine.sources_at_once
        for first in range(0, len(self._members), together):
            for content in self._members[first : first + together]:
                try:
                    self._want(content)
                except TooLongError as error:
                    self.long[content] = error.seconds
                    whole = False
                except AudioError as error:
                    rejected.append((content, str(error)))
            if whole and not rejected:
                rejected += self._compute()
            self._wanted.clear()
        return rejected

    def of(self, shard: PlannedShard) -> tuple[list[Row], Remarks]:
        """Return the rows of one shard in stored order, and what there is to tell of some; let go of them."""
        rows, remarks = self._rows.pop(shard.address), self._remarks.pop(shard.address)
        return [row for row in rows if row is not None], tuple(sorted(remarks.items()))

    def _want(self, content: str) -> None:
        """Copy the rows of a recording that donors hold and note the others; `AudioError` if it cannot be used."""
        source: DecodedRecording | None = None
        for task in self._tasks:
            rows = self._rows[task.shard.address]
            for copy in range(task.shard.first, task.shard.stop):
                row, remark = (self._donors.row(content, copy) if task.donors else None) or (None, {})
                if row is None:
                    source = source or self._load(content)
                    perturbation, remark = self._drawn(source, content, copy)
                    wanted = _Wanted(task.shard.address, len(rows), source, perturbation)
                    self._wanted.setdefault(content, []).append(wanted)
                else:
                    self.copied += 1
                if remark:
                    self._remarks[task.shard.address][len(rows)] = remark
                rows.append(row)

    def _load(self, content: str) -> DecodedRecording:
        source = self._originals.source(content)
        if source.seconds > MAX_SECONDS:
            self.long[content] = source.seconds
        if self._spec.augmentation is not None:
            self._engine.check(source)
        return source

    def _drawn(self, source: DecodedRecording, content: str, copy: int) -> tuple[Perturbation | None, Remark]:
        """Return what a row gets, None for a clean one, and what there is to tell of it."""
        augmentation = self._spec.augmentation
        if augmentation is None:
            return None, source.remark(self._spec.features)
        from featurestore.rows.draws import draw  # not above: a build that finds all rows standing needs no kernels

        found, first = self._engine.drawn(source, content, copy)
        return found, {} if first else draw(augmentation, content, copy).changes(found)

    def _compute(self) -> list[tuple[str, str]]:
        """Compute the rows noted so far; return (content, reason) of recordings that turn out bad only now."""
        try:
            self._keep([one for wanted in self._wanted.values() for one in wanted])
        except AudioError as error:
            if len(self._wanted) == 1:
                return [(content, str(error)) for content in self._wanted]
        else:
            return []
        rejected = []
        for content, wanted in self._wanted.items():  # one after the other, to learn whose rows they are
            try:
                self._keep(wanted)
            except AudioError as error:
                rejected.append((content, str(error)))
        return rejected

    def _keep(self, wanted: list[_Wanted]) -> None:
        rows = self._engine.rows([(one.source, one.perturbation) for one in wanted])
        for one, row in zip(wanted, rows, strict=True):
            self._rows[one.address][one.place] = row
        self.computed += len(wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A row to compute, and where it goes."""

    address: str
    place: int
    source: DecodedRecording
    perturbation: Perturbation | None


class _Originals:
    """The decoded originals of members; segments of one recording are read together and decoded in one pass.

    Parameters
    ----------
    store : Store
    engine : Engine
    members : tuple of str
        Content ids, sorted, that are likely to be asked for in this order; only their segments come together.
    max_seconds : float
    """

    def __init__(self, store: Store, engine: Engine, members: tuple[str, ...], max_seconds: float) -> None:
        self._store, self._engine, self._members, self._max_seconds = store, engine, members, max_seconds
        self._found: dict[str, DecodedRecording | AudioError] = {}
        self._held: tuple[str, bytes] = ("", b"")

    def source(self, content: str) -> DecodedRecording:
        """Return a decoded original; `AudioError` if it cannot be used."""
        if content not in self._found:
            together = self._together(content)
            segments = [segment_of(one) for one in together]
            found = self._engine.load_segments(self._bytes(recording_of(content)), segments, self._max_seconds)
            self._found = dict(zip(together, found, strict=True))
        found_one = self._found.pop(content)
        if isinstance(found_one, AudioError):
            raise found_one
        return found_one

    def _together(self, content: str) -> list[str]:
        """Return a segment and those that follow it of the same recording, as many as memory is kept for."""
        together, seconds = [content], segment_of(content).seconds
        for one in self._members[bisect_right(self._members, content) :]:
            more = segment_of(one).seconds if recording_of(one) == recording_of(content) else None
            if seconds is None or more is None or seconds + more > MOST_SECONDS_TOGETHER:
                break
            together.append(one)
            seconds += more
        return together

    def _bytes(self, recording: str) -> bytes:
        """Return the bytes of a recording, read and compared with their checksum once for all its segments."""
        if self._held[0] != recording:
            self._held = ("", b"")  # let go of the last one first
            self._held = (recording, self._store.source(recording))
        return self._held[1]


class _Donors:
    """Rows that stand in other shards of the same spec."""

    def __init__(self, store: Store, addresses: set[str]) -> None:
        self._store = store
        self._readers: dict[str, ShardReader] = {}
        self._holders: dict[str, list[str]] = {}
        for address in sorted(addresses):
            self._register(address)

    def _register(self, address: str) -> None:
        try:
            record = self._store.record(address)
        except FeatureStoreError:  # a donor that vanished or is damaged gives nothing; its rows are computed
            return
        self._readers[address] = ShardReader(self._store.storage, record)
        for member in record.members:
            self._holders.setdefault(member, []).append(address)

    def row(self, content: str, copy: int) -> tuple[Row, Remark] | None:
        """Return a verified row and what is told of it, or None if no donor holds it whole."""
        for address in self._holders.get(content, ()):
            reader = self._readers[address]
            if not reader.record.first <= copy < reader.record.stop:
                continue
            position = reader.record.row_index(content, copy)
            try:
                row = reader.row(position)
            except FeatureStoreError:  # a damaged donor is no donor: the row is computed anew
                continue
            if row_checksum(row) == reader.record.checksums[position]:
                return row, reader.record.remark_of.get(position, {})
        return None
