"""What the chunks of a WAV file say: how its samples are coded, and how many bytes of them it promises.

libsndfile hands out the samples that are there and says nothing of those that are missing, so a truncated download
would look like a shorter recording. Chunks after Microsoft's RIFF specification; RF64 and BW64 after ITU-R BS.2088.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

UNKNOWN_SIZE = 0xFFFFFFFF
"""Written by programs that stream and cannot go back to fill in the size; RF64 files use it too."""
STREAM_MARKS = (0x7F000000, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
STREAM_HEADERS = 65_536
"""Bytes that a program may have taken off for headers, or rounded off, or put on."""
EXTENSIBLE = 0xFFFE
"""Format tag whose meaning stands in the extension."""
_MOST_CHUNKS = 10_000

Order = Literal["big", "little"]


def is_streamed(size: int) -> bool:
    """Tell whether a size means `to the end of the file`: SoX, ffmpeg, ALSA and others write the largest that fits.

    Each takes off what it takes for its headers, or rounds. A file that is really so long is larger than any that is
    read here.
    """
    return any(abs(size - mark) <= STREAM_HEADERS for mark in STREAM_MARKS)


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The samples of a WAV file: what the header promises and what the file holds, in bytes."""

    promised: int
    held: int
    start: int = 0
    """Position of the first sample in the file."""
    streamed: bool = False
    """True if the header gives no size."""


@dataclass(frozen=True, slots=True)
class WavFormat:
    """The `fmt ` chunk of a WAV file."""

    tag: int
    """The coding: 1 integer, 3 float, 6 A-law, 7 mu-law, others compressed; an extension is resolved."""
    channels: int
    rate: int
    block: int
    """Bytes of one sample of all channels, as the header has it."""
    bits: int
    """Bits of a sample's container."""
    valid_bits: int
    """Bits of a sample that count."""

    @property
    def width(self) -> int:
        """Bytes of one sample of one channel; 24 bits can stand in four, and other contradictions are overlooked."""
        roomy = 16 < self.bits <= 24 and self.block == 4 * self.channels
        return 4 if roomy else -(-self.bits // 8)


def data_chunk(data: bytes) -> DataChunk | None:
    """Find the data chunk of a RIFF, RIFX, RF64 or BW64 file; None if the bytes are no such file or have none.

    A size of 0xFFFFFFFF means `to the end of the file`, or in RF64 the size in its ds64 chunk.
    """
    long_size = None
    for name, start, size in _chunks(data):
        if name == b"ds64" and start + 16 <= len(data):
            long_size = int.from_bytes(data[start + 8 : start + 16], _order(data))
        if name == b"data":
            return _chunk(size, long_size, start, held=len(data) - start)
    return None


def wav_format(data: bytes) -> WavFormat | None:
    """Read the `fmt ` chunk; None if there is none before the samples, or it is cut."""
    for name, start, size in _chunks(data):
        if name == b"data":
            return None
        if name == b"fmt ":
            return _format(data[start : start + min(size, 64)], _order(data))
    return None


def _order(data: bytes) -> Order:
    return "big" if data[:4] == b"RIFX" else "little"


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position and announced size of each chunk of a WAV file."""
    if data[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or data[8:12] != b"WAVE":
        return
    position = 12
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            return
        size = int.from_bytes(data[position + 4 : position + 8], _order(data))
        yield data[position : position + 4], position + 8, size
        position += 8 + size + size % 2


def _chunk(size: int, long_size: int | None, start: int, held: int) -> DataChunk:
    if size == UNKNOWN_SIZE and long_size is not None:
        return DataChunk(long_size, held, start)
    if is_streamed(size) and size > held:
        return DataChunk(held, held, start, streamed=True)
    return DataChunk(size, held, start)


def _format(body: bytes, order: Order) -> WavFormat | None:
    if len(body) < 14:
        return None
    tag, channels = (int.from_bytes(body[at : at + 2], order) for at in (0, 2))
    rate = int.from_bytes(body[4:8], order)
    block, bits = (int.from_bytes(body[at : at + 2], order) for at in (12, 14))
    valid = bits
    if tag == EXTENSIBLE and len(body) >= 26:
        valid = int.from_bytes(body[18:20], order) or bits
        tag = int.from_bytes(body[24:26], order) or int.from_bytes(body[24:28], order)
    return WavFormat(tag, channels, rate, block, bits, min(valid, bits))
