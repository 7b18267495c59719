"""Reading a signal between its samples: the values at all multiples of P / 2048.

2048 outputs later the same 2048 phases come again, P samples further on. So blocks of 2048 outputs share each set of
weights, and the lanes of the processor each work on a block of their own.
"""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import bessel_i0, cosine_and_sine
from featurestore.signal.kernels.simd import LANES, Lanes, fma, load, load_rows, spread, store, store_rows, transposed
from featurestore.signal.pitch_grid import PITCH_GRID

TAPS = 16
LEAD = TAPS // 2 - 1
"""Samples before the position that a weight applies to."""
_KAISER_BETA = 6.5
FILTER_REACH = 32
"""Samples to each side that the filter before the interpolation looks at."""
_BINS = 513
_BAND = 0.96
"""Share of the spectrum below half the rate that is kept; the interpolation cannot tell apart what lies above."""


def _kernel_values(offset: Float64) -> Float64:
    inside = np.sqrt(np.clip(1 - (offset / (TAPS / 2)) ** 2, 0.0, 1.0))
    angle = np.pi * offset
    sinc = np.where(offset == 0, 1.0, cosine_and_sine(offset / 2)[1] / np.where(offset == 0, 1.0, angle))
    return np.asarray(sinc * bessel_i0(_KAISER_BETA * inside) / bessel_i0(np.float64(_KAISER_BETA)))


def interpolation_weights() -> Float32:
    """Return weights [2048, 16]: row p gives the value p / 2048 after a sample from the 16 samples around it.

    A sinc under a Kaiser window (Smith and Gossett 1984, "A flexible sampling-rate conversion method").
    """
    taps = np.arange(-LEAD, TAPS - LEAD)[None, :]
    phases = (np.arange(PITCH_GRID) / PITCH_GRID)[:, None]
    return _kernel_values(taps - phases).astype(np.float32)


def reading_filters() -> Float32:
    """Return half of a symmetric filter, centre first, for each limit of the band, array [513, 33].

    Row k keeps what lies below k / 512 of half the rate and makes up for what the interpolation takes there: an ideal
    filter under a Kaiser window, each of its waves divided by the interpolation's gain at that frequency.
    """
    bins, lags = np.arange(_BINS)[:, None], np.arange(FILTER_REACH + 1)[None, :]
    offset = np.linspace(-TAPS / 2, TAPS / 2, 64 * TAPS + 1)
    cosines = cosine_and_sine(bins / (2.0 * (_BINS - 1)) * offset[None, :])[0]
    gain = np.sum(cosines * _kernel_values(offset)[None, :], axis=1) / 64
    waves = cosine_and_sine(bins * lags / (2.0 * (_BINS - 1)))[0] / gain[:, None] / (_BINS - 1)
    waves[[0, -1]] /= 2
    inside = np.sqrt(1 - (lags / (FILTER_REACH + 1)) ** 2)
    kaiser = bessel_i0(_KAISER_BETA * inside) / bessel_i0(np.float64(_KAISER_BETA))
    return np.asarray(np.cumsum(waves, axis=0) * kaiser, np.float32)


def band_limit(steps: int) -> int:
    """Return the row of `reading_filters` for a signal that is read steps / 2048 times as fast."""
    return int(_BAND * (_BINS - 1) * min(1.0, PITCH_GRID / steps))


@kernel
def filter_band(signal: Signal, half: Float32, output: Signal) -> None:
    """Write a signal [time + 64], filtered, to output [time]; its length is cut to whole registers.

    Eight samples at a time, pairs of weights from the middle outwards, in two sums.
    """
    for n in range(0, len(output) - LANES + 1, LANES):
        middle = n + FILTER_REACH
        even = load(signal, middle) * spread(half[0])
        odd = (load(signal, middle - 1) + load(signal, middle + 1)) * spread(half[1])
        for lag in range(2, FILTER_REACH, 2):
            even = fma(load(signal, middle - lag) + load(signal, middle + lag), spread(half[lag]), even)
            pair = load(signal, middle - lag - 1) + load(signal, middle + lag + 1)
            odd = fma(pair, spread(half[lag + 1]), odd)
        last = load(signal, n) + load(signal, n + 2 * FILTER_REACH)
        store(output, n, fma(last, spread(half[FILTER_REACH]), even) + odd)


def blocks_of(samples: int) -> int:
    """Return how many blocks of 2048 outputs are computed: as many as fill all lanes."""
    return -(-samples // (PITCH_GRID * LANES)) * LANES


def touched(samples: int, steps: int) -> int:
    """Return the samples that `samples` outputs are read from."""
    return samples * steps // PITCH_GRID + TAPS


def reach(samples: int, steps: int) -> int:
    """Return the samples that `interpolate` may touch."""
    return blocks_of(samples) * steps + TAPS + LANES


def lanes_length(steps: int) -> int:
    """Return the numbers of work space that `interpolate` needs."""
    return (steps + TAPS + LANES) * LANES


def interpolate(stretched: Signal, steps: int, weights: Float32, source: Float32, output: Signal) -> None:
    """Write output[k] = stretched(LEAD + k * steps / 2048), array [blocks_of(samples) * 2048].

    Parameters
    ----------
    stretched : array of `reach` samples
    steps : int
    weights : array [2048, 16]
    source : array [lanes_length(steps)]
        Work space.
    output : array [blocks_of(samples) * 2048]
        Overwritten.
    """
    _interpolate(stretched, steps, weights.reshape(-1), source, np.empty(LANES * LANES, np.float32), output)


@kernel
def _interpolate(
    stretched: Signal, steps: int, weights: Float32, source: Float32, tile: Float32, output: Signal
) -> None:
    """Take eight blocks at a time, one in each lane."""
    for first in range(0, len(output) // PITCH_GRID, LANES):
        for p in range(0, steps + TAPS, LANES):
            store_rows(source, LANES * p, LANES, transposed(load_rows(stretched, first * steps + p, steps)))
        for begin in range(0, PITCH_GRID, LANES):
            for r in range(begin, begin + LANES):
                store(
                    tile,
                    LANES * (r - begin),
                    _weighed(source, r * steps // PITCH_GRID, weights, r * steps % PITCH_GRID),
                )
            store_rows(output, first * PITCH_GRID + begin, PITCH_GRID, transposed(load_rows(tile, 0, LANES)))


@kernel
def _weighed(source: Float32, begin: int, weights: Float32, phase: int) -> Lanes:
    """Return the sum of 16 samples from `begin` on under the weights of a phase, in four parts."""
    i, w = LANES * begin, TAPS * phase
    a = load(source, i) * spread(weights[w])
    b = load(source, i + 8) * spread(weights[w + 1])
    c = load(source, i + 16) * spread(weights[w + 2])
    d = load(source, i + 24) * spread(weights[w + 3])
    for tap in range(4, TAPS, 4):
        a = fma(load(source, i + 8 * tap), spread(weights[w + tap]), a)
        b = fma(load(source, i + 8 * tap + 8), spread(weights[w + tap + 1]), b)
        c = fma(load(source, i + 8 * tap + 16), spread(weights[w + tap + 2]), c)
        d = fma(load(source, i + 8 * tap + 24), spread(weights[w + tap + 3]), d)
    return (a + b) + (c + d)
