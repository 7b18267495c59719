"""Moving a signal in time."""

from __future__ import annotations

from featurestore.signal.arrays import Signal


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
