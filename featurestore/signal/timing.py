"""Where a signal begins and ends: silence cut away, moved in time, brought to one length."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Signal
from featurestore.signal.kernels.elementary import exp10

FRAME, HOP = 2048, 512
"""Samples of a frame and steps between frames, those of librosa."""
_LEAST_POWER = 1e-10
"""Frames below this power (-100 dB of full scale) count as having it, as in librosa."""


def fit_length(signal: Signal, samples: int | None) -> Signal:
    """Return the first `samples` of a signal, followed by zeros where it is shorter; None keeps its length.

    Parameters
    ----------
    signal : array [time], float32
    samples : int or None

    Returns
    -------
    array [samples], float32
        A view of the signal unless it has to be lengthened.
    """
    if samples is None or len(signal) >= samples:
        return signal[:samples]
    fitted = np.zeros(samples, np.float32)
    fitted[: len(signal)] = signal
    return fitted


def shift(signal: Signal, by: int, circular: bool, shifted: Signal) -> None:
    """Write a signal moved `by` samples later (earlier if negative), array [time].

    What the shift uncovers is silence, or, if `circular`, what left on the other side, as often as it goes round.
    """
    samples = len(signal)
    by = by % samples if circular else max(-samples, min(samples, by))
    if by >= 0:
        shifted[by:] = signal[: samples - by]
        shifted[:by] = signal[samples - by :] if circular else 0
    else:
        shifted[:by] = signal[-by:]
        shifted[by:] = signal[:-by] if circular else 0


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
    sums = np.concatenate(([0.0], np.cumsum(np.square(signal, dtype=np.float64))))
    centres = np.arange(1 + len(signal) // HOP) * HOP
    begins, ends = (np.clip(centres + half, 0, len(signal)) for half in (-FRAME // 2, FRAME // 2))
    powers = np.maximum((sums[ends] - sums[begins]) / FRAME, _LEAST_POWER)
    loud = np.flatnonzero(powers > powers.max() * exp10(-decibels / 10))
    return slice(HOP * int(loud[0]), min(len(signal), HOP * (int(loud[-1]) + 1)))
