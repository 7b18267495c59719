"""WAV: its chunks, refused where it is cut or ambiguous, else in a form that every decoder reads.

libsndfile returns the samples that are there and does not report those that are missing, so a truncated download
would look like a shorter recording. Chunks after Microsoft's RIFF specification; RF64 and BW64 after ITU-R BS.2088.

Plain samples (integers of 8 to 64 bits, floats, A-law, mu-law) get a new header of 44 bytes, so that no foreign chunk
ever reaches the decoder; compressed ones and big-endian files are handed on as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from featurestore.errors import AudioError
from featurestore.signal.arrays import check_channels_and_rate
from featurestore.signal.containers.mpeg import prepare_mpeg
from featurestore.signal.containers.prepared import Prepared, check_held, is_streamed

UNKNOWN_SIZE = 0xFFFFFFFF
"""Written by programs that stream and cannot go back to fill in the size; RF64 files use it too."""
EXTENSIBLE = 0xFFFE
"""Format tag whose meaning is in the extension."""
INTEGER, FLOAT = 1, 3
MS_ADPCM, IMA_ADPCM, GSM, MP3 = 2, 17, 49, 85
PLAIN_TAGS = {INTEGER: "integer", FLOAT: "float", 6: "A-law", 7: "mu-law"}
GSM_SAMPLES = 320
"""Samples of a block of GSM 6.10 as Microsoft packs it, 65 bytes."""
_MOST_CHUNKS = 10_000
_WIDTHS = {INTEGER: (1, 2, 3, 4, 5, 6, 7, 8), FLOAT: (4, 8), 6: (1,), 7: (1,)}
"""Bytes of a sample that each coding can have."""
_WIDEST_READ = 4
"""Bytes of an integer that libsndfile reads; wider ones become floats of 64 bits here."""
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_SHORTEST_STREAM = 0.01
"""Seconds: a file that gives no size and ends sooner was broken off behind its header."""
Order = Literal["big", "little"]


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
        """Bytes of one sample of one channel; 24 bits can lie in four, and other contradictions are overlooked."""
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
            held = len(data) - start
            if size == UNKNOWN_SIZE and long_size is not None:
                return DataChunk(long_size, held, start)
            if is_streamed(size) and size > held:
                return DataChunk(held, held, start, streamed=True)
            return DataChunk(size, held, start)
    return None


def wav_format(data: bytes) -> WavFormat | None:
    """Read the `fmt ` chunk; None if there is none before the samples, or it is cut."""
    order = _order(data)
    for name, start, size in _chunks(data):
        if name == b"data":
            return None
        if name == b"fmt ":
            body = data[start : start + min(size, 64)]
            if len(body) < 14:
                return None
            tag, channels, block, bits = (int.from_bytes(body[at : at + 2], order) for at in (0, 2, 12, 14))
            valid = bits
            if tag == EXTENSIBLE and len(body) >= 26:
                valid = int.from_bytes(body[18:20], order) or bits
                tag = int.from_bytes(body[24:26], order) or int.from_bytes(body[24:28], order)
            return WavFormat(tag, channels, int.from_bytes(body[4:8], order), block, bits, min(valid, bits))
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


def prepare_wav(data: bytes) -> Prepared:
    """Check a WAV file's header against its bytes and return the file that libsndfile should decode.

    Raises
    ------
    AudioError
        If the format or the samples are missing, cut or contradictory, or how the samples lie in their
        containers is ambiguous.
    """
    form, chunk = wav_format(data), data_chunk(data)
    if chunk is None:
        raise AudioError("truncated or damaged: a WAV file without samples (no 'data' chunk).")
    if form is None:
        raise AudioError("truncated or damaged: a WAV file without a format ('fmt ' chunk) before its samples.")
    check_channels_and_rate(form.channels, form.rate)
    plain = form.tag in PLAIN_TAGS
    if plain and (form.bits == 0 or -(-form.bits // 8) not in _WIDTHS[form.tag]):
        kind, low, high = PLAIN_TAGS[form.tag], 8 * _WIDTHS[form.tag][0], 8 * _WIDTHS[form.tag][-1]
        raise AudioError(f"{kind} samples of {form.bits} bits in a WAV file; {low} to {high} are read.")
    check_held(chunk.promised, chunk.held)
    behind = chunk.start + chunk.promised + chunk.promised % 2
    if data[behind : behind + 4] == data[:4] and data[behind + 8 : behind + 12] == b"WAVE":
        raise AudioError("several WAV files in one; split it into one file for each.")
    if chunk.promised == 0 and chunk.held > 8:
        raise AudioError(
            f"no samples: the header announces 0 bytes, {chunk.held} follow; was the recording broken off?"
        )
    if chunk.streamed and chunk.held < _SHORTEST_STREAM * form.rate * form.block:
        raise AudioError(f"truncated: a stream of unknown length that ends {chunk.held} bytes behind its header.")
    if data[:4] == b"RIFX" or not plain:
        return _compressed(data, form, chunk)
    return Prepared(_plain(data, form, chunk))


def is_plain_wav(data: bytes) -> bool:
    """Return whether `prepare_wav` gives samples behind a header of our own: nothing that could trap a decoder."""
    form = wav_format(data) if data[:4] in (b"RIFF", b"RF64", b"BW64") else None
    return form is not None and form.tag in PLAIN_TAGS


def _plain(data: bytes, form: WavFormat, chunk: DataChunk) -> bytes:
    """Return the samples behind a header of 44 bytes, wide ones as floats; the file itself if it is that."""
    width = form.width
    whole = chunk.promised - chunk.promised % (width * form.channels)
    full = form.tag != INTEGER or width == 1 or form.valid_bits == 8 * width
    read = form.tag != INTEGER or width <= _WIDEST_READ
    if full and read and data[: _HEADER.size] == _header(form.tag, width, form, whole) and chunk.held == whole:
        return data
    samples = data[chunk.start : chunk.start + whole]
    if not full:
        _check_justified(samples, width, form)
    if read:
        return _header(form.tag, width, form, whole) + samples
    rows = np.frombuffer(samples, np.uint8).reshape(-1, width)
    wide = np.zeros((len(rows), 8), np.uint8)
    wide[:, 8 - width :] = rows
    doubles = (wide.view("<i8")[:, 0] / 2.0**63).astype("<f8").tobytes()
    return _header(FLOAT, 8, form, len(doubles)) + doubles


def _compressed(data: bytes, form: WavFormat, chunk: DataChunk) -> Prepared:
    """Bring compressed samples into a form that libsndfile decodes whole, and count what they hold.

    The last block of ADPCM is filled up with zeros, since libsndfile would leave it out. GSM has whole blocks alone: a
    byte behind them makes the size even and is none. MP3 is handed on without the WAV file around it.
    """
    if form.tag == MP3:
        return prepare_mpeg(data[chunk.start : chunk.start + chunk.promised])
    if form.tag == GSM and form.block:
        blocks, rest = divmod(chunk.promised, form.block)
        if rest > 1 or not blocks:
            raise AudioError(f"truncated: the last block of GSM has {rest} of {form.block} bytes.")
        return Prepared(_cut(data, chunk, blocks * form.block), blocks * GSM_SAMPLES)
    head = {MS_ADPCM: 7, IMA_ADPCM: 4}.get(form.tag, 0) * form.channels
    if not head or data[:4] == b"RIFX" or form.block <= head:
        return Prepared(data)
    blocks, rest = divmod(chunk.promised, form.block)
    if rest <= head:
        return Prepared(data)
    first = 2 if form.tag == MS_ADPCM else 1
    samples, last = (first + 2 * (size - head) // form.channels for size in (form.block, rest))
    return Prepared(_cut(data, chunk, (blocks + 1) * form.block), blocks * samples + last)


def _cut(data: bytes, chunk: DataChunk, size: int) -> bytes:
    """Return the file with so many bytes of samples: cut, or filled up with zeros, and nothing behind them."""
    samples = data[chunk.start : chunk.start + min(size, chunk.promised)].ljust(size, b"\x00")
    return data[: chunk.start - 4] + size.to_bytes(4, "little") + samples


def _header(tag: int, width: int, form: WavFormat, size: int) -> bytes:
    block = width * form.channels
    speed = min(form.rate * block, 0xFFFFFFFF)
    return _HEADER.pack(
        b"RIFF", min(size + 36, 0xFFFFFFFF), b"WAVE", b"fmt ", 16, tag, form.channels, form.rate, speed, block,
        8 * width, b"data", size,
    )  # fmt: skip


def _check_justified(samples: bytes, width: int, form: WavFormat) -> None:
    """Refuse samples of fewer bits than their containers that fill the low bits and not the high ones.

    The format wants them in the high bits. Some programs write them into the low ones, which then are up to 256 times
    too quiet, and an old editor wrote floats under the same header.
    """
    spare = 8 * width - form.valid_bits
    rows = np.frombuffer(samples, np.uint8).reshape(-1, width)
    lower = rows[:, : spare // 8].any() or bool((rows[:, spare // 8] & (1 << spare % 8) - 1).any())
    undeclared = spare >= 8 and form.bits != 8 * width  # containers that are wider than the header has them
    top = rows[:, -1].view(np.int8)
    within = np.abs(top.astype(np.int16) + (top < 0)) < 1 << max(0, 7 - spare)
    if lower and (undeclared or within.all()):
        raise AudioError(
            f"{form.valid_bits}-bit samples in containers of {8 * width} bits that do not fill the high bits; "
            "convert it."
        )
