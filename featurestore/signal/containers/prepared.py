"""What every container's module needs: the checked file that it hands on, marks of streams, and ID3v2 tags."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.errors import AudioError

MOST_TAGS = 100
"""Tags in a row that are passed over; one or two are usual, and each costs time."""
STREAM_MARKS = (0x7F000000, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
"""Sizes that mean `to the end of the file`: SoX, ffmpeg, ALSA and others write the largest that fits."""
STREAM_HEADERS = 65_536
"""Bytes that a program may have taken off such a size for headers, or rounded off, or put on."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An audio file that has been checked."""

    data: bytes
    """What libsndfile decodes."""
    samples: int | None = None
    """Samples of each channel, where fewer of those that are decoded count; None where all do."""


def is_streamed(size: int) -> bool:
    """Return whether a size is a stream's mark; a file that is really so long is larger than any that is read here."""
    return any(abs(size - mark) <= STREAM_HEADERS for mark in STREAM_MARKS)


def check_held(promised: int, held: int) -> None:
    """Refuse samples of which fewer bytes are there than the header announces, with `AudioError`."""
    if promised > held:
        raise AudioError(f"truncated: the header announces {promised} bytes of samples, {max(0, held)} are there.")


def id3_length(data: bytes) -> int:
    """Return the bytes of the ID3v2 tags at the start of a file (ID3v2.4, section 3.1); 0 if there are none."""
    position = tags = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        tags += 1
        if tags > MOST_TAGS:
            raise AudioError(f"damaged: more than {MOST_TAGS} ID3 tags in a row.")
        a, b, c, d = (byte & 0x7F for byte in data[position + 6 : position + 10])
        footer = 10 if data[position + 5] & 0x10 else 0
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    return position
