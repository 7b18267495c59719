"""Mean and deviation of every band over many rows, in one pass, in float64 and in a fixed order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batches.residence import pieces, shard_by_shard
from models.data import ViewDataset

VALUES = 2**18
"""Values that are converted to float64 at a time: few enough for a processor's cache."""
LOST = 1e-6
"""A deviation below this share of the mean is lost in float32's rounding: the band counts as constant."""


class BandStatistics:
    """Frames seen, their mean and their sum of squared deviations, float64 `[bands]`.

    Sets of frames are merged by their moments, so nothing is lost where the mean is large beside the deviation.

    References
    ----------
    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    def __init__(self, bands: int) -> None:
        self.frames = 0
        self.mean = np.zeros(bands)
        self.squares = np.zeros(bands)

    def add(self, frames: Tensor) -> None:
        """Count `frames [frames, bands]` of float16 or float32."""
        for part in torch.split(frames, max(VALUES // max(frames.shape[1], 1), 1)):
            values = part.float().double().numpy()  # both exact; straight from float16 takes four times as long
            mean = values.mean(0)
            values -= mean
            np.multiply(values, values, out=values)
            self._merge(len(values), mean, values.sum(0))

    def merge(self, other: BandStatistics) -> None:
        """Count the frames of another set."""
        if other.frames:
            self._merge(other.frames, other.mean, other.squares)

    def _merge(self, frames: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        total, change = self.frames + frames, mean - self.mean
        self.mean += change * (frames / total)
        self.squares += squares + change * change * (self.frames * frames / total)
        self.frames = total

    def statistics(self, *, single: bool = False) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and deviation of every band, `[bands]`; with `single`, those of all values for every band.

        The deviation is that of the population (n in the denominator). A constant band has the deviation 1.
        """
        mean, variance = self.mean, self.squares / max(self.frames, 1)
        if single:
            spread = variance.mean() + np.square(mean - mean.mean()).mean()
            mean, variance = np.full_like(mean, mean.mean()), np.full_like(variance, spread)
        deviation = np.sqrt(variance)
        return mean, np.where(deviation <= LOST * np.abs(mean), 1.0, deviation)


def band_statistics(dataset: ViewDataset, groups: Sequence[int], count: int) -> list[BandStatistics]:
    """Measure the real frames of all rows, for each of `count` groups; `groups [rows]` says which one a row is in.

    A mapped store is read in the order of the view, so the result depends on the data alone and not on how the store
    lays it out; where shards are fetched, each of them is read once.

    Raises
    ------
    DamagedObjectError
        If the bytes of a row are not sound.
    """
    view = dataset.view
    moments = [BandStatistics(view.bands) for _ in range(count)]
    order = np.arange(len(view)) if view.mapped else shard_by_shard(view)
    ends = np.cumsum(view.frames[order], dtype=np.int64)
    group = np.asarray(groups, np.int64)[order]
    last = np.append(group[1:] != group[:-1], True)
    runs = deque(zip(ends[last].tolist(), group[last].tolist(), strict=True) if len(view) else ())
    for first, stop, piece in pieces(dataset, order, ends, pinned=False):
        for start, end, number in parts(runs, first, stop):
            moments[number].add(piece[start - first : end - first])
    return moments


def parts(runs: deque[tuple[int, int]], first: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and group of the runs within frames `first` to `stop`; runs that end there are taken away."""
    while first < stop:
        end, group = runs[0]
        yield first, min(end, stop), group
        first = min(end, stop)
        if end <= stop:
            runs.popleft()
