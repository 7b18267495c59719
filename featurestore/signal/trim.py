"""Cutting the silence at the start and the end of a recording away."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.elementary import exp10

FRAME, HOP = 2048, 512
"""Samples of a frame and steps between frames, those of librosa."""
_LEAST_POWER = 1e-10
"""Frames below this power (-100 dB of full scale) count as having it, as in librosa."""


def sounding(signal: Signal, decibels: float) -> slice:
    """Return the samples of a signal from the first to the last frame that is less than so much below the loudest.

    The same rule as `librosa.effects.trim(signal, top_db=decibels)`: the power of frames of 2048 samples around every
    512th one; the cut lies on multiples of 512. Of a silent signal nothing is cut.

    Parameters
    ----------
    signal : array [time], float32, at least one sample
    decibels : float
        Positive; 60 keeps soft starts, 30 cuts close.

    Returns
    -------
    slice
        Its first sample and the one behind its last.
    """
    powers = np.maximum(_centred_powers(signal), _LEAST_POWER)
    loud = np.flatnonzero(powers > powers.max() * exp10(-decibels / 10))
    return slice(HOP * int(loud[0]), min(len(signal), HOP * (int(loud[-1]) + 1)))


def _centred_powers(signal: Signal) -> Float64:
    """Return the mean power of `FRAME` samples around each `HOP`th one, array [frames]; zeros surround the signal."""
    sums = np.concatenate(([0.0], np.cumsum(np.square(signal, dtype=np.float64))))
    centres = np.arange(1 + len(signal) // HOP) * HOP
    begins, ends = (np.clip(centres + half, 0, len(signal)) for half in (-FRAME // 2, FRAME // 2))
    powers: Float64 = (sums[ends] - sums[begins]) / FRAME
    return powers
