"""Direct, verified reads of a shard's rows from its own bytes.

zarr-python opens the same objects (a test compares the two) but spends a millisecond on each read; this reader takes
a row's bytes from the file. Each inner chunk's crc32c is checked the first time it is read, and remembered. Files are
read and not mapped: one that is cut short under a map ends a process silently.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import DamagedObjectError
from featurestore.shards.record import CHUNK, CRC_BYTES, ShardRecord, crc32c, data_key
from featurestore.storage.protocol import Buffer, Storage, Version

PATIENCE = 3
"""Times that an object may be replaced by another while it is read."""


class ShardReader:
    """The frames of one shard's data object, by its verified record."""

    def __init__(self, storage: Storage, record: ShardRecord) -> None:
        self.storage = storage
        self.record = record
        self.key = data_key(record.address)
        self._version: Version | None = None
        self._verified = bytearray()
        """1 for each chunk whose checksum has been verified in this version of the object."""

    def row(self, position: int) -> NDArray[Any]:
        """Return a copy of one row, `array [frames, bands]`; `DamagedObjectError` if its bytes are not sound."""
        start, stop = self.record.offsets[position : position + 2]
        row = np.empty((stop - start, self.record.layout.bands), self.record.layout.dtype)
        self.read_into(int(start), row)
        return row

    def read_into(self, start: int, out: NDArray[Any]) -> None:
        """Copy frames `start` to `start + len(out)` of the shard into `out`, `array [frames, bands]`."""
        layout = self.record.layout
        chunk, inside = divmod(start, CHUNK)
        last, end = divmod(start + len(out) - 1, CHUNK)
        begin = inside * layout.frame_bytes
        raw = np.empty((last - chunk) * layout.stride + (end + 1) * layout.frame_bytes - begin, np.uint8)
        version = self.storage.read(self.key, chunk * layout.stride + begin, raw)
        if version != self._version or self._verified.find(0, chunk, last + 1) >= 0:
            raw = self._verify(chunk, last)[begin:]
        while True:  # most rows lie in one chunk, or end in their second: each step here is felt
            taken = min(CHUNK - inside, len(out))
            stop = taken * layout.frame_bytes
            out[:taken] = raw[:stop].view(layout.dtype).reshape(taken, layout.bands)
            if taken == len(out):
                return
            out, raw, inside = out[taken:], raw[stop + CRC_BYTES :], 0

    def _verify(self, first: int, last: int) -> Buffer:
        """Return some chunks, each with the checksum behind it, their checksums compared with the record.

        Unsound ones of a storage that keeps copies, or is far away, are read a second time.
        """
        try:
            return self._compare(first, last)
        except DamagedObjectError:
            if not self.storage.distrust(self.key):
                raise
        return self._compare(first, last)

    def _compare(self, first: int, last: int) -> Buffer:
        stride = self.record.layout.stride
        chunks = np.empty((last + 1 - first) * stride, np.uint8)
        for _ in range(PATIENCE):
            if self.storage.read(self.key, first * stride, chunks) == self._version:
                break
            index = np.empty(len(self.record.layout.index), np.uint8)
            version = self.storage.read(self.key, self.record.layout.chunks * stride, index)
            _check_ends(self.record, version.size, index)
            self._version = version
            self._verified = bytearray(self.record.layout.chunks)
        else:
            raise DamagedObjectError(self.key, "it changes while it is read")
        for chunk in range(first, last + 1):
            if not self._verified[chunk]:
                check_chunk(self.record, chunks[(chunk - first) * stride :], chunk)
                self._verified[chunk] = 1
        return chunks


def _check_ends(record: ShardRecord, size: int, index: Buffer | None = None) -> None:
    """Raise a `DamagedObjectError` if size or chunk index of a data object are not those of its layout."""
    if size != record.layout.object_bytes:
        reason = f"{size:,} bytes, expected {record.layout.object_bytes:,}"
        raise DamagedObjectError(data_key(record.address), reason)
    if index is not None and index.tobytes() != record.layout.index:
        raise DamagedObjectError(data_key(record.address), "its chunk index is wrong")


def check_chunk(record: ShardRecord, data: Buffer, chunk: int) -> None:
    """Check the crc32c of one inner chunk, with which `data` begins; `DamagedObjectError` if it is not the record's.

    The checksum beside the chunk would not reveal the data object of another shard of the same size.
    """
    if crc32c(data[: record.layout.chunk_bytes]) != record.chunks[chunk]:
        raise DamagedObjectError(data_key(record.address), f"checksum of chunk {chunk} does not match")


def read_object(record: ShardRecord, storage: Storage) -> Buffer:
    """Return the bytes of a data object whose size and index are those of the layout; the rest is not checked."""
    _check_ends(record, storage.size(data_key(record.address)))  # before so much is read
    data = np.frombuffer(storage.get(data_key(record.address)), np.uint8)
    _check_ends(record, len(data), data[record.layout.chunks * record.layout.stride :])
    return data


def decode_rows(record: ShardRecord, data: Buffer) -> list[NDArray[Any]]:
    """Return all rows of a data object of the layout's size; `DamagedObjectError` if a chunk's checksum is wrong.

    The rows' own checksums are left to the caller to compare.
    """
    layout = record.layout
    for chunk in range(layout.chunks):
        check_chunk(record, data[chunk * layout.stride :], chunk)
    chunks = [data[chunk * layout.stride :][: layout.chunk_bytes] for chunk in range(layout.chunks)]
    frames = np.concatenate(chunks).view(layout.dtype).reshape(-1, layout.bands)
    if not np.isnan(frames[layout.frames :]).all():
        raise DamagedObjectError(data_key(record.address), "frames after the last row are not empty")
    return [frames[start:stop] for start, stop in zip(record.offsets[:-1], record.offsets[1:], strict=True)]
