"""The work of a Dask task: compute the rows of a few shards that share their sources, and commit each shard."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import AudioError, BuildError
from featurestore.shards.commit import commit_shard
from featurestore.shards.plan import PlannedShard, ShardTask
from featurestore.shards.record import Remarks
from featurestore.signal.arrays import MAX_SECONDS, MOST_SECONDS
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store, open_store
from pipelines.build.rows import GatheredRows, Row
from pipelines.workers.engines import kept_engine

if TYPE_CHECKING:
    from featurestore.rows.engine import Engine
    from pipelines.build.spec import DatasetSpec


@dataclass(frozen=True)
class Bundle:
    """Shards with the same members, written by one task so that each source is decoded and analysed once."""

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
    """Addresses of shards that another builder is at."""


def run_bundle(
    bundle: Bundle,
    before_commit: Callable[[], None] = lambda: None,
    store: Store | None = None,
    engine: Engine | None = None,
) -> Receipt:
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
    engine : Engine, optional
        What computes its rows; by default one that is kept from task to task.
    """
    store = store or open_store(bundle.store_uri)
    with store.storage.hold(exclusive=False):
        missing = [task for task in bundle.tasks if not store.has_shard(task.shard.address)]
        claimed = [task for task in missing if store.storage.claim(lease_name(task.shard.address))]
        leased = tuple(task.shard.address for task in missing if task not in claimed)
        try:
            receipt = _run(store, bundle, claimed, before_commit, engine)
        finally:
            for task in claimed:
                store.storage.release(lease_name(task.shard.address))
    return dataclasses.replace(receipt, leased=leased)


def refuse_other_versions(spec: RowSpec) -> None:
    """Refuse a spec that this installation does not compute, as a worker of another version is given.

    Raises
    ------
    BuildError
        Naming the versions that differ.
    """
    here = RowSpec.current(spec.features, spec.augmentation, spec.engine)
    if here.id == spec.id:
        return
    ours, wanted = dict(here.versions), dict(spec.versions)
    differing = ", ".join(
        f"{name} {ours.get(name, 'none')} in place of {wanted.get(name, 'none')}"
        for name in sorted(ours.keys() | wanted.keys())
        if ours.get(name) != wanted.get(name)
    )
    raise BuildError(f"it has other versions ({differing}): install the same on all machines.")


def lease_name(address: str) -> str:
    """Return what the lease of a shard is called."""
    return address.rpartition("/")[2]


def _run(
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
    engine = engine or kept_engine(bundle.spec, store.uri)
    rows = GatheredRows(store, bundle.spec, bundle.members, wanted, engine, bundle.max_seconds)
    rejected = rows.collect()
    long = tuple(rows.long.items())
    if rejected or any(seconds > bundle.max_seconds for _, seconds in long):
        return Receipt(rejected=tuple(rejected), long=long)
    before_commit()
    refuse_other_versions(bundle.spec)  # an installation may be replaced under a worker that lives on
    written = sum(commit_shard(store, task.shard, *rows.of(task.shard)) for task in wanted)
    return Receipt(rows.computed, rows.copied, written, tuple(task.shard.address for task in wanted), long=long)


def gather_rows(store: Store, shard: PlannedShard, donors: Iterable[str]) -> tuple[list[Row], Remarks]:
    """Return the rows of one shard in stored order, copies of donors' where they are sound, and what is told of them.

    Raises
    ------
    MissingObjectError
        If an original that is needed is not in the store.
    AudioError
        If an original cannot become rows.
    """
    engine = kept_engine(shard.spec, store.uri)
    task = ShardTask(shard, tuple(donors), 0)
    rows = GatheredRows(store, shard.spec, shard.members, [task], engine, MOST_SECONDS)
    rejected = rows.collect()
    if rejected:
        raise AudioError(rejected[0][1])
    return rows.of(shard)


def warm_worker(recipe: DatasetSpec) -> None:
    """Load what rows of a recipe need, compiled code included, before the first task asks for it."""
    from featurestore.rows.engine import warm

    warm(recipe.features, recipe.augmentation if recipe.copies else None)
