"""Containers of chunks other than WAV: whether the samples that are announced are there.

AIFF and AIFF-C after Apple's specification of 1991, AU after Sun's `audio_filehdr`, CAF after Apple's Core Audio
Format 1.0, Wave64 after Sony's draft, NIST SPHERE after the headers of its corpora.
"""

from __future__ import annotations

import re

from featurestore.errors import AudioError
from featurestore.signal.containers.prepared import STREAM_HEADERS, STREAM_MARKS, Prepared, check_held, is_streamed
from featurestore.signal.containers.wav import EXTENSIBLE, PLAIN_TAGS

_PLAIN_AIFF = {b"NONE": 0, b"twos": 0, b"sowt": 0, b"in24": 3, b"in32": 4, b"fl32": 4, b"FL32": 4, b"fl64": 8}
"""Uncompressed types of AIFF-C and the bytes of a sample; 0 follows from its bits."""
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_W64_FORMAT = bytes.fromhex("666d7420f3acd3118cd100c04f8edb8a")
_MOST_CHUNKS = 10_000
_LONGEST_SPHERE_HEADER = 65_536


def prepare_aiff(data: bytes) -> Prepared:
    """Check the samples of an AIFF or AIFF-C file against both of its announcements."""
    position, comm = 12, b""
    for _ in range(_MOST_CHUNKS):
        name, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "big")
        if name == b"COMM":
            comm = data[position + 8 : position + 8 + min(size, 64)]
        if name == b"SSND":
            held = len(data) - position - 8
            if is_streamed(size) and size > held:
                return _streamed_aiff(data, position, comm)
            check_held(size, held)
            width, frames = _frame_bytes(comm), int.from_bytes(comm[2:6], "big")
            if width and abs(frames * width - (size - 8)) > max(width, 16):
                raise AudioError(
                    f"truncated or damaged: the header announces {frames} frames, {size - 8} bytes are there for them."
                )
            return Prepared(data)
        position += 8 + size + size % 2
        if position + 8 > len(data):
            break
    raise AudioError("truncated or damaged: an AIFF file without its samples (SSND).")


def _streamed_aiff(data: bytes, position: int, comm: bytes) -> Prepared:
    """Write the sizes of an AIFF file that was written into a pipe: its samples reach to the end.

    If it states the number of frames, these have to be there.
    """
    width, place = _frame_bytes(comm), data.find(comm, 12) + 2
    if not width:
        raise AudioError("a stream of unknown length of compressed AIFF samples; convert it to WAV or FLAC.")
    frames, announced = (len(data) - position - 16) // width, int.from_bytes(comm[2:6], "big")
    if frames < announced and announced * width < STREAM_MARKS[0] - STREAM_HEADERS:
        raise AudioError(f"truncated: the header announces {announced} frames, {max(frames, 0)} are there.")
    frames = min(frames, announced)
    if frames < 1:
        raise AudioError("truncated: a stream of unknown length that ends right behind its header.")
    whole = data[: position + 16 + frames * width]
    sizes = ((4, len(whole) - 8), (place, frames), (position + 4, 8 + frames * width))
    for at, size in sizes:
        whole = whole[:at] + size.to_bytes(4, "big") + whole[at + 4 :]
    return Prepared(whole)


def _frame_bytes(comm: bytes) -> int:
    """Return the bytes of one sample of all channels; 0 where samples are compressed or their format is missing."""
    kind = comm[18:22] if len(comm) >= 22 else b"NONE"
    if len(comm) < 18 or kind not in _PLAIN_AIFF:
        return 0
    return (_PLAIN_AIFF[kind] or -(-int.from_bytes(comm[6:8], "big") // 8)) * int.from_bytes(comm[:2], "big")


def prepare_au(data: bytes) -> Prepared:
    """Check the samples of an AU file; a size that is written into streams reaches to the end."""
    offset, size = (int.from_bytes(data[at : at + 4], "big" if data[:1] == b"." else "little") for at in (4, 8))
    if not is_streamed(size):
        check_held(size, len(data) - offset)
    return Prepared(data)


def prepare_caf(data: bytes) -> Prepared:
    """Check the samples of a CAF file; a size of -1 or the largest reaches to the end."""
    position = 8
    for _ in range(_MOST_CHUNKS):
        if position + 12 > len(data):
            return Prepared(data)
        size = int.from_bytes(data[position + 4 : position + 12], "big")
        if data[position : position + 4] == b"data" and is_streamed(size) and size > len(data):
            held = (len(data) - position - 12).to_bytes(8, "big")
            return Prepared(data[: position + 4] + held + data[position + 12 :])
        check_held(size, len(data) - position - 12)
        position += 12 + size
    raise AudioError(f"damaged: a CAF file of more than {_MOST_CHUNKS:,} chunks.")


def prepare_w64(data: bytes) -> Prepared:
    """Check the samples of a Wave64 file, whose sizes count the 24 bytes of each chunk's header.

    libsndfile takes what comes after the samples for more of them, so it is cut off and the samples are counted.
    """
    position, form = 40, b""
    for _ in range(_MOST_CHUNKS):
        size = int.from_bytes(data[position + 16 : position + 24], "little")
        name = data[position : position + 16]
        if name == _W64_FORMAT:
            form = data[position + 24 : position + 24 + min(size, 64)]
        if name == _W64_DATA:
            held = len(data) - position - 24
            if is_streamed(size) and size - 24 > held:
                size = held + 24
                data = data[: position + 16] + size.to_bytes(8, "little") + data[position + 24 :]
            check_held(size - 24, held)
            tag, channels, block, bits = (int.from_bytes(form[at : at + 2], "little") for at in (0, 2, 12, 14))
            plain = tag in (*PLAIN_TAGS, EXTENSIBLE) and block and block == channels * -(-bits // 8)
            return Prepared(data[: position + max(24, size)], (size - 24) // block if plain else None)
        position += max(24, size + -size % 8)
        if position + 24 > len(data):
            break
    raise AudioError("truncated or damaged: a Wave64 file without its samples.")


def prepare_nist(data: bytes) -> Prepared:
    """Check the samples of a NIST SPHERE file against the fields of its header."""
    length = re.match(rb"NIST_1A\n\s{0,7}(\d{1,7})\n", data)
    if length is None or int(length[1]) > _LONGEST_SPHERE_HEADER:
        raise AudioError("damaged: a NIST file whose header has no length.")
    header = data[: int(length[1])]
    fields = {name: int(value) for name, value in re.findall(rb"\n(\w{1,40}) -i (\d{1,12})", header)}
    coding = re.search(rb"\nsample_coding -s\d+ (\S+)", header)
    if coding and b"," in coding[1]:
        raise AudioError(f"NIST samples compressed as {coding[1].decode(errors='replace')!r:.60}; convert it to WAV.")
    if b"sample_count" in fields:
        one = 1 if coding and coding[1] in (b"ulaw", b"mu-law", b"alaw") else 2
        width = fields.get(b"channel_count", 1) * fields.get(b"sample_n_bytes", one)
        check_held(fields[b"sample_count"] * width, len(data) - len(header))
    return Prepared(data)
