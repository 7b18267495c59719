"""How a shard becomes part of a store: data first, record last, each whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import DamagedObjectError
from featurestore.shards.plan import PlannedShard
from featurestore.shards.reader import decode_rows
from featurestore.shards.record import ShardRecord, data_key, record_key, row_checksum
from featurestore.store import Store

Rows = Sequence[NDArray[Any]]


def commit_shard(store: Store, shard: PlannedShard, rows: Rows) -> int:
    """Write a shard's data object, then its record; return the bytes written.

    If a data object without a record stands there (left by a killed writer, or another builder is between its two
    writes) and is sound, it is adopted, so that record and data always agree; if it is not, it is replaced.

    Parameters
    ----------
    store : Store
        Where to.
    shard : PlannedShard
        Which rows these are.
    rows : sequence of array [frames, bands]
        In stored order, of the spec's dtype.
    """
    record = _record(shard, rows)
    data = record.layout.encode(rows)
    key = data_key(shard.address)
    written = 0
    if store.storage.put_if_absent(key, data.data):
        written += len(data)
    else:
        record = _adopt(store, record, data)
    record_bytes = record.to_bytes()
    if store.storage.put_if_absent(record_key(shard.address), record_bytes):
        written += len(record_bytes)
    return written


def _record(shard: PlannedShard, rows: Rows) -> ShardRecord:
    return ShardRecord(
        shard.spec,
        shard.first,
        shard.stop,
        shard.members,
        tuple(len(row) for row in rows),
        tuple(row_checksum(row) for row in rows),
    )


def _adopt(store: Store, record: ShardRecord, data: NDArray[np.uint8]) -> ShardRecord:
    """Return a record of the data object that stands, or replace that object."""
    key = data_key(record.address)
    stored = np.frombuffer(store.storage.get(key), np.uint8)
    if np.array_equal(stored, data):
        return record
    try:
        rows = decode_rows(record, stored)
    except DamagedObjectError:
        store.storage.replace(key, data.data)
        return record
    return ShardRecord(
        record.spec,
        record.first,
        record.stop,
        record.members,
        record.frames,
        tuple(row_checksum(row) for row in rows),
    )
