"""Where each row of a dataset is, in which shard and from which frame on, and how rows are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestore.datasets import DatasetRecord, Table
from featurestore.errors import DamagedObjectError
from featurestore.shards.reader import ShardReader

if TYPE_CHECKING:
    from featurestore.datasets import ReadableStore


@dataclass(frozen=True)
class RowIndex:
    """Where each row of a view stands; all arrays have the shape `[rows]`."""

    utterance: NDArray[np.int32]
    """Position of the row's recording in the table."""
    copy: NDArray[np.int32]
    """Copy index; 0 is clean."""
    shard: NDArray[np.int32]
    """Position of the shard in the view's list of readers."""
    start: NDArray[np.int64]
    """First frame in the shard."""
    frames: NDArray[np.int32]
    """Number of frames."""

    def take(self, rows: NDArray[Any]) -> RowIndex:
        """Return the index of some rows, given by position or by mask."""
        return RowIndex(self.utterance[rows], self.copy[rows], self.shard[rows], self.start[rows], self.frames[rows])

    def __len__(self) -> int:
        return len(self.copy)


class RowReader:
    """Verified reads of rows by position.

    Parameters
    ----------
    shards : tuple of ShardReader
        The shards that `RowIndex.shard` points into.
    bands : int
        Values of a frame.
    dtype : str
        Storage type.
    """

    def __init__(self, shards: tuple[ShardReader, ...], bands: int, dtype: str) -> None:
        self.shards = shards
        self.bands = bands
        self.dtype = np.dtype(dtype)

    def row(self, index: RowIndex, position: int) -> NDArray[Any]:
        """Return one row, `array [frames, bands]`; `DamagedObjectError` if its bytes are not sound."""
        out = np.empty((int(index.frames[position]), self.bands), self.dtype)
        self.shards[index.shard[position]].read_into(int(index.start[position]), out)
        return out

    def batch(
        self, index: RowIndex, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool, fill: float
    ) -> NDArray[np.int32]:
        """Read rows into `out`, `array [rows, longest, bands]`, padded with `fill`; return their frame counts.

        Raises
        ------
        ValueError
            If a row is longer than `out` has room for.
        DamagedObjectError
            If the bytes of a row are not sound.
        """
        lengths = index.frames[rows]
        longest = out.shape[1]
        if len(rows) and int(lengths.max()) > longest:
            raise ValueError(f"a row of {int(lengths.max())} frames does not fit into {longest}")
        shards, starts = index.shard[rows].tolist(), index.start[rows].tolist()
        for slot, (shard, start, length) in enumerate(zip(shards, starts, lengths.tolist(), strict=True)):
            target = out[slot]
            if length < longest:
                split = longest - length if left else length
                padding, target = (target[:split], target[split:]) if left else (target[split:], target[:split])
                padding.fill(fill)
            self.shards[shard].read_into(start, target)
        return lengths


def locate_rows(store: ReadableStore, record: DatasetRecord, table: Table) -> tuple[RowReader, RowIndex]:
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
