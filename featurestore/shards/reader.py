"""Direct, verified reads of a shard's rows from its own bytes.

zarr-python opens the same objects (a test compares the two) but spends a millisecond on each read; this reader
slices a memory map. Each inner chunk's crc32c is checked the first time a process touches it, and remembered.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import DamagedObjectError
from featurestore.shards.layout import CHUNK, Layout, crc32c
from featurestore.shards.record import ShardRecord, data_key
from featurestore.storage.protocol import Buffer, Storage


class ShardReader:
    """The frames of one shard's data object.

    Opened at the first read of each process, so that it can be handed to forked or spawned loader workers.

    Parameters
    ----------
    storage : Storage
        Where the shard stands.
    record : ShardRecord
        The shard's verified record.
    """

    def __init__(self, storage: Storage, record: ShardRecord) -> None:
        self.storage = storage
        self.record = record
        self.key = data_key(record.address)
        self._process = -1

    def __getstate__(self) -> dict[str, Any]:
        return {"storage": self.storage, "record": self.record, "key": self.key, "_process": -1}

    def row(self, position: int) -> NDArray[Any]:
        """Return a copy of one row, `array [frames, bands]`; `DamagedObjectError` if its bytes are not sound."""
        start, stop = self.record.offsets[position : position + 2]
        row = np.empty((stop - start, self.record.layout.bands), self.record.layout.dtype)
        self.read_into(int(start), row)
        return row

    def read_into(self, start: int, out: NDArray[Any]) -> None:
        """Copy frames `start` to `start + len(out)` of the shard into `out`, `array [frames, bands]`."""
        if self._process != os.getpid():
            self._open()
        chunk, inside = divmod(start, CHUNK)
        missing = len(out)
        while True:
            if not self._verified[chunk]:
                self._verify(chunk)
            taken = CHUNK - inside
            if missing <= taken:  # most rows lie in one chunk, or end in their second: each step here is felt
                out[:] = self._frames[chunk][inside : inside + missing]
                return
            out[:taken] = self._frames[chunk][inside:]
            out, missing = out[taken:], missing - taken
            chunk, inside = chunk + 1, 0

    def close(self) -> None:
        """Let go of the shard's bytes; the next read opens it again, and verifies again."""
        if self._process == os.getpid():
            del self._buffer, self._frames, self._verified
        self._process = -1

    def _open(self) -> None:
        layout, buffer = self.record.layout, self.storage.buffer(self.key)
        check_object(self.record, buffer)
        self._buffer = buffer
        self._frames = [chunk.view(layout.dtype).reshape(CHUNK, layout.bands) for chunk in _chunks(layout, buffer)]
        self._verified = bytearray(layout.chunks)
        self._process = os.getpid()

    def _verify(self, chunk: int) -> None:
        check_chunk(self.record, self._buffer, chunk)
        self._verified[chunk] = 1


def check_object(record: ShardRecord, buffer: Buffer) -> None:
    """Check size and index of a data object; `DamagedObjectError` if they are not those of the layout."""
    key, layout = data_key(record.address), record.layout
    if len(buffer) != layout.object_bytes:
        raise DamagedObjectError(key, f"{len(buffer):,} bytes, expected {layout.object_bytes:,}")
    if buffer[layout.chunks * layout.stride :].tobytes() != layout.index:
        raise DamagedObjectError(key, "its chunk index is wrong")


def check_chunk(record: ShardRecord, buffer: Buffer, chunk: int) -> None:
    """Check the crc32c of one inner chunk against the record; `DamagedObjectError` if it does not match.

    The checksum beside the chunk would not tell the data object of another shard of the same size.
    """
    start = chunk * record.layout.stride
    if crc32c(buffer[start : start + record.layout.chunk_bytes]) != record.chunks[chunk]:
        raise DamagedObjectError(data_key(record.address), f"checksum of chunk {chunk} does not match")


def _chunks(layout: Layout, buffer: Buffer) -> Iterator[Buffer]:
    for chunk in range(layout.chunks):
        yield buffer[chunk * layout.stride :][: layout.chunk_bytes]


def decode_rows(record: ShardRecord, data: Buffer) -> list[NDArray[Any]]:
    """Return all rows of a whole data object in memory, every byte of it verified.

    Raises
    ------
    DamagedObjectError
        If size, index or a chunk's checksum is wrong. The rows' own checksums are the caller's to compare.
    """
    key, layout = data_key(record.address), record.layout
    check_object(record, data)
    for chunk in range(layout.chunks):
        check_chunk(record, data, chunk)
    frames = np.concatenate(list(_chunks(layout, data))).view(layout.dtype).reshape(-1, layout.bands)
    if not np.isnan(frames[layout.frames :]).all():
        raise DamagedObjectError(key, "frames behind the last row are not empty")
    return [frames[start:stop] for start, stop in zip(record.offsets[:-1], record.offsets[1:], strict=True)]
