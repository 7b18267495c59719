"""Ogg: whether all pages of a stream are there, and FLAC taken out of it.

libvorbis and libopus pass over pages that are damaged or missing, and what they hold is then missing silently.
Pages after RFC 3533, section 6; FLAC in Ogg after RFC 9639, section 10.1.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from featurestore.errors import AudioError
from featurestore.signal.containers.flac import prepare_flac
from featurestore.signal.containers.prepared import Prepared

_FIRST, _LAST = 2, 4
"""Flags of the first and the last page of a stream."""
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MOST_PAGES = 100_000
"""Ten minutes are 30,000 pages where each holds one packet of 20 ms, the smallest usual."""
_CODECS = (b"\x01vorbis", b"OpusHead")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an Ogg stream."""

    flags: int
    serial: bytes
    number: int
    lacing: bytes
    """Lengths of the segments; a packet ends with a segment of less than 255 bytes."""
    body: bytes


def prepare_ogg(data: bytes) -> Prepared:
    """Check every page, and take FLAC out of its pages.

    Raises
    ------
    AudioError
        If a page is cut, damaged or missing, if the last one is not marked as the last, if several streams share
        the file, or if the codec is not read.
    """
    pages = list(_pages(data))
    if not pages or not pages[-1].flags & _LAST:
        raise AudioError("truncated: the last Ogg page is not marked as the end of the stream.")
    if len({page.serial for page in pages}) > 1 or sum(bool(page.flags & _FIRST) for page in pages) != 1:
        raise AudioError("several Ogg streams in one file; split it into one file for each.")
    for before, page in itertools.pairwise(pages):
        if page.number != before.number + 1:
            raise AudioError(f"damaged: Ogg page {before.number + 1} is missing.")
    if pages[0].body.startswith(b"\x7fFLAC"):
        return prepare_flac(b"".join(_packets(pages))[9:])
    if not pages[0].body.startswith(_CODECS):
        codec = "Speex" if pages[0].body.startswith(b"Speex   ") else "a codec that is not read"
        raise AudioError(f"an Ogg stream of {codec}: only Vorbis, Opus and FLAC are read; convert it to WAV or FLAC.")
    return Prepared(data)


def _pages(data: bytes) -> Iterator[Page]:
    """Yield the pages up to the one that is marked as the last and has no page behind it."""
    position, pages, ended = 0, 0, False
    while data[position : position + 4] == b"OggS":
        count = data[position + 26] if position + 27 <= len(data) else 0
        lacing = data[position + 27 : position + 27 + count]
        body = position + 27 + count
        stop = body + sum(lacing)
        if stop > len(data) or position + 27 > len(data):
            raise AudioError("truncated: the last Ogg page is cut.")
        number = int.from_bytes(data[position + 18 : position + 22], "little")
        if _checksum(data[position:stop]) != int.from_bytes(data[position + 22 : position + 26], "little"):
            raise AudioError(f"damaged: the checksum of Ogg page {number} is wrong.")
        flags = data[position + 5]
        ended = bool(flags & _LAST)
        pages += 1
        if pages > _MOST_PAGES:
            raise AudioError(f"more than {_MOST_PAGES:,} Ogg pages.")
        yield Page(flags, data[position + 14 : position + 18], number, lacing, data[body:stop])
        position = stop
    if not ended and position < len(data):
        raise AudioError(f"damaged: at byte {position} there is no Ogg page.")


def _checksum(page: bytes) -> int:
    """Return a page's CRC-32, most significant bit first, with its own field taken as zero.

    It is zlib's of mirrored bytes, mirrored, without the inversions at start and end.
    """
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "big").translate(_MIRRORED)[::-1], "big")


def _packets(pages: list[Page]) -> Iterator[bytes]:
    """Yield the packets of a stream, joined across pages."""
    parts: list[bytes] = []
    for page in pages:
        position = 0
        for length in page.lacing:
            parts.append(page.body[position : position + length])
            position += length
            if length < 255:
                yield b"".join(parts)
                parts = []
