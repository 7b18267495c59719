"""The bytes of a shard: a flat array of frames in checksummed chunks, readable by any Zarr v3 library.

The data object is the concatenation of inner chunks of `CHUNK` frames, each followed by its crc32c, and of an index
of (offset, length) pairs with a crc32c of its own: Zarr's sharding codec with the index at the end. Frames behind
the last row are NaN, so that nothing missing can be taken for silence. The object is a pure function of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

CHUNK = 256
"""Frames in one inner chunk."""
CRC_BYTES = 4


def crc32c(data: NDArray[np.uint8] | bytes) -> int:
    """Return the Castagnoli checksum of contiguous bytes, 32 bits."""
    return int(google_crc32c.value(data))


@dataclass(frozen=True)
class Layout:
    """Where the frames of a shard lie in its data object."""

    frames: int
    """Frames of all rows together."""
    bands: int
    dtype: str

    @property
    def row_bytes(self) -> int:
        """Bytes of one frame."""
        return self.bands * np.dtype(self.dtype).itemsize

    @property
    def chunks(self) -> int:
        """Number of inner chunks."""
        return -(-self.frames // CHUNK)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one inner chunk without its checksum."""
        return CHUNK * self.row_bytes

    @property
    def stride(self) -> int:
        """Bytes from one inner chunk to the next."""
        return self.chunk_bytes + CRC_BYTES

    @property
    def object_bytes(self) -> int:
        """Size of the data object in bytes."""
        return self.chunks * self.stride + len(self.index)

    @cached_property
    def index(self) -> bytes:
        """The shard index with its checksum, exactly as every sound object of this layout ends."""
        pairs = np.empty((self.chunks, 2), "<u8")
        pairs[:, 0] = np.arange(self.chunks, dtype=np.uint64) * np.uint64(self.stride)
        pairs[:, 1] = self.stride
        body = pairs.tobytes()
        return body + crc32c(body).to_bytes(CRC_BYTES, "little")

    def zarr_metadata(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the Zarr v3 array metadata of this layout."""
        crc: dict[str, Any] = {"name": "crc32c"}
        little: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
        sharding = {
            "chunk_shape": [CHUNK, self.bands],
            "codecs": [little, crc],
            "index_codecs": [little, crc],
            "index_location": "end",
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.frames, self.bands],
            "data_type": self.dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.chunks * CHUNK, self.bands]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN",
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": attributes,
            "dimension_names": ["frame", "band"],
            "storage_transformers": [],
        }

    def chunk_checksums(self, data: NDArray[np.uint8]) -> tuple[int, ...]:
        """Return the crc32c that stands behind each inner chunk of a data object."""
        ends = data[: self.chunks * self.stride].reshape(self.chunks, self.stride)[:, self.chunk_bytes :]
        return tuple(np.ascontiguousarray(ends).view("<u4")[:, 0].tolist())

    def encode(self, rows: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
        """Return the data object of rows `array [frames, bands]`, `array [object_bytes]` of bytes."""
        padded = np.empty((self.chunks * CHUNK, self.bands), self.dtype)
        start = 0
        for row in rows:
            padded[start : start + len(row)] = row
            start += len(row)
        padded[start:] = np.nan
        encoded = np.empty(self.object_bytes, np.uint8)
        body = encoded[: self.chunks * self.stride].reshape(self.chunks, self.stride)
        body[:, : self.chunk_bytes] = padded.view(np.uint8).reshape(self.chunks, self.chunk_bytes)
        for chunk in body:
            checksum = crc32c(chunk[: self.chunk_bytes])
            chunk[self.chunk_bytes :] = np.frombuffer(checksum.to_bytes(CRC_BYTES, "little"), np.uint8)
        encoded[self.chunks * self.stride :] = np.frombuffer(self.index, np.uint8)
        return encoded
