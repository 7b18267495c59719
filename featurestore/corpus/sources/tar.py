"""Reading tar archives that may be damaged or hostile, one member at a time, inside a budget of bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from featurestore.corpus.sources.archive_safety import (
    CHUNK,
    Census,
    Limits,
    damage_named,
    is_junk,
    read_bounded,
    unsafe,
)
from featurestore.corpus.sources.types import Member, Wanted, everything
from featurestore.errors import SourceError

LARGEST_HEADER = CHUNK
"""Bytes asked for in one read at most: long names and extended headers are read in one piece by `tarfile`."""


class BoundedStream(io.RawIOBase):
    """Reads forward in a stream and refuses to pass a number of bytes, or to read very much at once.

    An extended header may claim gigabytes, and a few kilobytes of gzip can hold them; both end here.
    """

    def __init__(self, raw: IO[bytes], archive: str, most: int) -> None:
        super().__init__()
        self._raw = raw
        self._archive = archive
        self._most = most

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True; seeking backwards in a compressed stream is slow and not needed."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, at most `LARGEST_HEADER` of them and within the budget."""
        if not 0 <= size <= LARGEST_HEADER:
            raise unsafe(self._archive, "(header)", f"a claimed size of {size} bytes")
        data = self._raw.read(size)
        self._check(self._raw.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to an absolute position within the budget."""
        if whence != 0:
            raise io.UnsupportedOperation("only absolute positions")
        self._check(offset)
        return self._raw.seek(offset)

    def tell(self) -> int:
        """Return the position in the unpacked stream."""
        return self._raw.tell()

    def check_end(self, offset: int) -> None:
        """Refuse an archive that stops without the block of zeros that ends every tar: it was cut off.

        `tarfile` takes a header that is cut off or damaged in the middle for the end. The rest is read too, because
        gzip keeps the checksum of everything in its last bytes.
        """
        self.seek(offset)
        if self.read(512) != bytes(512):
            raise SourceError(f"archive {self._archive!r} is truncated or damaged; download it again.")
        while self.read(CHUNK):
            pass

    def _check(self, position: int) -> None:
        if position > self._most:
            raise unsafe(self._archive, "(stream)", f"more than the {self._most} bytes that its size allows")


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
        with damage_named(self.name), self._bytes() as raw:
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
        with damage_named(self.name):
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
