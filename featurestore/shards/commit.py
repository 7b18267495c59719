"""How a shard becomes part of a store: data first, record last, each whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import DamagedObjectError
from featurestore.shards.parts import PlannedShard
from featurestore.shards.reader import decode_rows, read_object
from featurestore.shards.record import Layout, Remarks, ShardRecord, data_key, record_key, row_checksum
from featurestore.storage.protocol import Storage

Rows = Sequence[NDArray[Any]]
NEARLY = 0.01
"""Largest difference, relative and absolute, at which two builders' rows count as the same."""


def commit_shard(storage: Storage, shard: PlannedShard, rows: Rows, remarks: Remarks = ()) -> int:
    """Write a shard's data object, then its record; return the bytes written.

    A sound data object without a record (left by a killed writer, or by a builder between its two writes) is adopted,
    so that record and data always agree; one that is not sound is replaced. The rows are arrays [frames, bands] in
    stored order, of the spec's dtype.
    """
    record, data = encode_shard(shard, rows, remarks)
    key = data_key(shard.address)
    written = len(data) if storage.put_if_absent(key, data.data) else 0
    if not written:
        record = _adopt(storage, record, rows, data)
    record_bytes = record.to_bytes()
    if storage.put_if_absent(record_key(shard.address), record_bytes):
        written += len(record_bytes)
    return written


def encode_shard(shard: PlannedShard, rows: Rows, remarks: Remarks = ()) -> tuple[ShardRecord, NDArray[np.uint8]]:
    """Return the record and the data object of a shard's rows; both are pure functions of them."""
    frames = tuple(len(row) for row in rows)
    layout = Layout(sum(frames), shard.spec.features.width, shard.spec.features.dtype)
    data = layout.encode(rows)
    checksums = tuple(row_checksum(row) for row in rows)
    chunks = layout.chunk_checksums(data)
    return ShardRecord(shard.spec, shard.first, shard.stop, shard.members, frames, checksums, chunks, remarks), data


def _adopt(storage: Storage, record: ShardRecord, rows: Rows, data: NDArray[np.uint8]) -> ShardRecord:
    """Return a record of the data object that is there, or replace that object.

    Another processor may round the last bit differently; an object that differs by more holds other rows.
    """
    key = data_key(record.address)
    with suppress(DamagedObjectError):
        stored = read_object(record, storage)
        if np.array_equal(stored, data):
            return record
        other = dataclasses.replace(record, chunks=record.layout.chunk_checksums(stored))
        theirs = decode_rows(other, stored)
        pairs = ((a.astype(np.float32), b.astype(np.float32)) for a, b in zip(rows, theirs, strict=True))
        if all(np.allclose(a, b, rtol=NEARLY, atol=NEARLY) for a, b in pairs):
            return dataclasses.replace(other, checksums=tuple(map(row_checksum, theirs)))
    storage.replace(key, data.data)
    return record
