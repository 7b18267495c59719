"""The commit record of a shard: what it holds, and how to tell that it holds it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.checksummed_json import canonical_json, check_format, check_types, digest, parsed, reading
from featurestore.errors import DamagedObjectError
from featurestore.segments import is_content
from featurestore.shards import layout
from featurestore.specs.perturbation import Perturbation
from featurestore.specs.row_spec import RowSpec

CHECKSUM = re.compile(r"[0-9a-f]{32}")
Remark = Mapping[str, float]
Remarks = tuple[tuple[int, Remark], ...]
REMARKED = {
    "clean": {"silent", "rate"},
    "copy": {field.name for field in dataclasses.fields(Perturbation)} - {"own", "noise", "rir"},
}
"""What remarks may speak of: what has a number."""
LARGEST_RECORD = 64_000_000
"""Bytes of the largest record that is read; a larger one is damage, not data."""


def row_checksum(row: NDArray[Any]) -> str:
    """Return the checksum of a row's bytes: the first 128 bits of their sha256, 32 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(row).data).hexdigest()[:32]


def shard_address(spec_id: str, first: int, stop: int, members: tuple[str, ...]) -> str:
    """Return where the shard of these rows stands; it depends on what goes in, not on what comes out."""
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
    """What the key of a row does not tell, for the few rows of which there is something to tell, in rising order.

    Of an augmented copy: the fields of its perturbation that are not as first drawn, with what was applied. Of a clean
    row: `silent` (true) if its signal is, and `rate` of its recording in hertz where that is below the features'.
    """

    def __post_init__(self) -> None:
        rows = len(self.members) * (self.stop - self.first)
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
            and all(remark and self._is_sound(remark) for _, remark in self.remarks)
        )
        if not sound:
            raise ValueError("the members, rows, frames and checksums of a shard record do not fit together")

    @cached_property
    def address(self) -> str:
        """Where the shard stands."""
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
    def layout(self) -> layout.Layout:
        """The physical layout of the data object."""
        return layout.Layout(int(self.offsets[-1]), self.spec.features.width, self.spec.features.dtype)

    def _is_sound(self, remark: Remark) -> bool:
        """Tell whether a remark speaks of what there is to tell of such a row, in finite numbers."""
        known = REMARKED["copy" if self.first else "clean"]
        return remark.keys() <= known and all(
            isinstance(value, int | float) and math.isfinite(value) for value in remark.values()
        )

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
        """Read and check a `zarr.json`: seal, address and every byte of the metadata must be as we write them.

        Raises
        ------
        DamagedObjectError
            If anything differs; the message says what.
        """
        key = record_key(address)
        with reading(key, "a shard record"):
            body = _sealed_body(data)
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
            same = record.to_bytes() == data
        if record.address != address:
            raise DamagedObjectError(key, "the record belongs to another address")
        if not same:
            raise DamagedObjectError(key, "the metadata does not describe the record's rows")
        return record


def _sealed_body(data: bytes) -> Mapping[str, Any]:
    if len(data) > LARGEST_RECORD:
        raise ValueError("too large")
    body = dict(parsed(data)["attributes"]["featurestore"])
    seal = body.pop("seal")
    check_format(body["spec"]["format"])
    if seal != digest(body):
        raise ValueError("its seal does not match")
    return body
