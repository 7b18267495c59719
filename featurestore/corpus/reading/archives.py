"""Reading zip and tar archives that may be damaged or hostile, one member at a time."""

from __future__ import annotations

import bz2
import copy
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from featurestore.corpus.reading.sources import Member, Source, Wanted, everything
from featurestore.corpus.reading.tar_stream import BoundedStream
from featurestore.corpus.reading.unpack import Census, Limits, is_junk, read_bounded, unsafe
from featurestore.corpus.reading.zip_directory import count_entries
from featurestore.errors import FeatureStoreError, SourceError

PIECE = 2**16
"""Packed bytes that are read at a time."""
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, NotImplementedError),
)


def open_archive(path: Path, limits: Limits) -> Source:
    """Open an archive by the first bytes of the file.

    Raises
    ------
    SourceError
        If the file is no zip, tar or tar.gz; a few usual mistakes are named.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise SourceError(f"source {str(path)!r} cannot be read ({error.strerror}).") from error
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipSource(path, limits)
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        return TarSource(path, limits)
    raise SourceError(f"source {str(path)!r} is no zip, tar or tar.gz archive{_likeness(head)}.")


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
        with _damage_named(self.name), self.file.open("rb") as stream:
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


@dataclass(frozen=True)
class TarSource:
    """A tar archive, plain or compressed with gzip."""

    file: Path
    limits: Limits = field(default_factory=Limits)
    unread: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """The archive's path."""
        return str(self.file)

    def members(self) -> Iterator[Member]:
        """Yield the regular files in the archive's order; a compressed archive is decompressed for it."""
        for path, info, _ in self._walk():
            yield Member(path, info.size)

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file in one pass."""
        for path, info, archive in self._walk():
            if wanted(path) and info.size > self.limits.member_bytes:
                self.unread[path] = f"it is {self.limits.too_large}"
            elif wanted(path):
                yield path, self._read(archive, path, info)

    def read(self, path: str) -> bytes:
        """Return the bytes of one file, after a walk up to it."""
        for found, info, archive in self._walk():
            if found == path:
                return self._read(archive, path, info)
        raise SourceError(f"archive {self.name!r} holds no file {path!r}.")

    def _walk(self) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
        census = Census(self.name, self.limits)
        with _damage_named(self.name), self._bytes() as raw:
            stream = BoundedStream(raw, self.name, self.limits.produced_in_all(self.file.stat().st_size))
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                while (info := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # kept by tarfile for names, of no use here
                    path = self._admitted(census, info)
                    if path and not is_junk(path):
                        yield path, info, archive
                stream.check_end(archive.offset)

    def _admitted(self, census: Census, info: tarfile.TarInfo) -> str:
        """Return a regular file's safe name; an empty one for a folder."""
        if info.isdir():
            census.admit(info.name)
            return ""
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
            raise unsafe(self.name, info.name, "another kind than a regular file (a link, a device or a sparse file)")
        return census.admit_file(info.name)

    def _read(self, archive: tarfile.TarFile, path: str, info: tarfile.TarInfo) -> bytes:
        with _damage_named(self.name):
            stream = archive.extractfile(info)
            if stream is None:
                raise SourceError(f"archive {self.name!r}: {path!r} cannot be read.")
            return read_bounded(stream.read, info.size, self.limits.member_bytes, self.name, path)

    @contextmanager
    def _bytes(self) -> Iterator[IO[bytes]]:
        with self.file.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            if not packed:
                yield stream
                return
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield unpacked  # type: ignore[misc]  # a GzipFile reads, seeks and tells as an IO[bytes] does


@contextmanager
def _damage_named(archive: str) -> Iterator[None]:
    """Turn the many errors of damaged archives into one that names the file."""
    try:
        yield
    except FeatureStoreError:
        raise
    except _DAMAGE as error:
        raise SourceError(f"{_truncated(archive)} ({error})") from error


def _truncated(archive: str) -> str:
    return f"archive {archive!r} is truncated or damaged; download it again."


def _likeness(head: bytes) -> str:
    """Name what the file looks like, for the mistakes that people make most."""
    if head.startswith(b"version https://git-lfs"):
        return ": it is a Git LFS pointer; run 'git lfs pull' where it came from"
    if head.lstrip()[:1] == b"<":
        return ": it looks like a web page; the download was probably answered by a login or error page"
    if head[:4] in (b"RIFF", b"fLaC", b"OggS"):
        return ": it is one audio file; give the folder that holds the corpus"
    return "; give an archive of one of these kinds, or the folder that holds the files"
