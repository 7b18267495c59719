"""Where each row of a dataset stands: in which shard, and from which frame on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestore.datasets import DatasetRecord, Table
from featurestore.errors import DamagedObjectError
from featurestore.shards.gather import RowIndex, RowReader
from featurestore.shards.reader import ShardReader

if TYPE_CHECKING:
    from featurestore.store import Store


def locate_rows(store: Store, record: DatasetRecord, table: Table) -> tuple[RowReader, RowIndex]:
    """Find every row of a dataset in its shards, by path and copy.

    Raises
    ------
    DamagedObjectError
        If the shards lack rows that the record counts.
    """
    records = [store.record(address) for address in record.addresses]
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for shard, shard_record in enumerate(records):
        for position, member in enumerate(shard_record.members):
            spans.setdefault((shard_record.spec.id, member), []).append((shard, position))
    runs: list[tuple[int, int, int, int]] = []  # utterance, copy, shard, row in the shard
    parts = [(part, set(part.contents)) for part in record.parts]
    for utterance, entry in enumerate(table.utterances):
        for part, contents in parts:
            if entry.content in contents:
                found = _rows_of(part.first, part.stop, spans.get((part.spec.id, entry.content), []), records)
                if len(found) != part.stop - part.first:
                    raise DamagedObjectError(record.key, f"its shards lack rows of {entry.path!r}")
                runs.extend((utterance, copy, shard, row) for copy, (shard, row) in sorted(found.items()))
    columns = np.array(runs, np.int64).reshape(-1, 4).T
    starts, frames = _starts(columns[2], columns[3], records)
    utterances, copies, shards = (column.astype(np.int32) for column in columns[:3])
    features = record.parts[0].spec.features
    shard_readers = tuple(ShardReader(store.storage, r) for r in records)
    reader = RowReader(shard_readers, features.width, features.dtype)
    return reader, RowIndex(utterances, copies, shards, starts, frames)


def _rows_of(first: int, stop: int, spans: list[tuple[int, int]], records: list[Any]) -> dict[int, tuple[int, int]]:
    """Map each copy of one recording to its shard and row."""
    found: dict[int, tuple[int, int]] = {}
    for shard, position in spans:
        record = records[shard]
        for copy in range(max(first, record.first), min(stop, record.stop)):
            found.setdefault(copy, (shard, position * record.copies + copy - record.first))
    return found


def _starts(
    shards: NDArray[np.int64], rows: NDArray[np.int64], records: list[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Look up the first frame and the number of frames of each row."""
    offsets = np.concatenate([record.offsets for record in records] or [np.zeros(1, np.int64)])
    first = np.concatenate([[0], np.cumsum([record.rows + 1 for record in records])]).astype(np.int64)
    places = first[shards] + rows
    return offsets[places], (offsets[places + 1] - offsets[places]).astype(np.int32)
