"""What the transforms of `fourier` read for frames of one length: turns of the passes, and where each bin stands.

The numbers are computed in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Real
from featurestore.signal.elementary import cosine_and_sine
from featurestore.signal.lanes import LANES

SHORTEST = 8
"""Shortest power of two that `fourier` transforms."""
Tables = tuple[Real, Real, Real, NDArray[np.int64]]
"""Turns of the passes, of a first pass of radix 2, of the halves, and where each bin stands: see `fourier_tables`."""


def own_length(length: int) -> bool:
    """Tell whether `fourier` transforms frames of this length itself; scipy does the others."""
    return length >= SHORTEST and length & (length - 1) == 0


def fourier_tables(length: int, dtype: type[np.floating]) -> Tables:
    """Return what `power_spectra` needs for frames of a length, a power of two from 8 on."""
    size = length // 2
    odd = (size.bit_length() - 1) % 2 == 1
    pair = _turns(np.arange(size // 2 if odd else 1), size)
    halves = _turns(np.arange(size // 2 + 1), length)
    parts = [np.zeros(0)]
    quarter = 1
    while 4 * quarter <= size:
        parts.append(np.stack([_turns(j * np.arange(quarter), 4 * quarter) for j in (1, 2, 3)], axis=1).reshape(-1))
        quarter *= 4
    return (
        np.concatenate(parts).astype(dtype),
        pair.reshape(-1).astype(dtype),
        halves.astype(dtype),
        _places(size, odd=odd),
    )


def _turns(exponent: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return exp(-2 pi i exponent / size), array [..., 2]."""
    return np.stack(cosine_and_sine(-exponent / size), axis=-1)


def _places(size: int, *, odd: bool) -> NDArray[np.int64]:
    """Return where bin k stands after the passes, times 16; bin `size` is bin 0 again."""
    rest, place, block = np.arange(size), np.zeros(size, np.int64), size
    while block > 1:
        radix = 2 if odd and block == size else 4
        block //= radix
        place += rest % radix * block
        rest //= radix
    return np.append(place, 0) * (2 * LANES)
