"""How many bytes of samples a WAV file promises, read from its chunks.

libsndfile hands out the samples that are there and says nothing of those that are missing, so a truncated download
would look like a shorter recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNKNOWN_SIZE = 0xFFFFFFFF
"""Written by programs that stream and cannot go back to fill in the size; RF64 files use it too."""


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The samples of a WAV file: what the header promises and what the file holds, in bytes."""

    promised: int
    held: int


def data_chunk(data: bytes) -> DataChunk | None:
    """Find the data chunk of a RIFF, RIFX or RF64 file; None if the bytes are no such file or have none.

    A size of 0xFFFFFFFF means `to the end of the file`, or in RF64 the size in its ds64 chunk.
    """
    if data[:4] not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        return None
    order: Literal["big", "little"] = "big" if data[:4] == b"RIFX" else "little"
    position, long_size = 12, None
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], order)
        start = position + 8
        if data[position : position + 4] == b"ds64" and start + 16 <= len(data):
            long_size = int.from_bytes(data[start + 8 : start + 16], order)
        if data[position : position + 4] == b"data":
            return _chunk(size, long_size, held=len(data) - start)
        position = start + size + size % 2
    return None


def _chunk(size: int, long_size: int | None, held: int) -> DataChunk:
    if size == UNKNOWN_SIZE:
        size = held if long_size is None else long_size
    return DataChunk(promised=size, held=held)
