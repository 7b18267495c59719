"""Reading tar archives that may be damaged or hostile, one member at a time, inside a budget of bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

from featurestore.corpus.sources.archive_safety import CHUNK, Census, Limits, read_bounded, unsafe
from featurestore.corpus.sources.types import ArchiveFile
from featurestore.errors import SourceError

GZIP = b"\x1f\x8b"
LARGEST_HEADER = CHUNK
"""Bytes asked for in one read at most: long names and extended headers are read in one piece by `tarfile`."""


class BoundedStream(io.RawIOBase):
    """Reads forward in a stream and refuses to pass a number of bytes, or to read very much at once.

    An extended header may claim gigabytes, and a few kilobytes of gzip can hold them; both end here.
    """

    def __init__(self, raw: IO[bytes] | gzip.GzipFile, archive: str, most: int) -> None:
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


def is_tar(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is a tar or is packed with gzip."""
    return head.startswith(GZIP) or head[257:262] == b"ustar"


def tar_files(file: Path, limits: Limits) -> Iterator[ArchiveFile]:
    """Yield the regular files of a tar archive, plain or compressed with gzip, in one pass.

    `UnsafeArchiveError` for a member that breaks the rules of `archive_safety`, or is no regular file.
    """
    name = str(file)
    census = Census(name, limits)
    with file.open("rb") as packed, ExitStack() as opened:
        raw: IO[bytes] | gzip.GzipFile = packed
        if packed.read(2) == GZIP:
            raw = opened.enter_context(gzip.GzipFile(fileobj=packed))
        packed.seek(0)
        stream = BoundedStream(raw, name, limits.produced_in_all(file.stat().st_size))
        archive = opened.enter_context(tarfile.open(fileobj=stream, mode="r:"))
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # kept by tarfile for names, of no use here
            if info.isdir():
                census.admit(info.name)
                continue
            if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
                raise unsafe(name, info.name, "another kind than a regular file (a link, a device or a sparse file)")
            path = census.admit_file(info.name)
            if path:
                yield ArchiveFile(path, info.size, partial(_read_member, archive, info, limits, name, path))
        stream.check_end(archive.offset)


def _read_member(archive: tarfile.TarFile, info: tarfile.TarInfo, limits: Limits, name: str, path: str) -> bytes:
    stream = archive.extractfile(info)
    if stream is None:
        raise SourceError(f"archive {name!r}: {path!r} cannot be read.")
    return read_bounded(stream.read, info.size, limits.member_bytes, name, path)
