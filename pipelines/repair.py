"""Mending a store: what verification finds is made again from what is sound, byte for byte where that is possible.

A damaged JSON object is derived from what it still says and from sound objects, and counts only if its key agrees. What
cannot be derived so, the ordinary build writes anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from featurestore.corpus.catalog import find_manifest
from featurestore.corpus.load import corpus_source, read_source
from featurestore.corpus.manifest import Manifest
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.corpus.sources.types import Source
from featurestore.datasets import (
    CALLED,
    SOURCES,
    CorpusReference,
    DatasetRecord,
    Listing,
    Reference,
    dataset_digest,
    listing_key,
    listing_object,
    parse_listing,
)
from featurestore.errors import DamagedObjectError, FeatureStoreError, MissingObjectError
from featurestore.integrity.collect import marked
from featurestore.integrity.verify import FOREIGN, verify
from featurestore.row_index import index_bytes, index_key
from featurestore.shards.commit import encode_shard
from featurestore.shards.parts import Part, PlannedShard, canonical_shards, plan_part
from featurestore.shards.record import ShardRecord, data_key, record_key
from featurestore.specs.row_spec import CPU, RowSpec
from featurestore.storage.folder_lock import MARK
from featurestore.storage.protocol import MARKER
from featurestore.store import Store
from featurestore.tables import Table
from pipelines.build.tasks import gather_rows
from pipelines.compact import donors_of, relocate
from pipelines.ingest.ingest import reread

REBUILD = "build the dataset again with the same options: that writes it anew"
GIVE_SOURCE = "give the archive or folder {}with 'featurestore repair --source PATH'"
ROUNDS = 4
"""Verifications at most: a record that is mended lets more be found and mended."""

Object = TypeVar("Object")


@dataclass(frozen=True)
class Repairs:
    """What a repair did."""

    repaired: tuple[str, ...]
    """Objects that were damaged and are not any more, sorted."""
    left: tuple[tuple[str, str], ...]
    """(object, reason and what to do) of those that are still damaged."""


def repair(
    store: Store,
    dataset: str | None = None,
    source: str | Path | None = None,
    limits: Limits | None = None,
    progress: Callable[[int, int | None], None] | None = None,
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
    progress : callable, optional
        As `verify` takes it; objects are checked before and after they are mended.

    Raises
    ------
    StorageError
        If the place is no store.
    StoreBusyError
        If something builds, repairs or collects in the store.
    """
    store.require(dataset)
    store = Store(store.storage.fresh())
    opened = [open_source(source, limits)] if source is not None else []
    with store.storage.hold(exclusive=True):
        store.storage.sweep()
        seen: dict[str, str] = {}
        advice: dict[str, str] = {}
        for _ in range(ROUNDS):
            damaged = dict(verify(store, dataset, progress).damaged)
            new = {key: reason for key, reason in damaged.items() if seen.get(key) != reason}
            seen |= damaged
            if not new:
                break
            advice |= _mend_all(Store(store.storage), damaged, opened)
        damaged = dict(verify(store, dataset, progress).damaged)
        for record in _sound(store, "datasets", store.dataset):
            key = index_key(record.id)
            with suppress(FeatureStoreError):  # its shards are damaged, and named as such
                if not store.storage.exists(key):
                    store.storage.put_if_absent(key, index_bytes(store.index(record)))
    left = tuple((key, f"{reason}; {advice.get(key, REBUILD)}") for key, reason in sorted(damaged.items()))
    return Repairs(tuple(sorted(seen.keys() - damaged.keys())), left)


def _mend_all(store: Store, damaged: dict[str, str], sources: list[Source]) -> dict[str, str]:
    """Try to mend each damaged object, originals and names before what follows from them; return what cannot be."""
    advice = {key: "move it away by hand" for key, reason in damaged.items() if reason.startswith(FOREIGN)}
    originals = {key for key in damaged if key.startswith("sources/") and key not in advice}
    if sources:
        originals |= _left_out(store, damaged)
    if originals:
        _mend_originals(store, originals, sources, advice)
    for kind, mend in _MENDERS.items():
        for key in sorted(key for key in damaged if key.partition("/")[0] == kind and key not in advice):
            try:
                mend(store, key)
            except (MissingObjectError, DamagedObjectError) as error:
                if error.key.startswith("sources/"):
                    what = "missing" if isinstance(error, MissingObjectError) else "damaged"
                    advice[key] = f"its original is {what}: {GIVE_SOURCE.format('')}"
                else:
                    advice[key] = error.reason if isinstance(error, DamagedObjectError) else str(error)
            except FeatureStoreError as error:
                advice[key] = str(error)
    return advice


def _left_out(store: Store, damaged: Iterable[str]) -> set[str]:
    """Return the originals that a copy was made without and that its damaged shards are to be computed from."""
    broken = {"/".join(key.split("/")[:3]) for key in damaged if key.startswith("shards/")}
    needed: set[str] = set()
    for record in _sound(store, "datasets", store.dataset):
        if broken.intersection(record.addresses) and SOURCES in store.lacks(record.id):
            needed.update(f"sources/{content}" for content in record.originals)
    return {key for key in needed if not store.storage.exists(key)}


def _mend_originals(store: Store, keys: set[str], sources: list[Source], advice: dict[str, str]) -> None:
    """Take originals from a source again; remove damaged ones that nothing needs."""
    wanted = {key.removeprefix("sources/") for key in keys}
    synthesised = [corpus_source(manifest) for manifest in _manifests(store) if manifest.generator]
    for opened in (*sources, *synthesised):
        wanted -= reread(store, opened, wanted)
    needed = _needed(store)
    for key in (f"sources/{content}" for content in wanted):
        if needed is not None and key not in needed:
            store.storage.delete(key)
        else:
            advice[key] = GIVE_SOURCE.format("that holds it ")


def _needed(store: Store) -> set[str] | None:
    """Return the keys that names need; None while a damaged record hides them."""
    try:
        return marked(store)
    except FeatureStoreError:
        return None


def _mend_shard(store: Store, key: str) -> None:
    """Make a shard's data and record again from sound rows, or let its datasets refer to others, or remove it."""
    address = "/".join(key.split("/")[:3])
    old: ShardRecord | None = None
    with suppress(FeatureStoreError):
        old = ShardRecord.from_bytes(address, store.storage.get(record_key(address)))
    shard = PlannedShard(old.spec, old.first, old.stop, old.members) if old else _known_shard(store, address)
    if shard is None:  # nobody knows its rows any more: its datasets get them from other shards
        for reference in store.references(every=True):
            dataset = store.dataset(reference.dataset)
            if address in dataset.addresses:
                relocate(store, dataset, [plan_part(part, store.records(part.spec)[0]) for part in dataset.parts])
        _remove(store, address)
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
        kind = "processor" if shard.spec.engine == CPU else "GPU"
        advice = f"repair it with the kind of {kind} that made it, or build it again into a fresh store"
        raise DamagedObjectError(address, f"its rows come out differently here: {advice}")
    for key, wanted in ((data_key(address), data.tobytes()), (record_key(address), record.to_bytes())):
        if not store.storage.exists(key) or store.storage.get(key) != wanted:
            store.storage.replace(key, wanted)


def _remove(store: Store, address: str) -> None:
    """Remove a shard, its record first."""
    store.storage.delete(record_key(address))
    store.storage.delete(data_key(address))


def _known_shard(store: Store, address: str) -> PlannedShard | None:
    """Return which rows a shard without a sound record holds; its address proves it. None if nothing tells."""
    said = _said(store, record_key(address)).get("attributes", {})
    candidates: list[PlannedShard] = []
    with suppress(FeatureStoreError, KeyError, TypeError, AttributeError, ValueError):
        body = said["featurestore"]
        spec = RowSpec.from_document(body["spec"])
        candidates.append(PlannedShard(spec, int(body["first"]), int(body["stop"]), tuple(body["members"])))
    for record in _sound(store, "datasets", store.dataset):
        candidates += [shard for part in record.parts for shard in canonical_shards(part)]
    return next((shard for shard in candidates if shard.address == address), None)


def _mend_dataset(store: Store, key: str) -> None:
    """Write a damaged dataset record anew from what it still says."""
    said = _said(store, key)
    with suppress(FeatureStoreError, KeyError, TypeError, ValueError):
        parts = tuple(
            Part(RowSpec.from_document(p["spec"]), tuple(p["contents"]), int(p["first"]), int(p["stop"]))
            for p in said["parts"]
        )
        plans = [plan_part(part, store.records(part.spec)[0]) for part in parts]
        planned = sorted({address for plan in plans for address in plan.existing})
        for addresses in (planned, sorted(map(str, said.get("addresses") or ()))):
            with suppress(FeatureStoreError, KeyError):
                digest = dataset_digest(parts, [store.record(address) for address in addresses])
                record = DatasetRecord(parts, tuple(addresses), digest)
                if record.key == key:
                    store.storage.replace(key, record.to_bytes())
                    return
    raise DamagedObjectError(key, f"{REBUILD}; then forget this one")


def _mend_index(store: Store, key: str) -> None:
    """Write the index of a dataset anew; remove that of a dataset that is not there."""
    dataset = key.rpartition("/")[2].removesuffix(".npy")
    if store.storage.exists(f"datasets/{dataset}.json"):
        store.storage.replace(key, index_bytes(store.index(store.dataset(dataset))))
    else:
        store.storage.delete(key)


def _mend_listing(store: Store, key: str) -> None:
    """Write a listing anew that other objects imply: a table without rejects, or a synthesised corpus."""

    def implied() -> Iterator[Listing]:
        """Yield the listings that tables and synthesised corpora imply."""
        for table in _tables(store):
            yield tuple(sorted({one.file for one in table.utterances}, key=lambda file: file.path))
        for manifest in _manifests(store):
            if manifest.generator:
                yield read_source(corpus_source(manifest), manifest)[0]

    for checksum, data in map(listing_object, implied()):
        if listing_key(checksum) == key:
            store.storage.replace(key, data)
            return
    raise DamagedObjectError(key, REBUILD)


def _mend_reference(store: Store, key: str) -> None:
    """Write a damaged or missing name anew, where the other records tell what it said."""
    name = key.rpartition("/")[2].removesuffix(".json")
    if key.startswith("refs/corpora/"):
        store.storage.replace(key, _corpus_reference(store, name).to_bytes())
    elif key.startswith("refs/datasets/"):
        store.storage.replace(key, _root(store, name).to_bytes())
    else:
        called = [reference for reference in _references(store, "refs/datasets") if reference.name == name]
        if len(called) != 1:
            advice = "build it again under this name" if called else "forget it, or build it again"
            raise DamagedObjectError(key, f"{len(called)} datasets of this name are left: {advice}")
        store.storage.replace(key, called[0].to_bytes())


def _root(store: Store, dataset: str) -> Reference:
    """Return the reference of a root: that of a name for it, else one to the only table that fits."""
    for reference in _references(store, "refs"):
        if reference.dataset == dataset:
            return reference
    record = store.dataset(dataset)
    contents = {content for part in record.parts for content in part.contents}
    fitting = [table for table in _tables(store) if contents <= set(table.utterances.contents)]
    if len(fitting) != 1:
        raise DamagedObjectError(f"refs/datasets/{dataset}.json", f"{len(fitting)} tables fit: build it again")
    return Reference(record.digest[:CALLED], dataset, fitting[0].id, fitting[0].corpus)


def _corpus_reference(store: Store, corpus: str) -> CorpusReference:
    """Return a reference to the smallest listing that holds the corpus's latest table."""
    wanted: set[tuple[str, str]] = set()
    for reference in _references(store, "refs"):
        with suppress(FeatureStoreError):
            table = store.table(reference.table)
            if table.corpus == corpus:
                wanted |= {(one.file.path, one.file.content) for one in table.utterances}

    def sized(checksum: str) -> tuple[int, str] | None:
        """Return size and checksum of a listing that holds all wanted files, else None."""
        key = listing_key(checksum)
        listing = parse_listing(key, store.storage.get(key))
        files = {(file.path, file.content) for file in listing}
        return (len(listing), checksum) if wanted and wanted <= files else None

    fitting = list(filter(None, _sound(store, "listings", sized)))
    if not fitting:
        raise DamagedObjectError(f"refs/corpora/{corpus}.json", "build the corpus again with --source PATH")
    reading: Mapping[str, Any] = {}
    with suppress(FeatureStoreError):
        reading = find_manifest(corpus).reading
    return CorpusReference(corpus, min(fitting)[1], "", reading)


def _said(store: Store, key: str) -> dict[str, Any]:
    """Return what a damaged JSON object still says; nothing if it cannot be parsed."""
    try:
        value = json.loads(store.storage.get(key))
    except (FeatureStoreError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _sound(store: Store, folder: str, read: Callable[[str], Object]) -> Iterator[Object]:
    """Yield the objects of a folder that can be read, each by its name without `.json`."""
    for name in store.storage.children(folder):
        with suppress(FeatureStoreError):
            yield read(name.removesuffix(".json"))


def _tables(store: Store) -> Iterator[Table]:
    return _sound(store, "tables", store.table)


def _manifests(store: Store) -> Iterator[Manifest]:
    return _sound(store, "refs/corpora", find_manifest)


def _references(store: Store, folder: str) -> Iterator[Reference]:
    def read(name: str) -> Reference:
        """Return a reference, checked; `DamagedObjectError` if it is not sound."""
        key = f"{folder}/{name}.json"
        return Reference.from_bytes(key, store.storage.get(key))

    return _sound(store, folder, read)


_MENDERS: dict[str, Callable[[Store, str], None]] = {
    MARKER: lambda store, key: store.storage.replace(key, MARK),
    "listings": _mend_listing,
    "rejects": lambda store, key: store.storage.delete(key),  # the next build tries the recording once more
    "shards": _mend_shard,
    "datasets": _mend_dataset,
    "indexes": _mend_index,
    "cards": lambda store, key: store.storage.delete(key),  # nothing reads it, and the next copy writes it
    "refs": _mend_reference,
}
"""What mends each kind of object, in the order in which they are mended; tables are written by the next build."""
