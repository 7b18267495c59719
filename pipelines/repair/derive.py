"""What a damaged object must have said, derived from itself and from sound ones; it counts only if its key agrees.

What cannot be derived so, the ordinary build writes anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from featurestore.corpus.load import corpus_source, read_source
from featurestore.corpus.manifest.catalog import find_manifest
from featurestore.corpus.manifest.model import Manifest
from featurestore.corpus.sources.types import Source
from featurestore.datasets import (
    CALLED,
    CorpusReference,
    DatasetRecord,
    Listing,
    Reference,
    Table,
    dataset_digest,
    listing_key,
    listing_object,
    parse_listing,
)
from featurestore.errors import DamagedObjectError, FeatureStoreError
from featurestore.shards.plan import Part, PlannedShard, canonical_shards, plan_part
from featurestore.shards.record import record_key
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store

REBUILD = "build the dataset again with the same options: that writes it anew"


def known_shard(store: Store, address: str) -> PlannedShard | None:
    """Return which rows a shard without a sound record holds; its address proves it. None if nothing tells."""
    said = _said(store, record_key(address)).get("attributes", {})
    candidates: list[PlannedShard] = []
    with suppress(FeatureStoreError, KeyError, TypeError, AttributeError, ValueError):
        body = said["featurestore"]
        spec = RowSpec.from_document(body["spec"])
        candidates.append(PlannedShard(spec, int(body["first"]), int(body["stop"]), tuple(body["members"])))
    for record in _datasets(store):
        candidates += [shard for part in record.parts for shard in canonical_shards(part)]
    return next((shard for shard in candidates if shard.address == address), None)


def synthesised(store: Store) -> list[Source]:
    """Return sources for those corpora of a store that are synthesised."""
    return [corpus_source(manifest) for manifest in _manifests(store) if manifest.generator]


def derive_reference(store: Store, key: str) -> None:
    """Write a damaged or missing name anew.

    Raises
    ------
    DamagedObjectError
        If the other records do not tell what it said.
    """
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


def derive_listing(store: Store, key: str) -> None:
    """Write a damaged or missing listing anew; `DamagedObjectError` if nothing gives its checksum."""
    for found, data in _listings(store):
        if found == key:
            store.storage.replace(key, data)
            return
    raise DamagedObjectError(key, REBUILD)


def derive_dataset(store: Store, key: str) -> None:
    """Write a damaged dataset record anew from what it still says; `DamagedObjectError` if its key is another."""
    said = _said(store, key)
    with suppress(FeatureStoreError, KeyError, TypeError, ValueError):
        parts = tuple(
            Part(RowSpec.from_document(p["spec"]), tuple(p["contents"]), int(p["first"]), int(p["stop"]))
            for p in said["parts"]
        )
        standing = [plan_part(part, store.records(part.spec)[0]) for part in parts]
        planned = sorted({address for plan in standing for address in plan.standing})
        for addresses in (planned, sorted(map(str, said.get("addresses") or ()))):
            with suppress(FeatureStoreError, KeyError):
                digest = dataset_digest(parts, [store.record(address) for address in addresses])
                record = DatasetRecord(parts, tuple(addresses), digest)
                if record.key == key:
                    store.storage.replace(key, record.to_bytes())
                    return
    raise DamagedObjectError(key, f"{REBUILD}; then forget this one")


def _said(store: Store, key: str) -> dict[str, Any]:
    """Return what a damaged JSON object still says; nothing if it cannot be parsed."""
    try:
        value = json.loads(store.storage.get(key))
    except (FeatureStoreError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _datasets(store: Store) -> Iterator[DatasetRecord]:
    for name in store.storage.children("datasets"):
        with suppress(FeatureStoreError):
            yield store.dataset(name.removesuffix(".json"))


def _sound_tables(store: Store) -> Iterator[Table]:
    for name in store.storage.children("tables"):
        with suppress(FeatureStoreError):
            yield store.table(name.removesuffix(".json"))


def _references(store: Store, folder: str) -> Iterator[Reference]:
    for name in store.storage.children(folder):
        if name.endswith(".json"):
            with suppress(FeatureStoreError):
                key = f"{folder}/{name}"
                yield Reference.from_bytes(key, store.storage.get(key))


def _root(store: Store, dataset: str) -> Reference:
    """Return the reference of a root: that of a name for it, else one to the only table that fits."""
    for reference in _references(store, "refs"):
        if reference.dataset == dataset:
            return reference
    record = store.dataset(dataset)
    contents = {content for part in record.parts for content in part.contents}
    fitting = [table for table in _sound_tables(store) if contents <= {one.content for one in table.utterances}]
    if len(fitting) != 1:
        raise DamagedObjectError(f"refs/datasets/{dataset}.json", f"{len(fitting)} tables fit: build it again")
    return Reference(record.digest[:CALLED], dataset, fitting[0].id)


def _corpus_reference(store: Store, corpus: str) -> CorpusReference:
    """Return a reference to the smallest listing that holds the corpus's latest table."""
    wanted: set[tuple[str, str]] = set()
    for reference in _references(store, "refs"):
        with suppress(FeatureStoreError):
            table = store.table(reference.table)
            if table.corpus == corpus:
                wanted |= {(file.path, file.content) for file in (one.file for one in table.utterances)}
    fitting = []
    for checksum, listing in _sound_listings(store):
        if wanted and wanted <= {(file.path, file.content) for file in listing}:
            fitting.append((len(listing), checksum))
    if not fitting:
        raise DamagedObjectError(f"refs/corpora/{corpus}.json", "build the corpus again with --source PATH")
    reading: Mapping[str, Any] = {}
    with suppress(FeatureStoreError):
        reading = find_manifest(corpus).reading
    return CorpusReference(corpus, min(fitting)[1], "", reading)


def _sound_listings(store: Store) -> Iterator[tuple[str, Listing]]:
    for name in store.storage.children("listings"):
        key = f"listings/{name}"
        with suppress(FeatureStoreError):
            yield name.removesuffix(".json"), parse_listing(key, store.storage.get(key))


def _manifests(store: Store) -> Iterator[Manifest]:
    for name in store.storage.children("refs/corpora"):
        with suppress(FeatureStoreError):
            yield find_manifest(name.removesuffix(".json"))


def _listings(store: Store) -> Iterator[tuple[str, bytes]]:
    """Yield key and bytes of listings that other objects imply: those of tables without rejects, and synthesised."""
    for table in _sound_tables(store):
        files = tuple(sorted({one.file for one in table.utterances}, key=lambda file: file.path))
        checksum, body = listing_object(files)
        yield listing_key(checksum), body
    for manifest in _manifests(store):
        if manifest.generator:
            checksum, body = listing_object(read_source(corpus_source(manifest), manifest)[0])
            yield listing_key(checksum), body
