"""Where each row of a dataset is, in which shard and from which frame on.

A dataset's index is kept beside its record, as `indexes/ID.npy`, so that a million rows are opened without reading the
records of thousands of shards: an array `uint32 [3, rows]` as NumPy saves it, and behind it the sha256 of what comes
before. It follows from the record and its shards, so one that is lost or damaged is made again; each shard's part of it
is compared with the shard's own record before a row is read from there.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import DamagedObjectError, MissingObjectError
from featurestore.segments import brief
from featurestore.shards.reader import ShardReader
from featurestore.shards.record import ShardRecord, data_key, record_key

if TYPE_CHECKING:
    from featurestore.datasets import DatasetRecord, ReadableStore
    from featurestore.tables import Table

SHARD, START, FRAMES = range(3)
"""Lines of an index: position of the shard in the dataset's list, first frame in it, number of frames."""
NOWHERE = np.uint32(0xFFFFFFFF)
SHA256_BYTES = 32

Places = NDArray[np.uint32]
"""An index, `array [3, rows]`; rows by part of the record, then content id, then copy."""


@dataclass(frozen=True)
class RowIndex:
    """Where each row of a view is; all arrays have the shape `[rows]`."""

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


class RowOrder:
    """Which column of an index belongs to which row: the record of the dataset alone decides it."""

    def __init__(self, record: DatasetRecord) -> None:
        self.record = record
        self.first = np.cumsum([0, *(part.rows for part in record.parts)]).tolist()
        """Where the rows of each part begin; the last entry is the number of rows."""
        self.positions = [{content: place for place, content in enumerate(part.contents)} for part in record.parts]
        self._part_of = {part.spec.id: number for number, part in enumerate(record.parts)}

    def rows_of(self, shard: ShardRecord) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the rows of a shard are in the index, and which rows of the shard they are."""
        number = self._part_of.get(shard.spec.id)
        if number is None:
            raise DamagedObjectError(self.record.key, f"{shard.address} holds rows of another spec")
        part, positions = self.record.parts[number], self.positions[number]
        copies = np.arange(max(part.first, shard.first), min(part.stop, shard.stop))
        members = [(row, positions[content]) for row, content in enumerate(shard.members) if content in positions]
        held, contents = np.array(members, np.int64).reshape(-1, 2).T
        places = self.first[number] + contents[:, None] * (part.stop - part.first) + (copies - part.first)
        return places.ravel(), (held[:, None] * shard.copies + (copies - shard.first)).ravel()


def index_key(dataset: str) -> str:
    """Return the key of a dataset's index."""
    return f"indexes/{dataset}.npy"


def index_of(record: DatasetRecord, shards: Mapping[str, ShardRecord]) -> Places:
    """Find every row of a dataset in its shards, given by address; `DamagedObjectError` if some are not there."""
    order = RowOrder(record)
    places = np.full((3, record.rows), NOWHERE)
    for number, address in reversed(list(enumerate(record.addresses))):  # of a row in two shards the first counts
        shard = shards[address]
        own, rows = order.rows_of(shard)
        places[SHARD, own] = number
        places[START:, own] = _spans(shard, rows)
    lost = np.flatnonzero(places[SHARD] == NOWHERE)
    if len(lost):
        part = int(np.searchsorted(order.first, lost[0], side="right")) - 1
        content, _ = divmod(int(lost[0]) - order.first[part], record.parts[part].stop - record.parts[part].first)
        content_id = record.parts[part].contents[content]
        raise DamagedObjectError(record.key, f"its shards lack rows of {brief(content_id)}")
    return places


def _spans(shard: ShardRecord, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first frame and the number of frames of some rows of a shard, `array [2, rows]`."""
    return np.stack([shard.offsets[rows], shard.offsets[rows + 1] - shard.offsets[rows]])


def index_bytes(places: Places) -> bytes:
    """Return an index as it is stored."""
    body = _header(places.shape[1]) + places.astype("<u4").tobytes()
    return body + hashlib.sha256(body).digest()


def parse_index(key: str, data: bytes, rows: int) -> Places:
    """Read the index of so many rows; `DamagedObjectError` if its bytes are not sound or it is another's."""
    head, body = _header(rows), memoryview(data)[:-SHA256_BYTES]
    if len(body) != len(head) + 12 * rows or not data.startswith(head):
        raise DamagedObjectError(key, f"it is no index of {rows:,} rows")
    if hashlib.sha256(body).digest() != data[-SHA256_BYTES:]:
        raise DamagedObjectError(key, "its checksum does not match")
    return np.frombuffer(body[len(head) :], "<u4").reshape(3, rows)


def _header(rows: int) -> bytes:
    """Return what NumPy's format has before the values."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<u4", "fortran_order": False, "shape": (3, rows)})
    return head.getvalue()


class Shards:
    """The readers of a dataset's shards, each made when a row of it is read for the first time."""

    def __init__(self, store: ReadableStore, order: RowOrder, places: Places) -> None:
        self._store = store
        self._order = order
        self._places = places
        self._rows = np.bincount(places[SHARD], minlength=len(self))
        self._readers: dict[int, ShardReader] = {}

    def __len__(self) -> int:
        return len(self._order.record.addresses)

    def __getitem__(self, number: int) -> ShardReader:
        """Return a reader; `DamagedObjectError` if the shard's record is damaged or disagrees with the index."""
        if number not in self._readers:
            record = self._store.record(self._order.record.addresses[number])
            own, rows = self._order.rows_of(record)
            here = self._places[SHARD, own] == number
            own, rows = own[here], rows[here]
            same = np.array_equal(_spans(record, rows), self._places[START:, own])
            if len(own) != self._rows[number] or not same:
                raise DamagedObjectError(index_key(self._order.record.id), f"it differs from {record.address}")
            self._readers[number] = ShardReader(self._store.storage, record)
        return self._readers[number]

    def expect(self, numbers: Iterable[int], *, data: bool = True) -> None:
        """Let a storage fetch the records of shards, and with `data` their rows, that are read next in this order."""
        keys: list[str] = []
        for number in numbers:
            address = self._order.record.addresses[number]
            keys += [] if number in self._readers else [record_key(address)]
            keys += [data_key(address)] if data else []
        self._store.storage.expect(keys)


def locate_rows(store: ReadableStore, record: DatasetRecord, table: Table) -> tuple[Shards, RowIndex]:
    """Return the shards of a dataset, and where each row is, by path and copy.

    `DamagedObjectError` if the shards lack rows that the record counts.
    """
    places = _kept_index(store, record)
    if places is None:
        places = index_of(record, {address: store.record(address) for address in record.addresses})
    rows_in_order, contents_of = RowOrder(record), table.utterances.contents
    utterances, copies, rows = [], [], []
    for part, first, positions in zip(record.parts, rows_in_order.first, rows_in_order.positions, strict=False):
        found = np.fromiter(map(positions.get, contents_of, itertools.repeat(-1)), np.int64, len(contents_of))
        numbers = np.flatnonzero(found >= 0)
        contents = found[numbers]
        each = np.arange(part.stop - part.first)
        utterances.append(np.repeat(numbers, len(each)))
        copies.append(np.tile(part.first + each, len(numbers)))
        rows.append((first + contents[:, None] * len(each) + each).ravel())
    order = np.argsort(np.concatenate(utterances), kind="stable")
    chosen = places[:, np.concatenate(rows)[order]]
    index = RowIndex(
        np.concatenate(utterances)[order].astype(np.int32),
        np.concatenate(copies)[order].astype(np.int32),
        chosen[SHARD].astype(np.int32),
        chosen[START].astype(np.int64),
        chosen[FRAMES].astype(np.int32),
    )
    return Shards(store, rows_in_order, places), index


def _kept_index(store: ReadableStore, record: DatasetRecord) -> Places | None:
    """Return the index that the store keeps; None if there is none that is sound."""
    key = index_key(record.id)
    try:
        places = parse_index(key, store.storage.get(key), record.rows)
    except (MissingObjectError, DamagedObjectError):  # of an earlier version, or damaged: 'verify' reports it
        return None
    return places if int(places[SHARD].max()) < len(record.addresses) else None
