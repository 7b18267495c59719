"""Moving datasets' rows into other shards: the digest stays, the record is a new one."""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.datasets import DatasetRecord, dataset_digest
from featurestore.errors import DamagedObjectError
from featurestore.shards.commit import commit_shard
from featurestore.shards.parts import PartPlan, PlannedShard, plan_part
from featurestore.store import Store
from pipelines.build.tasks import gather_rows


def compact(store: Store) -> int:
    """Give the datasets of a store the layout of fresh builds, the largest first; return how many were moved.

    Growing leaves rows in shards of an earlier layout, which a build refers to or copies from. Afterwards a
    collection removes what is left over, and the store equals one that was built at once.

    Raises
    ------
    StorageError
        If the place is no store.
    StoreBusyError
        If something builds, repairs or collects in the store.
    DamagedObjectError
        If a row that has to be moved, or a record, is damaged.
    """
    store.require()
    store = Store(store.storage)
    with store.storage.hold(exclusive=True):
        fresh: dict[str, PlannedShard] = {}
        records = {reference.dataset: store.dataset(reference.dataset) for reference in store.references()}
        moved = 0
        for record in sorted(records.values(), key=lambda record: (-record.rows, record.id)):
            plans = [
                plan_part(part, [shard for shard in fresh.values() if shard.spec.id == part.spec.id])
                for part in record.parts
            ]
            fresh |= {task.shard.address: task.shard for plan in plans for task in plan.tasks}
            moved += relocate(store, record, plans)
    return moved


def relocate(store: Store, record: DatasetRecord, plans: Sequence[PartPlan]) -> bool:
    """Write the shards that plans name and the store lacks, and let the dataset refer to them; tell if it changed.

    `DamagedObjectError` if the new shards would not hold the same rows.
    """
    addresses = tuple(sorted({address for plan in plans for address in plan.addresses}))
    if addresses == record.addresses:
        return False
    for plan in plans:
        for task in plan.tasks:
            if not store.has_shard(task.shard.address):
                commit_shard(store.storage, task.shard, *gather_rows(store, task.shard, donors_of(store, task.shard)))
    digest = dataset_digest(record.parts, [store.record(address) for address in addresses])
    if digest != record.digest:
        raise DamagedObjectError(record.key, "its rows, gathered again, have another digest")
    new = DatasetRecord(record.parts, addresses, digest)
    for reference in store.references(every=True):
        if reference.dataset == record.id:
            table, named = store.table(reference.table), reference.name in store.names()
            store.publish(new, table, reference.name, named=named, without=store.lacks(record.id))
    store.storage.delete(f"refs/datasets/{record.id}.json")  # last: until then a name may still lead to it
    return True


def donors_of(store: Store, shard: PlannedShard) -> list[str]:
    """Return the addresses of existing shards that hold rows of a shard, itself among them."""
    members = set(shard.members)
    return [
        record.address
        for record in store.records(shard.spec)[0]
        if record.first < shard.stop and record.stop > shard.first and not members.isdisjoint(record.members)
    ]
