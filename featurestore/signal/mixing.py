"""Whether the channels of a recording cancel in their mean."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import AudioError
from featurestore.signal.arrays import Signal

LEAST_MIXED = 0.01
"""Share of the channels' mean energy that their mean has to hold; unrelated channels give one over their number."""


class Mixing:
    """The energies of channels and of their mean, added up block by block in one order on every processor."""

    def __init__(self) -> None:
        self._channels = self._mean = 0.0

    def add(self, samples: Signal, mean: Signal) -> None:
        """Take a block, array [time, channels], and its mean, array [time]."""
        if samples.shape[1] > 1 and len(mean):
            self._channels += _energy(samples) / samples.shape[1]
            self._mean += _energy(mean)

    @property
    def fault(self) -> AudioError | None:
        """The reason why a mean that cancels cannot be used: what is left of it is not what was recorded."""
        if self._mean >= LEAST_MIXED * self._channels:
            return None
        below = f"lies {10 * math.log10(self._channels / self._mean):.0f} dB below them" if self._mean else "is silent"
        return AudioError(f"its channels cancel: their mean {below}, as where one is turned over. Name one channel.")


def _energy(samples: NDArray[np.float32]) -> float:
    return float(np.cumsum(np.square(samples, dtype=np.float64))[-1])  # one after the other
