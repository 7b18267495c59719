"""Counting the entries of a zip archive before a library builds an object for each of them.

Layout from the PKWARE .ZIP application note, sections 4.3.12 (central directory), 4.3.14 to 4.3.16 (end records).
"""

from __future__ import annotations

import struct
from typing import IO

from featurestore.corpus.reading.unpack import Limits
from featurestore.errors import SourceError, UnsafeArchiveError

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 65_535
_AVERAGE_ENTRY = 512
"""Bytes of an entry with a long name; bounds the size of the whole directory."""


def count_entries(stream: IO[bytes], archive: str, limits: Limits) -> int:
    """Count the entries of the central directory and refuse too many; the position returns to the start.

    The number in the end record is not believed: ten million entries can hide behind a small one.

    Raises
    ------
    SourceError
        If there is no end record: the archive is cut off.
    UnsafeArchiveError
        If there are more entries than `limits.members`, or the directory is larger than they could need.
    """
    size, end = _directory_size(stream, archive)
    if size > limits.members * _AVERAGE_ENTRY:
        raise UnsafeArchiveError(f"archive {archive!r}: its directory claims {size} bytes. Nothing was read from it.")
    stream.seek(max(0, end - size))
    directory = stream.read(size)
    count = position = 0
    while position + _ENTRY.size <= len(directory) and directory[position : position + 4] == b"PK\x01\x02":
        fields = _ENTRY.unpack_from(directory, position)
        position += _ENTRY.size + fields[10] + fields[11] + fields[12]
        count += 1
        if count > limits.members:
            raise UnsafeArchiveError(f"archive {archive!r} holds {limits.too_many}")
    stream.seek(0)
    return count


def _directory_size(stream: IO[bytes], archive: str) -> tuple[int, int]:
    """Return the size of the central directory and the position where it ends."""
    length = stream.seek(0, 2)
    start = max(0, length - _LONGEST_COMMENT - _END.size - _LOCATOR.size)
    stream.seek(start)
    tail = stream.read(_LONGEST_COMMENT + _END.size + _LOCATOR.size)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END.size > len(tail):
        raise SourceError(f"archive {archive!r} is truncated or damaged (no end record); download it again.")
    size, end = _END.unpack_from(tail, found)[5], start + found
    at = found - _LOCATOR.size
    if at >= 0 and tail[at : at + 4] == b"PK\x06\x07":
        return _directory_size64(stream, _LOCATOR.unpack_from(tail, at)[2], archive)
    return size, end


def _directory_size64(stream: IO[bytes], position: int, archive: str) -> tuple[int, int]:
    stream.seek(position)
    record = stream.read(_END64.size)
    if len(record) < _END64.size or record[:4] != b"PK\x06\x06":
        raise SourceError(f"archive {archive!r} is truncated or damaged (no zip64 record); download it again.")
    return _END64.unpack(record)[8], position
