"""Moving a signal in time."""

from __future__ import annotations

from featurestore.signal.arrays import Signal


def shift_samples(seconds: float, rate: int, samples: int) -> int:
    """Return a shift in whole samples, at most half the signal's length: a longer one would leave little speech."""
    wanted = round(seconds * rate)
    limit = samples // 2
    return max(-limit, min(limit, wanted))


def shift(signal: Signal, by: int, circular: bool, shifted: Signal) -> None:
    """Write a signal moved `by` samples later (earlier if negative), array [time].

    What the shift uncovers is silence, or, if `circular`, what left on the other side.
    """
    samples = len(signal)
    if by >= 0:
        shifted[by:] = signal[: samples - by]
        shifted[:by] = signal[samples - by :] if circular else 0
    else:
        shifted[:by] = signal[-by:]
        shifted[by:] = signal[:-by] if circular else 0
