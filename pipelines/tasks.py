"""The work of a Dask task: compute the rows of a few shards that share their sources, and commit each shard."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from featurestore.commit import commit_shard
from featurestore.draws import draw
from featurestore.errors import AudioError, FeatureStoreError
from featurestore.shards.plan import PlannedShard, ShardTask
from featurestore.shards.reader import ShardReader
from featurestore.shards.record import row_checksum
from featurestore.specs.rows import RowSpec
from featurestore.store import Store, open_store

if TYPE_CHECKING:
    from featurestore.rows import RowEngine, Source
    from pipelines.dataset_recipe import DatasetRecipe

Row = NDArray[Any]


@dataclass(frozen=True)
class Bundle:
    """Shards with the same members, written by one task so that each source is decoded and analysed once."""

    store_uri: str
    spec: RowSpec
    members: tuple[str, ...]
    tasks: tuple[ShardTask, ...]

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
    rejected: tuple[tuple[str, str], ...] = ()
    """(content, reason) of recordings that cannot become rows; then no shard was written."""
    leased: tuple[str, ...] = ()
    """Addresses of shards that another builder is at."""


def run_bundle(bundle: Bundle, before_commit: Callable[[], None] = lambda: None, store: Store | None = None) -> Receipt:
    """Write the shards of a bundle that do not stand yet and that no other builder is at.

    Idempotent: another task may do the same at the same time, and a killed one leaves nothing that counts.

    Parameters
    ----------
    bundle : Bundle
        What to write.
    before_commit : callable
        Called once between computing and writing, so that a scheduler can start the next computation meanwhile.
    store : Store, optional
        The bundle's store, if it is open already.
    """
    store = store or open_store(bundle.store_uri)
    with store.storage.hold(exclusive=False):
        missing = [task for task in bundle.tasks if not store.has_shard(task.shard.address)]
        claimed = [task for task in missing if store.storage.claim(lease_name(task.shard.address))]
        leased = tuple(task.shard.address for task in missing if task not in claimed)
        try:
            receipt = _run(store, bundle, claimed, before_commit)
        finally:
            for task in claimed:
                store.storage.release(lease_name(task.shard.address))
    return dataclasses.replace(receipt, leased=leased)


def lease_name(address: str) -> str:
    """Return what the lease of a shard is called."""
    return address.rpartition("/")[2]


def _run(store: Store, bundle: Bundle, claimed: list[ShardTask], before_commit: Callable[[], None]) -> Receipt:
    wanted = [task for task in claimed if not store.has_shard(task.shard.address)]  # finished before it was claimed
    if not wanted:
        return Receipt()
    rows = _BundleRows(store, bundle, wanted)
    rejected = rows.collect()
    if rejected:
        return Receipt(rejected=tuple(rejected))
    before_commit()
    written = sum(commit_shard(store, task.shard, rows.of(task.shard)) for task in wanted)
    return Receipt(rows.computed, rows.copied, written)


def gather_rows(store: Store, shard: PlannedShard, donors: Iterable[str]) -> list[Row]:
    """Return the rows of one shard in stored order: copies of donors' where they are sound, else computed.

    Raises
    ------
    MissingObjectError
        If an original that is needed is not in the store.
    AudioError
        If an original cannot become rows.
    """
    task = ShardTask(shard, tuple(donors), 0)
    rows = _BundleRows(store, Bundle(store.uri, shard.spec, shard.members, (task,)), [task])
    for content in shard.members:
        rows.collect_member(content)
    return rows.of(shard)


class _BundleRows:
    """The rows of a bundle's shards, gathered source by source."""

    def __init__(self, store: Store, bundle: Bundle, tasks: list[ShardTask]) -> None:
        self.store = store
        self.bundle = bundle
        self.tasks = tasks
        self.engine = _engine(bundle.spec)
        self.donors = _Donors(store, {address for task in tasks for address in task.donors})
        self.computed = 0
        self.copied = 0
        self._rows: dict[str, list[Row]] = {task.shard.address: [] for task in tasks}

    def collect(self) -> list[tuple[str, str]]:
        """Gather all rows; return the recordings that cannot be used."""
        rejected: list[tuple[str, str]] = []
        for content in self.bundle.members:
            try:
                self.collect_member(content)
            except AudioError as error:
                rejected.append((content, str(error)))
        return rejected

    def of(self, shard: PlannedShard) -> list[Row]:
        """Return the rows of one shard in stored order, and let go of them."""
        return self._rows.pop(shard.address)

    def collect_member(self, content: str) -> None:
        """Gather the rows of one recording; `AudioError` if it cannot be used."""
        source: Source | None = None
        for task in self.tasks:
            for copy in range(task.shard.first, task.shard.stop):
                row = self.donors.row(content, copy) if task.donors else None
                if row is None:
                    source = source or self.engine.load(self.store.source(content))
                    row = self._compute(source, content, copy)
                    self.computed += 1
                else:
                    self.copied += 1
                self._rows[task.shard.address].append(row)

    def _compute(self, source: Source, content: str, copy: int) -> Row:
        augmentation = self.bundle.spec.augmentation
        if augmentation is None:
            return self.engine.clean(source)
        return self.engine.augmented(source, draw(augmentation, content, copy))


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

    def row(self, content: str, copy: int) -> Row | None:
        """Return a verified row, or None if no donor holds it whole."""
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
                return row
        return None


def warm_worker(recipe: DatasetRecipe) -> None:
    """Load what rows of a recipe need, compiled code included, before the first task asks for it."""
    from featurestore.rows import warm

    warm(recipe.features, recipe.augmentation if recipe.copies else None)


@lru_cache(maxsize=2)
def _engine(spec: RowSpec) -> RowEngine:
    """Keep tables, buffers and compiled kernels from one task of a worker to the next."""
    from featurestore.rows import RowEngine

    return RowEngine(spec.features, spec.augmentation)
