"""FLAC: whether its frames reach as far as the header says.

A stream that was written into a pipe does not state its length (RFC 9639, section 8.2), and a wrong length hides
samples. Both come out from the number in the last frame's header (section 9.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from featurestore.errors import AudioError
from featurestore.signal.containers.prepared import Prepared, id3_length

_CANDIDATES = 100_000
"""Places that begin like a frame header and are tried from the end; uncompressed samples can have many."""
_CHECKED = 64
"""Whole frame headers that are found from the end."""
_MOST_BLOCKS = 10_000
"""Metadata blocks that are passed over."""
_LONGEST_FRAME = 2**20
"""Bytes; 65,535 samples of eight channels hardly fill it."""


def _crc_table(width: int, polynomial: int) -> tuple[int, ...]:
    """Return the check of each byte."""
    table = []
    for byte in range(256):
        value = byte << width - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> width - 1 & 1 else 0)) & ((1 << width) - 1)
        table.append(value)
    return tuple(table)


_STREAM = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""How a stream begins: its mark and the head of the block that describes it."""
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
"""By the code in a frame's header."""
_CRC8 = _crc_table(8, 0x07)
_CRC16 = _crc_table(16, 0x8005)


def prepare_flac(data: bytes) -> Prepared:
    """Check the announced number of samples against the last frame, and fill it in where it is missing.

    Raises
    ------
    AudioError
        If the header is cut or malformed, or announces another length than the frames have.
    """
    data = data[id3_length(data) :]
    if len(data) < 42 or data[4] & 0x7F != 0 or int.from_bytes(data[5:8], "big") != 34:
        raise AudioError("truncated or damaged: a FLAC file without its header of 42 bytes.")
    announced, start = int.from_bytes(data[21:26], "big") & (2**36 - 1), _frames_start(data)
    if _STREAM.search(data, start):
        raise AudioError("several FLAC streams in one file; split it into one file for each.")
    _refuse_changes(data, start)
    ends: list[int] = []
    behind = len(data)
    for position, end in _frame_ends(data, start):
        if end == announced and (not ends or _is_last(data, position, behind)):
            return Prepared(data)
        if announced == 0 and _is_last(data, position, behind):
            total = int.from_bytes(data[21:26], "big") | end
            return Prepared(data[:21] + total.to_bytes(5, "big") + data[26:])
        ends.append(end)
        behind = position
    if announced == 0:
        raise AudioError(
            "truncated or damaged: a FLAC file that announces no length and does not end in a whole frame."
        )
    if all(end < announced for end in ends):
        last = ends[0] if ends else 0
        raise AudioError(f"truncated: the header announces {announced} samples, the last frame ends at {last}.")
    raise AudioError(f"the header announces {announced} samples, the last frame ends at {ends[0]}: joined or damaged.")


def _frames_start(data: bytes) -> int:
    """Return where the metadata blocks end."""
    position = 4
    for _ in range(_MOST_BLOCKS):
        if position + 4 > len(data):
            break
        last = data[position] & 0x80
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")
        if last:
            return position
    raise AudioError("truncated: a FLAC file whose header does not end.")


def _frame_ends(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield position and last sample of what looks like a frame, from the end of the file to its start."""
    block = int.from_bytes(data[8:10], "big")
    position, found = len(data), 0
    for _ in range(_CANDIDATES):
        position = max(data.rfind(b"\xff\xf8", start, position), data.rfind(b"\xff\xf9", start, position))
        if position < 0:
            return
        header = _header(data[position : position + 16], block)
        if header is not None:
            yield position, header[0] + header[1]
            found += 1
        if found == _CHECKED:
            return


def _refuse_changes(data: bytes, start: int) -> None:
    """Refuse a stream whose frames change their rate, which libsndfile would play at the first one.

    Frames are followed by their numbers from the first on, as far as they go without a gap.
    """
    block, number, position = int.from_bytes(data[8:10], "big"), 0, start
    announced = int.from_bytes(data[18:21], "big") >> 4
    while position >= 0:
        header = _header(data[position : position + 16], block)
        if header is not None and header[0] == number:
            _, samples, rate = header
            if rate not in (0, announced):
                raise AudioError(
                    f"the FLAC stream changes its rate from {announced} to {rate} Hz after {number} samples."
                )
            number, position = number + samples, position + 8
        position = data.find(b"\xff", position + 1)
        while position >= 0 and data[position + 1 : position + 2] not in (b"\xf8", b"\xf9"):
            position = data.find(b"\xff", position + 1)


def _header(head: bytes, block: int) -> tuple[int, int, int] | None:
    """Read the header of a frame: number of its first sample, samples, and rate in hertz, 0 for that of the stream.

    None if these bytes are none. `block` is the size of blocks that are numbered.
    """
    if len(head) < 6 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] & 1:
        return None
    number = _coded_number(head[4:11])
    if number is None:
        return None
    value, position = number[0], 4 + number[1]
    size_code, rate_code = head[2] >> 4, head[2] & 15
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    size = int.from_bytes(head[position : position + size_bytes], "big") + 1
    if size_bytes == 0:
        size = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    position += size_bytes
    rate_bytes, unit = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}.get(rate_code, (0, 0))
    rate = int.from_bytes(head[position : position + rate_bytes], "big") * unit if rate_bytes else _RATES[rate_code]
    position += rate_bytes
    if position >= len(head) or _crc(head[:position], 8, _CRC8) != head[position]:
        return None
    return value if head[1] & 1 else value * block, size, rate


def _coded_number(code: bytes) -> tuple[int, int] | None:
    """Read a number coded as UTF-8 codes letters, up to 36 bits; return it and its bytes."""
    lead = code[0]
    length = next((bits for bits in range(8) if not lead & 0x80 >> bits), 8)
    if length == 0:
        return lead, 1
    if length in (1, 8) or len(code) < length or any(byte >> 6 != 2 for byte in code[1:length]):
        return None
    value = lead & 0x7F >> length
    for byte in code[1:length]:
        value = value << 6 | byte & 0x3F
    return value, length


def _is_last(data: bytes, position: int, behind: int) -> bool:
    """Return whether the frame at a position ends with the file and not where the next one seems to begin.

    The checksum of a whole frame comes out as zero, and so does that of several.
    """
    if len(data) - position > _LONGEST_FRAME or _crc(data[position:], 16, _CRC16) != 0:
        return False
    return behind == len(data) or _crc(data[position:behind], 16, _CRC16) != 0


def _crc(data: bytes, width: int, table: tuple[int, ...]) -> int:
    """Return a cyclic redundancy check, most significant bit first, from zero."""
    crc, mask = 0, (1 << width) - 1
    for byte in data:
        crc = (crc << 8 ^ table[crc >> width - 8 ^ byte]) & mask
    return crc
