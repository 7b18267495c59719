"""ID3v2 tags, which stand in front of MP3 and sometimes of FLAC."""

from __future__ import annotations


def id3_length(data: bytes) -> int:
    """Return the bytes of the ID3v2 tags at the start of a file (ID3v2.4, section 3.1); 0 if there are none."""
    position = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        a, b, c, d = (byte & 0x7F for byte in data[position + 6 : position + 10])
        footer = 10 if data[position + 5] & 0x10 else 0
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    return position
