"""Checks of the small objects of a store: each is what its key says, and all that it names stands."""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.checksummed_json import digest, parsed, reading, sealed
from featurestore.datasets import DatasetRecord, Reference, Table, corpora_of, dataset_digest
from featurestore.errors import DamagedObjectError, FeatureStoreError
from featurestore.listings import CorpusReference, listing_key, parse_listing
from featurestore.store import Store

CALLED = 12
"""Hexadecimal digits by which a nameless dataset is called."""


def check_dataset(store: Store, key: str) -> None:
    """Check a dataset record: its shards stand, hold its rows with its digest, and its originals are there."""
    record = DatasetRecord.from_bytes(key, store.storage.get(key))
    for address in record.addresses:
        if not store.has_shard(address):
            raise DamagedObjectError(address, f"missing, and dataset {record.id[:12]} needs it")
    _check_originals(store, record.originals, key)
    try:
        found = dataset_digest(record.parts, [store.record(address) for address in record.addresses])
    except DamagedObjectError as error:
        if error.key.startswith("shards/"):
            return  # reported where it stands
        raise DamagedObjectError(key, error.reason) from error
    if found != record.digest:
        raise DamagedObjectError(key, "its shards hold rows of another digest")


def check_table(store: Store, key: str) -> None:
    """Check a table."""
    Table.from_bytes(key, store.storage.get(key))


def check_listing(store: Store, key: str) -> None:
    """Check a listing."""
    parse_listing(key, store.storage.get(key))


def check_reject(store: Store, key: str) -> None:
    """Check a note on a rejected recording: its seal, and that it stands under its own spec and content."""
    data = store.storage.get(key)
    with reading(key, "a note on a rejected recording"):
        body = parsed(data)
        seal = body.pop("seal")
        sound = key == f"rejects/{body['spec']}/{body['content']}.json" and isinstance(body["reason"], str)
        sound = sound and seal == digest(body) and data == sealed(body)
    if not sound:
        raise DamagedObjectError(key, "its seal does not match")


def check_reference(store: Store, key: str) -> None:
    """Check a name: it stands where it belongs, and what it names stands."""
    if key.startswith("refs/corpora/"):
        _check_corpus(store, key)
        return
    reference = Reference.from_bytes(key, store.storage.get(key))
    for target in (f"datasets/{reference.dataset}.json", f"tables/{reference.table}.json", reference.root):
        _check_stands(store, target, key)
    for corpus in _corpora_of(store, reference):
        _check_stands(store, f"refs/corpora/{corpus}.json", key)
    if not store.storage.exists(reference.key) and not called_by_digest(store, reference):
        raise DamagedObjectError(reference.key, f"missing, and {key} needs it")


def _corpora_of(store: Store, reference: Reference) -> tuple[str, ...]:
    try:
        return corpora_of(store.table(reference.table).corpus)
    except FeatureStoreError:  # reported where it stands
        return ()


def called_by_digest(store: Store, reference: Reference) -> bool:
    """Tell whether a reference has no name of its own but the beginning of its dataset's digest."""
    try:
        return store.dataset(reference.dataset).digest[:CALLED] == reference.name
    except FeatureStoreError:  # reported where it stands
        return True


def _check_corpus(store: Store, key: str) -> None:
    reference = CorpusReference.from_bytes(key, store.storage.get(key))
    listing = listing_key(reference.listing)
    _check_stands(store, listing, key)
    _check_originals(store, (file.content for file in parse_listing(listing, store.storage.get(listing))), key)


def _check_originals(store: Store, contents: Iterable[str], key: str) -> None:
    for content in sorted(set(contents)):
        _check_stands(store, f"sources/{content}", key)


def _check_stands(store: Store, target: str, key: str) -> None:
    if not store.storage.exists(target):
        raise DamagedObjectError(target, f"missing, and {key} needs it")
