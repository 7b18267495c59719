"""Rows of many shards as one sequence, read one by one or as padded batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.shards.reader import ShardReader


@dataclass(frozen=True)
class RowIndex:
    """Where each row of a view stands; all arrays have the shape `[rows]`."""

    utterance: NDArray[np.int32]
    """Position of the row's recording in the table."""
    copy: NDArray[np.int32]
    """Copy index; 0 is clean."""
    shard: NDArray[np.int32]
    """Position of the shard in the view's list of readers."""
    start: NDArray[np.int64]
    """First frame in the shard."""
    frames: NDArray[np.int32]
    """Number of frames."""

    def take(self, rows: NDArray[Any]) -> RowIndex:
        """Return the index of some rows, given by position or by mask."""
        return RowIndex(self.utterance[rows], self.copy[rows], self.shard[rows], self.start[rows], self.frames[rows])

    def __len__(self) -> int:
        return len(self.copy)


class RowReader:
    """Verified reads of rows by position.

    Parameters
    ----------
    shards : tuple of ShardReader
        The shards that `RowIndex.shard` points into.
    bands : int
        Values of a frame.
    dtype : str
        Storage type.
    """

    def __init__(self, shards: tuple[ShardReader, ...], bands: int, dtype: str) -> None:
        self.shards = shards
        self.bands = bands
        self.dtype = np.dtype(dtype)

    def row(self, index: RowIndex, position: int) -> NDArray[Any]:
        """Return one row, `array [frames, bands]`; `DamagedObjectError` if its bytes are not sound."""
        out = np.empty((int(index.frames[position]), self.bands), self.dtype)
        self.shards[index.shard[position]].read_into(int(index.start[position]), out)
        return out

    def batch(
        self, index: RowIndex, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool, fill: float
    ) -> NDArray[np.int32]:
        """Read rows into `out`, `array [rows, longest, bands]`, padded with `fill`; return their frame counts.

        Raises
        ------
        ValueError
            If a row is longer than `out` has room for.
        DamagedObjectError
            If the bytes of a row are not sound.
        """
        lengths = index.frames[rows]
        longest = out.shape[1]
        if len(rows) and int(lengths.max()) > longest:
            raise ValueError(f"a row of {int(lengths.max())} frames does not fit into {longest}")
        shards, starts = index.shard[rows].tolist(), index.start[rows].tolist()
        for slot, (shard, start, length) in enumerate(zip(shards, starts, lengths.tolist(), strict=True)):
            target = out[slot]
            if length < longest:
                split = longest - length if left else length
                padding, target = (target[:split], target[split:]) if left else (target[split:], target[:split])
                padding.fill(fill)
            self.shards[shard].read_into(start, target)
        return lengths
