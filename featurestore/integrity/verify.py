"""Checking everything a store holds, byte by byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from featurestore.canonical import digest
from featurestore.datasets import DatasetRecord, Reference, Table
from featurestore.errors import DamagedObjectError, FeatureStoreError
from featurestore.shards.reader import decode_rows
from featurestore.shards.record import ShardRecord, data_key, row_checksum
from featurestore.store import Store


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
    """
    findings = Findings()
    keys = _all_keys(store) if dataset is None else _dataset_keys(store, dataset, findings)
    for key, size in keys:
        try:
            _check(store, key, findings)
        except DamagedObjectError as error:
            findings.damaged.append((error.key, error.reason))
        except FeatureStoreError as error:
            findings.damaged.append((key, str(error)))
        advance(size)
    findings.damaged = sorted(set(findings.damaged))
    return findings


def _all_keys(store: Store) -> Iterator[tuple[str, int]]:
    yield from store.storage.walk()


def _dataset_keys(store: Store, name: str, findings: Findings) -> Iterator[tuple[str, int]]:
    """Yield the keys of what a dataset consists of; a record that cannot be read is a finding."""
    try:
        reference = store.reference(name)
        record = store.dataset(reference.dataset)
        table = store.table(reference.table)
    except DamagedObjectError as error:
        findings.damaged.append((error.key, error.reason))
        return
    yield record.key, len(record.to_bytes())
    yield table.key, len(table.to_bytes())
    for address in record.addresses:
        yield f"{address}/zarr.json", 0
        yield data_key(address), 0
    for content in sorted({content for part in record.parts for content in part.contents}):
        yield f"sources/{content}", 0


def _check(store: Store, key: str, findings: Findings) -> None:
    """Check one object; `DamagedObjectError` if it is not what its key says."""
    kind, _, rest = key.partition("/")
    checks: dict[str, Callable[[Store, str], None]] = {
        "datasets": _check_dataset,
        "tables": lambda store, key: _discard(Table.from_bytes(key, store.storage.get(key))),
        "sources": lambda store, key: _discard(store.source(key.removeprefix("sources/"))),
        "listings": _check_listing,
        "rejects": _check_reject,
        "refs": _check_reference,
    }
    if kind == "shards":
        _check_shard_object(store, key, findings)
    elif kind in checks and rest:
        checks[kind](store, key)
    else:
        raise DamagedObjectError(key, "a foreign file: no part of a store")


def _discard(_: object) -> None:
    """Forget a value that was read only to be checked."""


def _check_shard_object(store: Store, key: str, findings: Findings) -> None:
    parts = key.split("/")
    address = "/".join(parts[:3])
    inside = "/".join(parts[3:])
    if inside == "zarr.json":
        _check_shard(store, address, findings)
    elif inside == "c/0/0":
        if not store.storage.exists(f"{address}/zarr.json"):
            raise DamagedObjectError(key, "data without a record: an unfinished write, 'featurestore gc' removes it")
        store.storage.get(key) if not store.storage.exists(key) else None
    else:
        raise DamagedObjectError(key, "a foreign file: no part of a shard")


def _check_shard(store: Store, address: str, findings: Findings) -> None:
    """Check record and data of one shard completely."""
    record = ShardRecord.from_bytes(address, store.storage.get(f"{address}/zarr.json"))
    key = data_key(address)
    data = np.frombuffer(store.storage.get(key), np.uint8)
    rows = decode_rows(record, data)
    for (content, copy), row, checksum in zip(record.row_keys(), rows, record.checksums, strict=True):
        if row_checksum(row) != checksum:
            raise DamagedObjectError(key, f"row {content[:12]}/{copy} does not match its checksum")
    if not np.array_equal(record.layout.encode(rows), data):
        raise DamagedObjectError(key, "bytes beside the rows have changed")
    findings.shards += 1
    findings.rows += record.rows


def _check_dataset(store: Store, key: str) -> None:
    record = DatasetRecord.from_bytes(key, store.storage.get(key))
    for address in record.addresses:
        if not store.has_shard(address):
            raise DamagedObjectError(address, f"missing, and dataset {record.id[:12]} needs it")


def _check_reference(store: Store, key: str) -> None:
    if key.startswith("refs/corpora/"):
        body = _json(key, store.storage.get(key))
        listing = body.get("listing") if isinstance(body, dict) else None
        if not isinstance(listing, str) or not store.storage.exists(f"listings/{listing}.json"):
            raise DamagedObjectError(key, "it names no listing that the store holds")
        return
    reference = Reference.from_bytes(key, store.storage.get(key))
    expected = (f"refs/{reference.name}.json", f"refs/datasets/{reference.dataset}.json")
    if key not in expected:
        raise DamagedObjectError(key, "it belongs to another name")
    for target in (f"datasets/{reference.dataset}.json", f"tables/{reference.table}.json"):
        if not store.storage.exists(target):
            raise DamagedObjectError(target, f"missing, and {key} needs it")


def _check_listing(store: Store, key: str) -> None:
    if key != f"listings/{hashlib.sha256(store.storage.get(key)).hexdigest()}.json":
        raise DamagedObjectError(key, "its bytes do not match its name")


def _check_reject(store: Store, key: str) -> None:
    body = _json(key, store.storage.get(key))
    if (
        not isinstance(body, dict)
        or body.pop("seal", None) != digest(body)
        or not key.endswith(f"{body['content']}.json")
    ):
        raise DamagedObjectError(key, "its seal does not match")


def _json(key: str, data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except ValueError as error:
        raise DamagedObjectError(key, "not JSON") from error
    return value
