"""A byte stream that keeps a tar reader inside its budget, whatever the headers say."""

from __future__ import annotations

import io
from typing import IO

from featurestore.corpus.reading.unpack import CHUNK, unsafe
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
