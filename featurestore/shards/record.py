"""A shard on disk: the bytes of its rows, and a record that describes and proves them.

The data object is a flat array of frames, readable by any Zarr v3 library: inner chunks of `CHUNK` frames, each
followed by its crc32c, and an index of (offset, length) pairs with a crc32c of its own (Zarr's sharding codec with the
index at the end). Frames behind the last row are NaN, so that nothing missing can be taken for silence. The object is a
pure function of its rows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from featurestore.checksummed_json import canonical_json, check_format, digest, parsed, reading
from featurestore.errors import DamagedObjectError
from featurestore.segments import is_content
from featurestore.specs.augmentation import Perturbation
from featurestore.specs.row_spec import RowSpec
from featurestore.storage.protocol import LARGEST_RECORD
from featurestore.typed_values import check_types

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
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return self.bands * np.dtype(self.dtype).itemsize

    @property
    def chunks(self) -> int:
        """Number of inner chunks."""
        return -(-self.frames // CHUNK)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one inner chunk without its checksum."""
        return CHUNK * self.frame_bytes

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
        codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        sharding = {
            "chunk_shape": [CHUNK, self.bands],
            "codecs": codecs,
            "index_codecs": codecs,
            "index_location": "end",
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.frames, self.bands],
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [self.chunks * CHUNK, self.bands]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN",
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": attributes,
            "dimension_names": ["frame", "band"],
            "storage_transformers": [],
        }

    def chunk_checksums(self, data: NDArray[np.uint8]) -> tuple[int, ...]:
        """Return the crc32c after each inner chunk of a data object."""
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


CHECKSUM = re.compile(r"[0-9a-f]{32}")
Remark = Mapping[str, float]
Remarks = tuple[tuple[int, Remark], ...]
REMARKED = {
    "clean": {"silent", "rate"},
    "copy": {field.name for field in dataclasses.fields(Perturbation)} - {"own", "noise", "rir"},
}
"""What remarks may speak of: what has a number."""


def row_checksum(row: NDArray[Any]) -> str:
    """Return the checksum of a row's bytes: the first 128 bits of their sha256, 32 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(row).data).hexdigest()[:32]


def shard_address(spec_id: str, first: int, stop: int, members: tuple[str, ...]) -> str:
    """Return the address of the shard of these rows; it depends on what goes in, not on what comes out."""
    return f"shards/{spec_id[:16]}/{digest([spec_id, first, stop, list(members)])[:32]}"


def data_key(address: str) -> str:
    """Return the key of a shard's data object."""
    return f"{address}/c/0/0"


def record_key(address: str) -> str:
    """Return the key of a shard's record, its Zarr metadata: the shard exists if and only if this object does."""
    return f"{address}/zarr.json"


@dataclass(frozen=True)
class ShardRecord:
    """Rows `[first, stop)` of each member, one after the other, as stored in one Zarr array."""

    spec: RowSpec
    first: int
    """First copy index; 0 for clean rows, which have `stop` 1."""
    stop: int
    """One past the last copy index."""
    members: tuple[str, ...]
    """Content ids in rising order."""
    frames: tuple[int, ...]
    """Frames of each row."""
    checksums: tuple[str, ...]
    """Checksum of each row, see `row_checksum`."""
    chunks: tuple[int, ...]
    """crc32c of each inner chunk: what ties the data object to this record, so that no other can take its place."""
    remarks: Remarks = ()
    """What the key of a row does not hold, for the few rows that need a remark, in ascending order.

    Of an augmented copy: the fields of its perturbation that are not as first drawn, with what was applied. Of a clean
    row: `silent` (true) if its signal is, and `rate` of its recording in hertz where that is below the features'.
    """

    def __post_init__(self) -> None:
        rows = len(self.members) * (self.stop - self.first)
        known = REMARKED["copy" if self.first else "clean"]
        sound = (
            0 <= self.first < self.stop
            and list(self.members) == sorted(set(self.members))
            and all(map(is_content, self.members))
            and len(self.frames) == len(self.checksums) == rows > 0
            and all(isinstance(count, int) and count > 0 for count in self.frames)
            and all(CHECKSUM.fullmatch(checksum) for checksum in self.checksums)
            and len(self.chunks) == self.layout.chunks
            and all(isinstance(crc, int) and 0 <= crc < 1 << 32 for crc in self.chunks)
            and [row for row, _ in self.remarks] == sorted({row for row, _ in self.remarks if 0 <= row < rows})
            and all(remark and remark.keys() <= known for _, remark in self.remarks)
            and all(
                isinstance(value, int | float) and math.isfinite(value)
                for _, remark in self.remarks
                for value in remark.values()
            )
        )
        if not sound:
            raise ValueError("the members, rows, frames and checksums of a shard record do not fit together")

    @cached_property
    def address(self) -> str:
        """The shard's address."""
        return shard_address(self.spec.id, self.first, self.stop, self.members)

    @cached_property
    def remark_of(self) -> dict[int, Remark]:
        """The remarks by the position of their row."""
        return dict(self.remarks)

    @property
    def copies(self) -> int:
        """Rows of each member."""
        return self.stop - self.first

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.frames)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Frame at which each row starts, `array [rows + 1]`; the last entry is the total."""
        return np.concatenate([[0], np.cumsum(self.frames, dtype=np.int64)])

    @cached_property
    def layout(self) -> Layout:
        """The physical layout of the data object."""
        return Layout(int(self.offsets[-1]), self.spec.features.width, self.spec.features.dtype)

    def row_index(self, content: str, copy: int) -> int:
        """Return the position of a row in the shard; `KeyError` if it is not there."""
        if not self.first <= copy < self.stop:
            raise KeyError(copy)
        return self._positions[content] * self.copies + copy - self.first

    def row_keys(self) -> Iterator[tuple[str, int]]:
        """Yield (content, copy) of each row in stored order."""
        for member in self.members:
            for copy in range(self.first, self.stop):
                yield member, copy

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {member: position for position, member in enumerate(self.members)}

    def to_bytes(self) -> bytes:
        """Return the shard's `zarr.json`: Zarr v3 metadata with this record, sealed, among its attributes."""
        body = {
            "spec": self.spec.document,
            "first": self.first,
            "stop": self.stop,
            "members": list(self.members),
            "frames": list(self.frames),
            "checksums": list(self.checksums),
            "chunks": list(self.chunks),
        }
        if self.remarks:
            body["remarks"] = {str(row): dict(remark) for row, remark in self.remarks}
        metadata = self.layout.zarr_metadata({"featurestore": {**body, "seal": digest(body)}})
        return canonical_json(metadata).encode("ascii")

    @classmethod
    def from_bytes(cls, address: str, data: bytes) -> ShardRecord:
        """Read and check a `zarr.json`; `DamagedObjectError` unless every byte is as we write it."""
        key = record_key(address)
        with reading(key, "a shard record"):
            if len(data) > LARGEST_RECORD:
                raise ValueError("too large")
            body = dict(parsed(data)["attributes"]["featurestore"])
            seal = body.pop("seal")
            check_format(body["spec"]["format"])
            record = cls(
                RowSpec.from_document(body["spec"]),
                body["first"],
                body["stop"],
                tuple(body["members"]),
                tuple(body["frames"]),
                tuple(body["checksums"]),
                tuple(body["chunks"]),
                tuple(sorted((int(row), remark) for row, remark in body.get("remarks", {}).items())),
            )
            check_types(record)
            check_types(record.spec)
            same = record.to_bytes() == data  # of its seal too
            if not same and seal != digest(body):
                raise ValueError("its seal does not match")
        if record.address != address:
            raise DamagedObjectError(key, "the record belongs to another address")
        if not same:
            raise DamagedObjectError(key, "the metadata does not describe the record's rows")
        return record
