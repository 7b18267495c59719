"""Mending a store: what verification finds is made again from what is sound, byte for byte where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.corpus.sources.types import Source
from featurestore.errors import DamagedObjectError, FeatureStoreError, MissingObjectError
from featurestore.integrity.collect import marked
from featurestore.integrity.verify import FOREIGN, verify
from featurestore.shards.commit import encode_shard
from featurestore.shards.plan import PlannedShard, plan_part
from featurestore.shards.record import ShardRecord, data_key, record_key
from featurestore.specs.row_spec import RowSpec
from featurestore.specs.versions import CPU
from featurestore.storage.folder_lock import MARK
from featurestore.storage.protocol import MARKER
from featurestore.store import Store
from pipelines.build.tasks import gather_rows
from pipelines.ingest.ingest import reread
from pipelines.repair.derive import (
    derive_dataset,
    derive_listing,
    derive_reference,
    known_shard,
    synthesised,
)
from pipelines.repair.relocate import donors_of, relocate

NO_WAY = "build the dataset again with the same options: that writes it anew"
ROUNDS = 4
"""Verifications at most: a record that is mended lets more be found and mended."""


@dataclass(frozen=True)
class Repairs:
    """What a repair did."""

    repaired: tuple[str, ...]
    """Objects that were damaged and are not any more, sorted."""
    left: tuple[tuple[str, str], ...]
    """(object, reason and what to do) of those that are still damaged."""


def repair(
    store: Store, dataset: str | None = None, source: str | Path | None = None, limits: Limits | None = None
) -> Repairs:
    """Find all damage and mend what can be mended.

    Parameters
    ----------
    store : Store
    dataset : str, optional
        Name or digest prefix; only what it consists of is checked and mended.
    source : str or path, optional
        Archive or folder that holds recordings whose originals are damaged.
    limits : Limits, optional
        Of that source.

    Raises
    ------
    StorageError
        If the place is no store.
    StoreBusyError
        If something builds, repairs or collects in the store.
    """
    store.require(dataset)
    opened = [open_source(source, limits)] if source is not None else []
    with store.storage.hold(exclusive=True):
        store.storage.sweep()
        seen: dict[str, str] = {}
        advice: dict[str, str] = {}
        for _ in range(ROUNDS):
            damaged = dict(verify(store, dataset).damaged)
            new = {key: reason for key, reason in damaged.items() if seen.get(key) != reason}
            seen |= damaged
            if not new:
                break
            advice |= _mend_all(Store(store.storage), damaged, opened)
        damaged = dict(verify(store, dataset).damaged)
    left = tuple((key, f"{reason}; {advice.get(key, NO_WAY)}") for key, reason in sorted(damaged.items()))
    return Repairs(tuple(sorted(seen.keys() - damaged.keys())), left)


def _mend_all(store: Store, damaged: dict[str, str], sources: list[Source]) -> dict[str, str]:
    """Try to mend each damaged object, originals and names before what follows from them; return what cannot be."""
    advice = {key: "move it away by hand" for key, reason in damaged.items() if reason.startswith(FOREIGN)}
    originals = {key for key in damaged if key.startswith("sources/") and key not in advice}
    _mend_originals(store, originals, sources, advice)
    for kind, mend in _MENDERS.items():
        for key in sorted(key for key in damaged if key.partition("/")[0] == kind and key not in advice):
            try:
                mend(store, key)
            except FeatureStoreError as error:
                advice[key] = _advice(error)
    return advice


def _advice(error: FeatureStoreError) -> str:
    if isinstance(error, MissingObjectError) and error.key.startswith("sources/"):
        return "its original is missing: give the archive or folder with 'featurestore repair --source PATH'"
    if isinstance(error, DamagedObjectError) and error.key.startswith("sources/"):
        return "its original is damaged: give the archive or folder with 'featurestore repair --source PATH'"
    return error.reason if isinstance(error, DamagedObjectError) else str(error)


def _mend_originals(store: Store, keys: set[str], sources: list[Source], advice: dict[str, str]) -> None:
    """Take originals from a source again; remove damaged ones that nothing needs."""
    if not keys:
        return
    wanted = {key.removeprefix("sources/") for key in keys}
    for opened in (*sources, *synthesised(store)):
        wanted -= reread(store, opened, wanted)
    needed = _needed(store)
    for content in wanted:
        if needed is not None and f"sources/{content}" not in needed:
            store.storage.delete(f"sources/{content}")
        else:
            advice[f"sources/{content}"] = (
                "give the archive or folder that holds it with 'featurestore repair --source PATH'"
            )


def _needed(store: Store) -> set[str] | None:
    """Return the keys that names need; None while a damaged record hides them."""
    try:
        return marked(store)
    except FeatureStoreError:
        return None


def _mend_shard(store: Store, key: str) -> None:
    """Make a shard's data and record again from sound rows, or let its datasets refer to others, or remove it."""
    address = "/".join(key.split("/")[:3])
    old = _sound_record(store, address)
    shard = PlannedShard(old.spec, old.first, old.stop, old.members) if old else known_shard(store, address)
    if shard is None:
        _replace_shard(store, address)
        return
    if not shard.spec.computable and old is None:
        raise DamagedObjectError(address, "its record is lost, and other versions of the libraries wrote it")
    try:
        record, data = encode_shard(shard, *gather_rows(store, shard, donors_of(store, shard)))
    except FeatureStoreError:
        needed = _needed(store)
        if needed is None or record_key(address) in needed:
            raise
        _remove(store, address)
        return
    if old is not None and old.checksums != record.checksums:
        raise DamagedObjectError(address, _elsewhere(shard.spec))
    for key, wanted in ((data_key(address), data.tobytes()), (record_key(address), record.to_bytes())):
        if not store.storage.exists(key) or store.storage.get(key) != wanted:
            store.storage.replace(key, wanted)


def _elsewhere(spec: RowSpec) -> str:
    """Say what is needed for rows that come out differently here."""
    kind = "processor" if spec.engine == CPU else "GPU"
    return (
        f"its rows come out differently here: repair it with the kind of {kind} that made it, or build it again into "
        "a fresh store"
    )


def _sound_record(store: Store, address: str) -> ShardRecord | None:
    try:
        return ShardRecord.from_bytes(address, store.storage.get(record_key(address)))
    except FeatureStoreError:
        return None


def _remove(store: Store, address: str) -> None:
    """Remove a shard, its record first."""
    store.storage.delete(record_key(address))
    store.storage.delete(data_key(address))


def _replace_shard(store: Store, address: str) -> None:
    """Give up a shard whose rows nobody knows any more; its datasets get them from other shards."""
    for reference in store.references(every=True):
        record = store.dataset(reference.dataset)
        if address in record.addresses:
            plans = [plan_part(part, store.records(part.spec)[0]) for part in record.parts]
            relocate(store, record, plans)
    _remove(store, address)


_MENDERS: dict[str, Callable[[Store, str], None]] = {
    MARKER: lambda store, key: store.storage.replace(key, MARK),
    "listings": derive_listing,
    "rejects": lambda store, key: store.storage.delete(key),  # the next build tries the recording once more
    "shards": _mend_shard,
    "datasets": derive_dataset,
    "refs": derive_reference,
}
"""What mends each kind of object, in the order in which they are mended; tables are written by the next build."""
