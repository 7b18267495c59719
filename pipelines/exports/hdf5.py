"""HDF5: all rows in one array, which MATLAB, R and h5py read."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from featurestore.view import DatasetView
from pipelines.exports import FileFormat, attributes

TEXTS = ("paths", "labels", "speakers", "contents")


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


def to_hdf5(view: DatasetView, out: IO[bytes]) -> None:
    """Write all rows one behind the other: `features [total frames, bands]` with `offsets [rows + 1]`.

    Row i is `features[offsets[i]:offsets[i + 1]]`; `paths`, `labels`, `speakers`, `contents` and `copies` have one
    entry a row. The attributes hold the feature and augmentation specs as JSON, corpus, licence, citation and digest.

    Raises
    ------
    OSError
        The first that writing met: HDF5 itself would go on, lose values or crash.
    """
    import h5py

    careful = CarefulFile(out)
    text = h5py.string_dtype("utf-8")
    offsets = _offsets(view)
    with h5py.File(careful, "w") as file:
        features = file.create_dataset("features", (int(offsets[-1]), view.bands), dtype=view.features.dtype)
        for row, (start, stop) in enumerate(pairwise(offsets)):
            features[start:stop] = view[row][0]
            careful.check()
        file["offsets"] = offsets
        file["copies"] = view.copies
        for name in TEXTS:
            file.create_dataset(name, data=np.array(_texts(view, name), dtype=object), dtype=text)
        file.attrs.update(attributes(view))
    careful.check()


def in_hdf5(view: DatasetView, out: Path) -> bool:
    """Tell whether a file holds a dataset as `to_hdf5` writes it, value by value."""
    import h5py

    try:
        with h5py.File(out, "r", locking=False) as file:  # the export holds its lock
            offsets = _offsets(view)
            return (
                dict(file.attrs) == attributes(view)
                and np.array_equal(file["offsets"], offsets)
                and np.array_equal(file["copies"], view.copies)
                and all(list(file[name].asstr()) == _texts(view, name) for name in TEXTS)
                and all(
                    file["features"][start:stop].tobytes() == view[row][0].tobytes()
                    for row, (start, stop) in enumerate(pairwise(offsets))
                )
            )
    except (OSError, KeyError, TypeError, ValueError, AttributeError):  # no HDF5, or another layout
        return False


def _offsets(view: DatasetView) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate([[0], np.cumsum(view.frames, dtype=np.int64)])


def _texts(view: DatasetView, name: str) -> list[str]:
    return [value or "" for value in getattr(view, name)]


FORMAT = FileFormat("hdf5", to_hdf5, in_hdf5)
