"""Reading zip archives that may be damaged or hostile, one member at a time.

Layout from the PKWARE .ZIP application note, sections 4.3.12 (central directory), 4.3.14 to 4.3.16 (end records).
"""

from __future__ import annotations

import bz2
import copy
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from featurestore.corpus.sources.archive_safety import Census, Limits, read_bounded, unsafe
from featurestore.corpus.sources.types import ArchiveFile
from featurestore.errors import SourceError, UnsafeArchiveError

PIECE = 2**16
"""Packed bytes that are read at a time."""


def is_zip(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is a zip archive."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def zip_files(file: Path, limits: Limits) -> Iterator[ArchiveFile]:
    """Yield the regular files of a zip archive; its whole directory is checked before the first.

    `SourceError` if the archive is cut off, or a member is encrypted; `UnsafeArchiveError` for a member that breaks the
    rules of `archive_safety`, or is no regular file.
    """
    name = str(file)
    census = Census(name, limits)
    with file.open("rb") as stream:
        check_entries(stream, name, limits)
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
            if sum(info.compress_size for info in infos) > file.stat().st_size:
                raise unsafe(name, infos[0].filename, "bytes that it shares with other members")
            files = [(_admitted(census, info, name), info) for info in infos]
            for path, info in files:
                if path:
                    yield ArchiveFile(path, info.file_size, partial(_read_member, archive, info, limits, name, path))


def _admitted(census: Census, info: zipfile.ZipInfo, archive: str) -> str:
    """Return a regular file's safe name; an empty one for a folder."""
    if not info.filename:
        raise unsafe(archive, info.orig_filename, "an empty name")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise unsafe(archive, info.filename, "another kind than a regular file (a link or a device)")
    if info.flag_bits & 0x1:
        raise SourceError(f"archive {archive!r}: member {info.filename!r} is encrypted. Unpack it yourself.")
    if info.is_dir():
        census.admit(info.orig_filename)
        return ""
    return census.admit_file(info.orig_filename)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits, name: str, path: str) -> bytes:
    """Return a member's bytes; `SourceError` if it is packed in an unknown way or its checksum is wrong."""
    most = limits.produced(info.compress_size)
    try:
        if info.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            with archive.open(info) as stream:
                return read_bounded(stream.read, info.file_size, most, name, path)
        # zipfile would unpack bzip2 and LZMA by blocks of any size before they can be counted
        stored = copy.copy(info)
        stored.compress_type, stored.file_size = zipfile.ZIP_STORED, info.compress_size
        del stored.CRC  # that of what comes out, and checked here
        with archive.open(stored) as packed:
            data = read_bounded(_unpacking(packed, info), info.file_size, most, name, path)
    except NotImplementedError as error:
        raise SourceError(f"archive {name!r}: {path!r} is packed in a way that is not read ({error}).") from error
    if zlib.crc32(data) != info.CRC:
        raise SourceError(f"archive {name!r} is damaged: the checksum of {path!r} is wrong.")
    return data


def _unpacking(packed: IO[bytes], info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    """Return what unpacks bzip2 or LZMA piece by piece."""
    unpack: bz2.BZ2Decompressor | lzma.LZMADecompressor
    if info.compress_type == zipfile.ZIP_BZIP2:
        unpack = bz2.BZ2Decompressor()
    else:
        _, length, properties, dictionary = struct.unpack("<HHBI", packed.read(9))
        if length != 5:
            raise ValueError(f"LZMA properties of {length} bytes")
        rest, lc = divmod(properties, 9)
        pb, lp = divmod(rest, 5)
        size = max(4096, min(dictionary, info.file_size))  # no distance is longer than what comes out
        chain = [{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": lc, "lp": lp, "pb": pb}]
        unpack = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain)

    def read(most: int) -> bytes:
        """Return at most so many unpacked bytes; none at the end."""
        while not unpack.eof:
            data = packed.read(PIECE) if unpack.needs_input else b""
            if unpack.needs_input and not data:
                break
            if found := unpack.decompress(data, most):
                return found
        return b""

    return read


_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 65_535
_AVERAGE_ENTRY = 512
"""Bytes of an entry with a long name; bounds the size of the whole directory."""


def check_entries(stream: IO[bytes], archive: str, limits: Limits) -> None:
    """Refuse too many entries of the central directory; the position returns to the start.

    The number in the end record is not believed: ten million entries can hide behind a small one.

    `SourceError` if there is no end record: the archive is cut off; `UnsafeArchiveError` if there are more entries than
    `limits.members`, or the directory is larger than they could need.
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
        end = _LOCATOR.unpack_from(tail, at)[2]
        stream.seek(end)
        record = stream.read(_END64.size)
        if len(record) < _END64.size or record[:4] != b"PK\x06\x06":
            raise SourceError(f"archive {archive!r} is truncated or damaged (no zip64 record); download it again.")
        size = _END64.unpack(record)[8]
    return size, end
