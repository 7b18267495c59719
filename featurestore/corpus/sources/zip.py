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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from featurestore.corpus.sources.archive_safety import Census, Limits, damage_named, is_junk, read_bounded, unsafe
from featurestore.corpus.sources.types import Member, Wanted, everything
from featurestore.errors import SourceError, UnsafeArchiveError

PIECE = 2**16
"""Packed bytes that are read at a time."""


@dataclass(frozen=True)
class ZipSource:
    """A zip archive."""

    file: Path
    limits: Limits = field(default_factory=Limits)
    unread: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """The archive's path."""
        return str(self.file)

    def members(self) -> Iterator[Member]:
        """Yield the regular files in the archive's order."""
        with self._opened() as archive:
            for path, info in self._checked(archive):
                yield Member(path, info.file_size)

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file in the archive's order."""
        total, most = 0, self.limits.produced_in_all(self.file.stat().st_size)
        with self._opened() as archive:
            for path, info in self._checked(archive):
                if wanted(path) and info.file_size > self.limits.member_bytes:
                    self.unread[path] = f"it is {self.limits.too_large}"
                elif wanted(path):
                    data = self._read(archive, path, info)
                    total += len(data)
                    if total > most:
                        raise unsafe(self.name, path, f"over {most} bytes in all files up to it")
                    yield path, data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file."""
        with self._opened() as archive:
            for found, info in self._checked(archive):
                if found == path:
                    return self._read(archive, path, info)
        raise SourceError(f"archive {self.name!r} holds no file {path!r}.")

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        with damage_named(self.name), self.file.open("rb") as stream:
            count_entries(stream, self.name, self.limits)
            with zipfile.ZipFile(stream) as archive:
                yield archive

    def _checked(self, archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
        """Check the whole directory before the first member is read."""
        census = Census(self.name, self.limits)
        infos = archive.infolist()
        if sum(info.compress_size for info in infos) > self.file.stat().st_size:
            raise unsafe(self.name, infos[0].filename, "bytes that it shares with other members")
        files = [(self._admitted(census, info), info) for info in infos]
        return [(path, info) for path, info in files if path and not is_junk(path)]

    def _admitted(self, census: Census, info: zipfile.ZipInfo) -> str:
        """Return a regular file's safe name; an empty one for a folder."""
        if not info.filename:
            raise unsafe(self.name, info.orig_filename, "an empty name")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise unsafe(self.name, info.filename, "another kind than a regular file (a link or a device)")
        if info.flag_bits & 0x1:
            raise SourceError(f"archive {self.name!r}: member {info.filename!r} is encrypted. Unpack it yourself.")
        if info.is_dir():
            census.admit(info.orig_filename)
            return ""
        return census.admit_file(info.orig_filename)

    def _read(self, archive: zipfile.ZipFile, path: str, info: zipfile.ZipInfo) -> bytes:
        most = self.limits.produced(info.compress_size)
        try:
            if info.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
                return self._read_in_steps(archive, path, info, most)
            with archive.open(info) as stream:
                return read_bounded(stream.read, info.file_size, most, self.name, path)
        except NotImplementedError as error:
            raise SourceError(
                f"archive {self.name!r}: {path!r} is packed in a way that is not read ({error})."
            ) from error

    def _read_in_steps(self, archive: zipfile.ZipFile, path: str, info: zipfile.ZipInfo, most: int) -> bytes:
        """Read a member of bzip2 or LZMA, which zipfile would unpack by blocks of any size before it can be counted."""
        stored = copy.copy(info)
        stored.compress_type, stored.file_size = zipfile.ZIP_STORED, info.compress_size
        del stored.CRC  # that of what comes out, and checked here
        with archive.open(stored) as packed:
            data = read_bounded(_unpacking(packed, info), info.file_size, most, self.name, path)
        if zlib.crc32(data) != info.CRC:
            raise SourceError(f"archive {self.name!r} is damaged: the checksum of {path!r} is wrong.")
        return data


def _unpacking(packed: IO[bytes], info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    """Return what reads at most so many bytes out of bzip2 or LZMA; nothing at the end."""
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
