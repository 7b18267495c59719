"""The work of a task: gather the rows of a few shards of the same recordings, and commit each shard.

Rows are copied from donor shards that hold them, otherwise computed, in batches of the engine's preferred size.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from featurestore.errors import AudioError, FeatureStoreError, TooLongError
from featurestore.segments import recording_of, segment_of
from featurestore.shards.commit import commit_shard
from featurestore.shards.parts import PlannedShard, ShardTask
from featurestore.shards.reader import ShardReader
from featurestore.shards.record import Remark, Remarks, row_checksum
from featurestore.signal.arrays import LARGEST_MAX_SECONDS, MAX_SECONDS
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store, open_store
from pipelines.workers.engines import lent_engine
from pipelines.workers.fitness import refuse_other_versions

if TYPE_CHECKING:
    from featurestore.row_engine import Engine
    from featurestore.signal.recordings import DecodedRecording

Row = NDArray[Any]
MOST_SECONDS_TOGETHER = 60.0
"""Seconds of segments of one recording that are decoded together."""


@dataclass(frozen=True)
class Bundle:
    """Shards with the same members, written by one task so that each recording is decoded and analysed once."""

    store_uri: str
    spec: RowSpec
    members: tuple[str, ...]
    tasks: tuple[ShardTask, ...]
    max_seconds: float = MAX_SECONDS
    """Longest recording that is read."""

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(task.shard.rows for task in self.tasks)


@dataclass(frozen=True)
class Receipt:
    """All that travels back from a task."""

    computed: int = 0
    copied: int = 0
    bytes_written: int = 0
    written: tuple[str, ...] = ()
    """Addresses of shards that were written."""
    rejected: tuple[tuple[str, str], ...] = ()
    """(content, reason) of recordings that cannot become rows; then no shard was written."""
    long: tuple[tuple[str, float], ...] = ()
    """(content, seconds) of recordings longer than `MAX_SECONDS`; where they are longer than the bundle's, no shard was
    written."""
    leased: tuple[str, ...] = ()
    """Addresses of shards that another builder is writing."""


def run_bundle(
    bundle: Bundle,
    before_commit: Callable[[], None] = lambda: None,
    store: Store | None = None,
    engine: Engine | None = None,
) -> Receipt:
    """Write the shards of a bundle that do not exist yet and that no other builder has leased.

    Idempotent: another task may do the same at the same time, and a killed one leaves nothing that counts.

    Parameters
    ----------
    bundle : Bundle
        What to write.
    before_commit : callable
        Called once between computing and writing; it raises to prevent the writing.
    store : Store, optional
        The bundle's store, if it is open already.
    engine : Engine, optional
        Computes its rows; by default one that is kept from task to task.
    """
    store = store or open_store(bundle.store_uri)
    with store.storage.hold(exclusive=False):
        missing = [task for task in bundle.tasks if not store.has_shard(task.shard.address)]
        claimed = [task for task in missing if store.storage.claim(lease_name(task.shard.address))]
        leased = tuple(task.shard.address for task in missing if task not in claimed)
        try:
            receipt = _write_shards(store, bundle, claimed, before_commit, engine)
        finally:
            for task in claimed:
                store.storage.release(lease_name(task.shard.address))
    return dataclasses.replace(receipt, leased=leased)


def _write_shards(
    store: Store,
    bundle: Bundle,
    claimed: list[ShardTask],
    before_commit: Callable[[], None],
    engine: Engine | None,
) -> Receipt:
    refuse_other_versions(bundle.spec)
    wanted = [task for task in claimed if not store.has_shard(task.shard.address)]  # finished before it was claimed
    if not wanted:
        return Receipt()
    with nullcontext(engine) if engine else lent_engine(bundle.spec, store.uri) as computing:
        rows = _GatheredRows(store, bundle.spec, bundle.members, wanted, computing, bundle.max_seconds)
        rejected = rows.collect()
    long = tuple(rows.long.items())
    if rejected or any(seconds > bundle.max_seconds for _, seconds in long):
        return Receipt(rejected=tuple(rejected), long=long)
    before_commit()
    refuse_other_versions(bundle.spec)  # an installation may be replaced under a worker that lives on
    written = sum(commit_shard(store.storage, task.shard, *rows.of(task.shard)) for task in wanted)
    return Receipt(rows.computed, rows.copied, written, tuple(task.shard.address for task in wanted), long=long)


def lease_name(address: str) -> str:
    """Return what the lease of a shard is called."""
    return address.rpartition("/")[2]


def gather_rows(store: Store, shard: PlannedShard, donors: Iterable[str]) -> tuple[list[Row], Remarks]:
    """Return the rows of one shard in stored order, copied from sound donors or computed, and remarks on them.

    Raises
    ------
    MissingObjectError
        If an original that is needed is not in the store.
    AudioError
        If an original cannot become rows.
    """
    task = ShardTask(shard, tuple(donors), 0)
    with lent_engine(shard.spec, store.uri) as engine:
        rows = _GatheredRows(store, shard.spec, shard.members, [task], engine, LARGEST_MAX_SECONDS)
        rejected = rows.collect()
    if rejected:
        raise AudioError(rejected[0][1])
    return rows.of(shard)


def warm_worker(features: FeatureSpec, augmentation: AugmentationSpec | None) -> None:
    """Load what rows need, compiled code included, before the first task asks for it."""
    from featurestore.row_engine import warm

    warm(features, augmentation)


class _RowToCompute(NamedTuple):
    address: str
    position: int
    recording: DecodedRecording
    perturbation: Perturbation | None


class _GatheredRows:
    """The rows of shards with the same spec and members; `members` are content ids, `max_seconds` the longest read."""

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
        self._spec, self._members, self._tasks, self._engine = spec, members, tasks, engine
        self._donors = _Donors(store, {address for task in tasks for address in task.donors})
        in_turn = members if not any(task.donors for task in tasks) else ()
        self._originals = _Originals(store, engine, in_turn, max_seconds)
        self._rows: dict[str, list[Row | None]] = {task.shard.address: [] for task in tasks}
        self._remarks: dict[str, dict[int, Remark]] = {address: {} for address in self._rows}
        self._wanted: dict[str, list[_RowToCompute]] = {}
        """Rows noted but not computed yet, by content."""

    def collect(self) -> list[tuple[str, str]]:
        """Gather all rows; return (content, reason) of the recordings that cannot be used.

        If there are any, or one is too long, rows are missing: take none.
        """
        rejected: list[tuple[str, str]] = []
        whole = True
        together = self._engine.recordings_at_once
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
        """Return the rows of one shard in stored order and remarks on some; let go of them."""
        rows, remarks = self._rows.pop(shard.address), self._remarks.pop(shard.address)
        return [row for row in rows if row is not None], tuple(sorted(remarks.items()))

    def _want(self, content: str) -> None:
        """Copy the rows of a recording that donors hold and note the others; `AudioError` if it cannot be used."""
        recording: DecodedRecording | None = None
        for task in self._tasks:
            rows = self._rows[task.shard.address]
            for copy in range(task.shard.first, task.shard.stop):
                row, remark = (self._donors.row(content, copy) if task.donors else None) or (None, {})
                if row is None:
                    recording = recording or self._load(content)
                    perturbation, remark = self._draw(recording, content, copy)
                    wanted = _RowToCompute(task.shard.address, len(rows), recording, perturbation)
                    self._wanted.setdefault(content, []).append(wanted)
                else:
                    self.copied += 1
                if remark:
                    self._remarks[task.shard.address][len(rows)] = remark
                rows.append(row)

    def _load(self, content: str) -> DecodedRecording:
        recording = self._originals.decoded(content)
        if recording.seconds > MAX_SECONDS:
            self.long[content] = recording.seconds
        if self._spec.augmentation is not None:
            self._engine.check(recording)
        return recording

    def _draw(self, recording: DecodedRecording, content: str, copy: int) -> tuple[Perturbation | None, Remark]:
        """Return what a row gets, None for a clean one, and what there is to remark on it."""
        augmentation = self._spec.augmentation
        if augmentation is None:
            return None, recording.remark(self._spec.features.samples(recording.rate))
        found, first = self._engine.draw_perturbation(recording, content, copy)
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

    def _keep(self, wanted: list[_RowToCompute]) -> None:
        rows = self._engine.rows([(one.recording, one.perturbation) for one in wanted])
        for one, row in zip(wanted, rows, strict=True):
            self._rows[one.address][one.position] = row
        self.computed += len(wanted)


class _Originals:
    """The decoded originals of members; segments of one recording are read together and decoded in one pass.

    `members` are the content ids, sorted, that are likely to be asked for in this order.
    """

    def __init__(self, store: Store, engine: Engine, members: tuple[str, ...], max_seconds: float) -> None:
        self._store, self._engine, self._members, self._max_seconds = store, engine, members, max_seconds
        self._found: dict[str, DecodedRecording | AudioError] = {}
        self._held: tuple[str, bytes] = ("", b"")
        """The recording read last and its bytes, compared with their checksum once for all its segments."""

    def decoded(self, content: str) -> DecodedRecording:
        """Return a decoded original; `AudioError` if it cannot be used."""
        if content not in self._found:
            recording, together = recording_of(content), self._together(content)
            if self._held[0] != recording:
                self._held = ("", b"")  # let go of the last one first
                self._held = (recording, self._store.original(recording))
            segments = [segment_of(one) for one in together]
            found = self._engine.load_segments(self._held[1], segments, self._max_seconds)
            self._found = dict(zip(together, found, strict=True))
        one_found = self._found.pop(content)
        if isinstance(one_found, AudioError):
            raise one_found
        return one_found

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


class _Donors:
    """Rows stored in other shards of the same spec."""

    def __init__(self, store: Store, addresses: set[str]) -> None:
        self._readers: dict[str, list[ShardReader]] = {}
        """Shards by the contents of their members."""
        for address in sorted(addresses):
            try:
                record = store.record(address)
            except FeatureStoreError:  # a donor that vanished or is damaged gives nothing; its rows are computed
                continue
            reader = ShardReader(store.storage, record)
            for member in record.members:
                self._readers.setdefault(member, []).append(reader)

    def row(self, content: str, copy: int) -> tuple[Row, Remark] | None:
        """Return a verified row and the remark on it, or None if no donor holds it whole."""
        for reader in self._readers.get(content, ()):
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
