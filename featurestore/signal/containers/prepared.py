"""What a container's module hands on to the decoder, and the ID3v2 tags that it skips."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.errors import AudioError


@dataclass(frozen=True, slots=True)
class Prepared:
    """An audio file that has been checked."""

    data: bytes
    """What libsndfile decodes."""
    samples: int | None = None
    """Samples of each channel, where fewer of those that are decoded count; None where all do."""


MOST_TAGS = 100
"""Tags in a row that are passed over; one or two are usual, and each costs time."""


def id3_length(data: bytes) -> int:
    """Return the bytes of the ID3v2 tags at the start of a file (ID3v2.4, section 3.1); 0 if there are none.

    Raises
    ------
    AudioError
        If there are more than `MOST_TAGS`.
    """
    position = tags = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        tags += 1
        if tags > MOST_TAGS:
            raise AudioError(f"damaged: more than {MOST_TAGS} ID3 tags in a row.")
        a, b, c, d = (byte & 0x7F for byte in data[position + 6 : position + 10])
        footer = 10 if data[position + 5] & 0x10 else 0
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    return position
