"""What a damaged record must have said, found out from the sound ones: a guess counts only if its key agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import product
from typing import Any

from featurestore.corpus.load import corpus_source, label, read_source
from featurestore.corpus.manifest.catalog import find_manifest
from featurestore.corpus.manifest.model import Manifest
from featurestore.corpus.sources.types import Source
from featurestore.corpus.types import Corpus
from featurestore.datasets import DatasetRecord, Reference, Table, dataset_digest
from featurestore.errors import DamagedObjectError, FeatureStoreError
from featurestore.integrity.record_checks import CALLED
from featurestore.listings import CorpusReference, Listing, listing_key, listing_object, parse_listing
from featurestore.shards.plan import Part, PlannedShard, canonical_shards, plan_part
from featurestore.shards.record import record_key
from featurestore.signal.arrays import MAX_SECONDS, MOST_SECONDS
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store
from pipelines.build.rejects import dataset_table, known_rejects

LIMITS = (MAX_SECONDS, MOST_SECONDS)
"""Lengths of recordings that a dataset may have been limited to: what is usual, or none that rejected anything."""


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


def derive_table(store: Store, key: str) -> None:
    """Write a damaged or missing table or listing anew; `DamagedObjectError` if nothing gives its checksum."""
    for found, data in (*_tables(store), *_listings(store)):
        if found == key:
            store.storage.replace(key, data)
            return
    raise DamagedObjectError(key, "build the dataset again with the same options: that writes it anew")


def derive_dataset(store: Store, key: str) -> None:
    """Write a damaged or missing dataset record anew; `DamagedObjectError` if nothing gives its key."""
    for record in _guessed_datasets(store, key):
        if record.key == key:
            store.storage.replace(key, record.to_bytes())
            return
    raise DamagedObjectError(key, "build the dataset again with the same options, then forget this one")


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


def _tables(store: Store) -> Iterator[tuple[str, bytes]]:
    """Yield key and bytes of the tables of all datasets of all corpora that the store knows."""
    for corpus in _corpora(store):
        for specs, most in product(_spec_pairs(store), LIMITS):
            rejected: dict[str, str] = {}
            for spec in specs:
                rejected |= known_rejects(store, spec, most)
            table = dataset_table(corpus, rejected)
            yield table.key, table.to_bytes()


def _spec_pairs(store: Store) -> Iterator[tuple[RowSpec, ...]]:
    yield ()
    for record in _datasets(store):
        yield tuple(part.spec for part in record.parts)


def _corpora(store: Store) -> Iterator[Corpus]:
    for manifest in _manifests(store):
        for _, listing in _sound_listings(store):
            with suppress(FeatureStoreError):
                yield label(manifest, listing, store.source)


def _guessed_datasets(store: Store, key: str) -> Iterator[DatasetRecord]:
    """Yield records that the damaged one may have been: what it still says, then tables with the shards' specs."""
    said = _said(store, key)
    for parts in _guessed_parts(store, said):
        standing = [plan_part(part, store.records(part.spec)[0]) for part in parts]
        planned = tuple(sorted({address for plan in standing for address in plan.standing}))
        for addresses in (planned, tuple(map(str, said.get("addresses") or ()))):
            with suppress(FeatureStoreError, KeyError):
                records = [store.record(address) for address in addresses]
                yield DatasetRecord(parts, addresses, dataset_digest(parts, records))


def _guessed_parts(store: Store, said: Mapping[str, Any]) -> Iterator[tuple[Part, ...]]:
    with suppress(FeatureStoreError, KeyError, TypeError, ValueError):
        yield tuple(
            Part(RowSpec.from_document(p["spec"]), tuple(p["contents"]), int(p["first"]), int(p["stop"]))
            for p in said["parts"]
        )
    specs = dict(_standing_specs(store))
    clean = [spec for spec in specs.values() if spec.augmentation is None]
    for table in _sound_tables(store):
        contents = {utterance.content for utterance in table.utterances}
        for spec, most in product(clean, LIMITS):
            known_bad = known_rejects(store, spec, most).keys()
            first = Part.clean(spec, contents - known_bad)
            yield (first,)
            for other in specs.values():
                if other.augmentation is not None and other.features == spec.features:
                    bad = known_bad | known_rejects(store, other, most).keys()
                    for stop in sorted({record.stop for record in store.records(other)[0]}):
                        yield (first, Part.augmented(other, contents - bad, stop - 1))


def _standing_specs(store: Store) -> Iterator[tuple[str, RowSpec]]:
    """Yield the spec of every folder of shards that has a sound record."""
    for folder in store.storage.children("shards"):
        for name in store.storage.children(f"shards/{folder}"):
            with suppress(FeatureStoreError):
                spec = store.record(f"shards/{folder}/{name}").spec
                yield spec.id, spec
                break
