"""The array types that signatures speak of, and how much of anything a recording may have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import AudioError, TooLongError

Signal = NDArray[np.float32]
"""Samples, array [time]."""
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Real = NDArray[np.float32] | NDArray[np.float64]
"""Values in the precision of the computation at hand."""
Row = NDArray[np.float16] | NDArray[np.float32]
"""One row of the store, array [frames, width]."""


MAX_CHANNELS = 8
RATES = (1_000, 384_000)
"""Samples a second."""
MAX_SECONDS = 600.0
"""Longest recording that is read unless the user asks for more; 230 MB of samples at 96 kHz."""
LARGEST_MAX_SECONDS = 86_400.0
"""The largest such limit that a user can ask for."""
COUNTED_RATE = 96_000
"""Samples a second, beyond which a second counts for as many seconds as its samples are at this rate."""
LOUDEST = 1e6
"""Largest absolute sample; 1 is full scale, and files of floats in 16-bit units reach 32,768."""


def is_finite(row: Row) -> bool:
    """Return whether every value of a stored row is a finite number."""
    if row.dtype == np.float16:  # numpy's own test takes ten times as long for it
        return bool(np.all(row.view(np.uint16) & np.uint16(0x7C00) != 0x7C00))
    return bool(np.isfinite(row).all())


def check_channels_and_rate(channels: int, rate: int) -> None:
    """Refuse a number of channels or a sampling rate that no recording of speech has, with `AudioError`."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"a rate of {rate} Hz; {RATES[0]} to {RATES[1]} are read.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{channels} channels; at most {MAX_CHANNELS} are read.")


def counted_seconds(samples: int, rate: int) -> float:
    """Return the length that is held against a limit, in seconds."""
    return samples / min(rate, COUNTED_RATE)


def check_length(samples: int, rate: int, max_seconds: float) -> None:
    """Refuse an announced length that is nothing, with `AudioError`, or too much, with `TooLongError`."""
    if samples < 1:
        raise AudioError("the file holds no samples.")
    seconds = counted_seconds(samples, rate)
    if seconds > max_seconds:
        raise TooLongError(seconds, max_seconds)
