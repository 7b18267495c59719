"""MPEG audio streams: how many frames a file really holds.

Streams of a constant bit rate need no header, and a decoder then guesses their length from the first frame: too long
or too short by a little, and by much where the bit rate varies. So frames are counted here, and a stream that does
not state its length is lengthened by zeros until the guess is long enough.

Frame headers after ISO/IEC 11172-3, section 2.4.1.3, and 13818-3; the info frame after the Xing and LAME tags.
"""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.errors import AudioError
from featurestore.signal.containers.prepared import Prepared, id3_length

_RATES = (44_100, 48_000, 32_000)
_BIT_RATES = {
    (False, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (False, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (True, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (True, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits a second by (low sampling frequencies, layer) and index - 1."""
_TRAILERS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of one frame."""

    size: int
    """Bytes with the header."""
    samples: int
    """Samples of each channel."""
    rate: int
    low: bool
    """True for MPEG-2 and 2.5, whose sampling rates are low."""
    layer: int
    mono: bool

    @property
    def tag_position(self) -> int:
        """Where an info tag is: behind the header and the side information of a frame of silence."""
        return 4 + (9 if self.mono else 17) if self.low else 4 + (17 if self.mono else 32)


def frame_header(head: bytes) -> Frame | None:
    """Read the four bytes of a frame's header; None if they are none, or the bit rate is free."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    low = version != 3
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _BIT_RATES[low, layer][index - 1] * 1000
    samples = 384 if layer == 1 else 576 if low and layer == 3 else 1152
    size = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    return Frame(size, samples, rate, low, layer, mono=head[3] >> 6 == 3)


def prepare_mpeg(data: bytes) -> Prepared:
    """Check that every frame is there, and count the samples of a stream that does not state them.

    Raises
    ------
    AudioError
        If there are no frames, the last one is cut, the info frame announces more or fewer frames than there are,
        or bytes in the middle belong to no frame.
    """
    start = _first_frame(data)
    first = frame_header(data[start : start + 4])
    if first is None:
        raise AudioError("not an audio file that can be read: it begins as MP3 does, but holds no MPEG frames.")
    frame = data[start : start + first.size]
    announced: int | None = None
    tag = frame[first.tag_position : first.tag_position + 12]
    if len(tag) == 12 and tag[:4] in (b"Xing", b"Info") and tag[7] & 1:
        announced = int.from_bytes(tag[8:12], "big")
    elif frame[36:40] == b"VBRI":
        announced = int.from_bytes(frame[50:54], "big")
    count = _count(data, start, first)
    if announced is None:
        guessed = data[start:].ljust((count + 2) * first.size, b"\x00")
        return Prepared(guessed, count * first.samples)
    if count - 1 < announced:
        raise AudioError(f"truncated: the header announces {announced} MPEG frames, {max(0, count - 1)} are there.")
    if count - 1 > announced:
        raise AudioError(f"the header announces {announced} MPEG frames and {count - 1} follow: joined or damaged.")
    return Prepared(data)


def _first_frame(data: bytes) -> int:
    """Return where the first frame is whose successor is where it should be; else where the tags end."""
    start = id3_length(data)
    for position in range(start, min(len(data), start + 65_536)):
        frame = frame_header(data[position : position + 4])
        if frame is None:
            continue
        behind = position + frame.size
        if behind == len(data) or _same_stream(frame, frame_header(data[behind : behind + 4])):
            return position
    return start


def _same_stream(one: Frame, other: Frame | None) -> bool:
    return other is not None and (one.rate, one.layer) == (other.rate, other.layer)


def _count(data: bytes, start: int, first: Frame) -> int:
    """Count the frames from the first to the tags at the end."""
    position, count = start, 0
    while position < len(data):
        frame = frame_header(data[position : position + 4])
        if frame is None:  # tags, padding and a few stray bytes may end a file; sound behind them would be lost
            rest = data[position : position + 16]
            if rest.startswith(_TRAILERS) or len(data) - position < 4 or not data[position:].strip(b"\x00"):
                return count
            if rest[0] == 0xFF and len(data) - position < 8:
                raise AudioError(f"truncated: MPEG frame {count + 1} is cut in its header.")
            raise AudioError(f"damaged: after {count} MPEG frames, at byte {position}, there is no frame.")
        if not _same_stream(first, frame):
            raise AudioError(f"the MPEG stream changes its rate or layer after {count} frames.")
        if position + frame.size > len(data):
            missing = position + frame.size - len(data)
            raise AudioError(f"truncated: MPEG frame {count + 1} lacks its last {missing} bytes.")
        position += frame.size
        count += 1
    return count
