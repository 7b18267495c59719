"""Checking everything a store holds, byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from featurestore.checksummed_json import digest, parsed, reading, sealed
from featurestore.datasets import DatasetRecord, Reference, Table, corpora_of, dataset_digest
from featurestore.errors import DamagedObjectError, FeatureStoreError, StorageError, StoreTooNewError
from featurestore.listings import CorpusReference, listing_key, parse_listing
from featurestore.segments import brief
from featurestore.shards.reader import decode_rows, read_object
from featurestore.shards.record import ShardRecord, data_key, record_key, row_checksum
from featurestore.signal.arrays import is_finite
from featurestore.storage.folder_lock import MARK
from featurestore.storage.protocol import KEY, MARKER
from featurestore.store import Store

FOREIGN = "a foreign file: no part of a store"
CALLED = 12
"""Hexadecimal digits by which a nameless dataset is called."""


@dataclass
class Findings:
    """What a verification saw."""

    shards: int = 0
    rows: int = 0
    damaged: list[tuple[str, str]] = field(default_factory=list)
    """(object, reason), sorted by object."""


def verify(store: Store, dataset: str | None = None, advance: Callable[[int], None] = lambda _: None) -> Findings:
    """Check every object of a store, or those of one dataset.

    A shard is a pure function of its rows: each row is compared with its checksum, and the rows encoded again must
    give the stored bytes, so that no flipped bit can hide in padding or index.

    Parameters
    ----------
    store : Store
        What to check.
    dataset : str, optional
        Name or digest prefix; only its records, shards and sources are checked.
    advance : callable
        Is told of the bytes of each object that was checked.

    Raises
    ------
    UnknownNameError
        If the dataset does not exist.
    StorageError
        If the place is no store, or may not be read: that is no damage, and no soundness either.
    """
    store.require(dataset)
    store = Store(store.storage)  # what was read before may have changed since
    findings = Findings()
    keys = store.storage.walk() if dataset is None else _dataset_keys(store, dataset, findings)
    for key, size in keys:
        try:
            _check(store, key, findings)
        except DamagedObjectError as error:
            findings.damaged.append((error.key, error.reason))
        except StoreTooNewError as error:
            findings.damaged.append((key, str(error)))
        except StorageError:
            raise
        except FeatureStoreError as error:
            findings.damaged.append((key, str(error)))
        advance(size)
    findings.damaged = sorted(dict(reversed(findings.damaged)).items())
    return findings


def _dataset_keys(store: Store, name: str, findings: Findings) -> Iterator[tuple[str, int]]:
    """Yield the keys of what a dataset consists of; a record that cannot be read is a finding."""
    try:
        reference = store.reference(name)
        record = store.dataset(reference.dataset)
        table = store.table(reference.table)
    except DamagedObjectError as error:
        findings.damaged.append((error.key, error.reason))
        return
    yield f"refs/datasets/{record.id}.json", 0
    yield record.key, len(record.to_bytes())
    yield table.key, len(table.to_bytes())
    for address in record.addresses:
        yield record_key(address), 0
    for content in record.originals:
        yield f"sources/{content}", 0


def _check(store: Store, key: str, findings: Findings) -> None:
    """Check one object; `DamagedObjectError` if it is not what its key says."""
    if not KEY.fullmatch(key):
        raise DamagedObjectError(key, FOREIGN)
    kind = key.partition("/")[0]
    checks: dict[str, Callable[[Store, str], object]] = {
        "datasets": _check_dataset,
        "tables": lambda store, key: Table.from_bytes(key, store.storage.get(key)),
        "sources": lambda store, key: store.source(key.removeprefix("sources/")),
        "listings": lambda store, key: parse_listing(key, store.storage.get(key)),
        "rejects": _check_reject,
        "refs": _check_reference,
    }
    if kind == "shards":
        _check_shard_object(store, key, findings)
    elif key == MARKER:
        if store.storage.get(key) != MARK:
            raise DamagedObjectError(key, "it does not say that this is a store")
    else:
        checks[kind](store, key)


def _check_shard_object(store: Store, key: str, findings: Findings) -> None:
    parts = key.split("/")
    address = "/".join(parts[:3])
    if key == record_key(address):
        record = check_shard(store, address)
        findings.shards += 1
        findings.rows += record.rows
    elif not store.storage.exists(record_key(address)):
        raise DamagedObjectError(key, "data without a record: a write that was cut short, or a lost record")


def check_shard(store: Store, address: str) -> ShardRecord:
    """Check record and data of one shard completely and return the record; `DamagedObjectError` says what is wrong."""
    record = ShardRecord.from_bytes(address, store.storage.get(record_key(address)))
    key = data_key(address)
    data = read_object(record, store.storage)
    rows = decode_rows(record, data)
    for (content, copy), row, checksum in zip(record.row_keys(), rows, record.checksums, strict=True):
        if row_checksum(row) != checksum:
            raise DamagedObjectError(key, f"row {brief(content)}/{copy} does not match its checksum")
        if not is_finite(row):
            raise DamagedObjectError(key, f"row {brief(content)}/{copy} holds numbers that did not fit {row.dtype}")
    if not np.array_equal(record.layout.encode(rows), data):
        raise DamagedObjectError(key, "bytes beside the rows have changed")
    return record


def _check_dataset(store: Store, key: str) -> None:
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


def _check_reject(store: Store, key: str) -> None:
    """Check a note on a rejected recording: its seal, and that it stands under its own spec and content."""
    data = store.storage.get(key)
    with reading(key, "a note on a rejected recording"):
        body = parsed(data)
        seal = body.pop("seal")
        sound = key == f"rejects/{body['spec']}/{body['content']}.json" and isinstance(body["reason"], str)
        sound = sound and seal == digest(body) and data == sealed(body)
    if not sound:
        raise DamagedObjectError(key, "its seal does not match")


def _check_reference(store: Store, key: str) -> None:
    """Check a name: it stands where it belongs, and what it names stands."""
    if key.startswith("refs/corpora/"):
        listing = listing_key(CorpusReference.from_bytes(key, store.storage.get(key)).listing)
        _check_stands(store, listing, key)
        _check_originals(store, (file.content for file in parse_listing(listing, store.storage.get(listing))), key)
        return
    reference = Reference.from_bytes(key, store.storage.get(key))
    for target in (f"datasets/{reference.dataset}.json", f"tables/{reference.table}.json", reference.root):
        _check_stands(store, target, key)
    corpora: tuple[str, ...] = ()
    with suppress(FeatureStoreError):  # a damaged table is reported where it stands
        corpora = corpora_of(store.table(reference.table).corpus)
    for corpus in corpora:
        _check_stands(store, f"refs/corpora/{corpus}.json", key)
    if not store.storage.exists(reference.key):
        nameless = True
        with suppress(FeatureStoreError):  # likewise
            nameless = store.dataset(reference.dataset).digest[:CALLED] == reference.name
        if not nameless:
            raise DamagedObjectError(reference.key, f"missing, and {key} needs it")


def _check_originals(store: Store, contents: Iterable[str], key: str) -> None:
    for content in sorted(set(contents)):
        _check_stands(store, f"sources/{content}", key)


def _check_stands(store: Store, target: str, key: str) -> None:
    if not store.storage.exists(target):
        raise DamagedObjectError(target, f"missing, and {key} needs it")
