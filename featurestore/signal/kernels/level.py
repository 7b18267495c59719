"""Levels of a signal: its power, its largest sample, and gains."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import power_of_ten
from featurestore.signal.kernels.simd import LANES, fma, load, spread, sum_of_lanes

MAGNITUDE = np.int32(0x7FFFFFFF)
"""The bits of a float32 without its sign: they are in the order of the absolute values, and whole numbers are compared
on all lanes of the processor."""
_PIECE = 4096
"""Samples summed in float32 before the sum goes to float64."""
_STEP = 4 * LANES


@kernel
def energy(signal: Signal) -> float:
    """Return the sum of squares of a signal [time]."""
    total = 0.0
    for start in range(0, len(signal), _PIECE):
        total += np.float64(sum_of_squares(signal[start : start + _PIECE]))
    return total


@kernel
def sum_of_squares(piece: Signal) -> np.float32:
    """Return the sum of squares of a short array [size], in float32: every 32nd square goes to the same part of it."""
    a = b = c = d = spread(np.float32(0))
    whole = len(piece) - len(piece) % _STEP
    for i in range(0, whole, _STEP):
        w, x, y, z = load(piece, i), load(piece, i + 8), load(piece, i + 16), load(piece, i + 24)
        a, b, c, d = fma(w, w, a), fma(x, x, b), fma(y, y, c), fma(z, z, d)
    total: np.float32 = sum_of_lanes((a + b) + (c + d))
    for i in range(whole, len(piece)):
        total = fma(piece[i], piece[i], total)
    return total


@kernel
def largest(signal: Signal) -> np.float32:
    """Return the largest absolute sample of a signal [time]."""
    bits, found = signal.view(np.int32), np.int32(0)
    for i in range(len(bits)):
        found = max(found, np.int32(bits[i] & MAGNITUDE))
    return np.int32(found).view(np.float32)


def peak_gain(found: float, target: float) -> np.float32:
    """Return the gain that brings the largest sample to `target`; 1 if the signal is all zero."""
    return np.float32(target / found) if found > 0 else np.float32(1)


def volume_gain(gain_db: float) -> np.float32:
    """Return the factor of the samples: 10 ** (gain_db / 20).

    Examples
    --------
    >>> volume_gain(20.0)
    np.float32(10.0)
    """
    return np.float32(power_of_ten(gain_db / 20))
