"""A file for libraries that do not survive a failing write."""

from __future__ import annotations

import io
from typing import IO, Any


class CarefulFile(io.RawIOBase):
    """A file that keeps the first error and takes everything after it for done; `check` raises it.

    HDF5 flushes what it holds when it ends, and crashes if that fails once more.

    Parameters
    ----------
    file : binary file
        Unbuffered, for reading and writing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error that there was."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:  # noqa: ANN401 (any buffer)
        """Write all of some bytes."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view) and self._error is None:
                done += self._file.write(view[done:])
        except OSError as error:
            self._error = error
        return len(view)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any buffer)
        """Fill a buffer as far as the file goes."""
        try:
            data = self._file.read(len(buffer))
        except OSError as error:
            self._error = self._error or error
            data = b""
        buffer[: len(data)] = data
        return len(data)

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
