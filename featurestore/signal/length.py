"""Signals of one length."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Signal


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
