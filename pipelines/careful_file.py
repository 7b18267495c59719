"""A file for libraries that do not survive a failing write."""

from __future__ import annotations

import io
from typing import IO, Any


class CarefulFile(io.RawIOBase):
    """A file that keeps the first error and holds what is written from then on in memory; `check` raises it.

    HDF5 flushes what it holds when it ends, reads some of it again, and crashes if either fails or gives other bytes.

    Parameters
    ----------
    file : binary file
        Unbuffered, for reading and writing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._error: OSError | None = None
        self._held: list[tuple[int, bytes]] = []
        """Places and bytes of what could not be written any more."""

    def check(self) -> None:
        """Raise the first error that there was."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:  # noqa: ANN401 (any buffer)
        """Write all of some bytes."""
        view, place, done = memoryview(data).cast("B"), self._file.tell(), 0
        try:
            while done < len(view) and self._error is None:
                done += self._file.write(view[done:])
        except OSError as error:
            self._error = error
        if self._error is not None:
            self._held.append((place, bytes(view)))
            self._file.seek(place + len(view))
        return len(view)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any buffer)
        """Fill a buffer; what lies behind the end is zero."""
        view, place = memoryview(buffer).cast("B"), self._file.tell()
        try:
            data = self._file.read(len(view))
        except OSError as error:
            self._error = self._error or error
            data = b""
        view[:] = data.ljust(len(view), b"\x00")
        for start, held in self._held:
            first, last = max(start, place), min(start + len(held), place + len(view))
            if first < last:
                view[first - place : last - place] = held[first - start : last - start]
        self._file.seek(place + len(view))
        return len(view)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Make the file end at a position."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
            return self.tell()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def writable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True
