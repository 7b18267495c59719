"""A recorded noise, of which copies take a piece as long as the signal that it is added to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Signal
from featurestore.signal.peak import energy

LEAST_POWER = 0.01
"""Share of the power of the whole noise that a piece must have."""
STEP = 256
"""Samples between the pieces that are tried where the drawn one is silent."""


def noise_start(position: float, noise_samples: int, samples: int) -> int:
    """Return the sample of a noise at which a piece begins.

    Parameters
    ----------
    position : float
        Drawn, in [0, 1).
    noise_samples : int
        Length of the noise.
    samples : int
        Length of the piece. Where the noise is at least as long, the piece lies whole in it; a shorter noise is
        repeated, and the piece may begin anywhere.
    """
    return int(position * _starts(noise_samples, samples))


def _starts(noise_samples: int, samples: int) -> int:
    return noise_samples - samples + 1 if noise_samples >= samples else noise_samples


class Noise:
    """A noise at one rate, array [time]."""

    def __init__(self, signal: Signal) -> None:
        self.signal, self._energy = signal, energy(signal)
        self._length, self._sounding = 0, np.zeros(0, np.int64)

    def cut(self, position: float, piece: Signal) -> None:
        """Write the piece of a drawn position, array [time], beginning anew where the noise ends."""
        done, start = 0, noise_start(position, len(self.signal), len(piece))
        while done < len(piece):
            here = self.signal[start : start + len(piece) - done]
            piece[done : done + len(here)] = here
            done, start = done + len(here), 0

    def sounding(self, position: float, samples: int) -> float:
        """Return a position whose piece sounds: the drawn one, or as far through those that do.

        A piece sounds if its power is at least `LEAST_POWER` of that of the whole noise.
        """
        length = len(self.signal)
        if length <= samples:
            return position
        start = noise_start(position, length, samples)
        if energy(self.signal[start : start + samples]) >= LEAST_POWER * samples / length * self._energy:
            return position
        if self._length != samples:
            self._length, self._sounding = samples, self._sounding_starts(samples)
        return (int(self._sounding[int(position * len(self._sounding))]) + 0.5) / _starts(length, samples)

    def _sounding_starts(self, samples: int) -> NDArray[np.int64]:
        """Return where pieces begin that sound, in steps; the loudest of them where none does."""
        sums = np.concatenate([[0.0], np.cumsum(np.square(self.signal, dtype=np.float64))])  # one after the other
        last = len(self.signal) - samples
        starts = np.append(np.arange(0, last, min(STEP, samples)), last)
        energies = sums[starts + samples] - sums[starts]
        found = starts[energies >= LEAST_POWER * samples / len(self.signal) * sums[-1]]
        return found if len(found) else starts[[int(np.argmax(energies))]]
