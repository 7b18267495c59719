"""Where a signal resembles itself a little earlier or later: what all changes of its pitch and duration share.

A voice repeats itself from period to period, so a period can be left out or heard twice where two neighbours are
alike. For each 2 ms of a recording the best lags from 2 to 16 ms are kept. Samples are compared as whole numbers, so
sums are exact in any order and every processor finds the same lags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.kernels.compiled import kernel

Int32 = NDArray[np.int32]

BLOCK_SECONDS = 0.002
SPAN = 8
"""Blocks of the longest lag, a period of 62.5 Hz, and of the window in which a signal is compared with itself."""
STEPS = 4
"""Limits of a lag in a block."""
ALIKE = 8192
"""The likeness of a signal to itself; that of its negative is -8192."""
LAG_BITS = 16
LAG_PARTS = 16
"""Parts of a sample in which a lag is given."""
NEVER = 2**30
_RISE = 6
"""How many times as much energy there is after an onset as before: 8 dB."""
_NEAR = 4
"""Blocks around an onset that have none sharper."""
_QUIET = 1e-5
"""Energy, as a share of the loudest block's, below which nothing begins."""
_RING = 16
"""Blocks that are remembered, over `SPAN`."""


@dataclass(frozen=True, slots=True, eq=False)
class Resemblance:
    """For each block of a recording the best lags, and whether a sound begins in it."""

    block: int
    """Samples of a block."""
    backward: Int32
    """Array [blocks, 33]: the best lag of at most c / 4 blocks to what was before the block's first sample, below its
    likeness + 8192, by c, in sixteenths of a sample; 0 if there is none of a block or more."""
    forward: Int32
    """The same for what comes after it."""
    next_onset: Int32
    """Array [blocks]: the first block from this one on in which a sound begins, or `NEVER`."""


def resemblance(signal: Signal, rate: int) -> Resemblance:
    """Compare a signal [time] with itself."""
    block = STEPS * max(1, round(BLOCK_SECONDS * rate / STEPS))
    blocks = len(signal) // block + 1
    margin = 2 * SPAN * block
    whole = np.zeros(margin + blocks * block + margin, np.int32)
    peak = float(np.max(np.abs(signal), initial=0))
    if peak > 0:
        largest = math.isqrt((2**31 - 1) // block)  # so that a block's sum of products fits 32 bits
        whole[margin : margin + len(signal)] = np.rint(signal.astype(np.float64) / peak * largest)
    squares = np.empty(len(whole) + 1, np.int64)
    _add_squares(whole, squares)
    tables = np.empty((2, blocks, SPAN * STEPS + 1), np.int32)
    _write_best_lags(whole, _inverse_norms(squares, SPAN * block), block, tables[0], tables[1])
    energies = np.diff(squares[margin : margin + blocks * block + 1 : block]).astype(np.float64)
    next_onset = np.empty(blocks, np.int32)
    _write_next_onsets(energies, next_onset)
    return Resemblance(block, tables[0], tables[1], next_onset)


@kernel
def _add_squares(whole: Int32, squares: NDArray[np.int64]) -> None:
    """Write the sums of squares up to each sample."""
    squares[0] = 0
    for n in range(len(whole)):
        squares[n + 1] = squares[n] + np.int64(whole[n]) * np.int64(whole[n])


@kernel
def _inverse_norms(squares: NDArray[np.int64], window: int) -> Float64:
    """Return 1 / sqrt of the energy of the window around each sample, from the sums of squares up to each sample."""
    norms = np.ones(len(squares))
    for n in range(len(squares) - window):
        norms[n + window // 2] = 1.0 / np.sqrt(np.maximum(np.float64(squares[n + window] - squares[n]), 1.0))
    return norms


@kernel
def _write_next_onsets(energies: Float64, following: Int32) -> None:
    """Write, for each block, given their energies, the first from it on in which a sound begins."""
    count = len(energies)
    quiet = 3 * _QUIET * np.max(energies) + 1.0
    padded = np.zeros(_NEAR + count + 1)
    padded[_NEAR : _NEAR + count] = energies
    rise = np.zeros(_NEAR + count + _NEAR)
    for i in range(count):
        before = padded[i] + padded[i + 1] + padded[i + 2]
        rise[_NEAR + i] = (2 * energies[i] + padded[i + _NEAR + 1] + quiet) / (before + quiet)
    onset = NEVER
    for i in range(count - 1, -1, -1):
        here = rise[_NEAR + i]
        if here >= _RISE and here == np.max(rise[i : i + 2 * _NEAR + 1]):
            onset = i
        following[i] = onset


@kernel
def _write_best_lags(whole: Int32, inverse_norms: Float64, block: int, backward: Int32, forward: Int32) -> None:
    """Write both tables. The window around a block's begin moves on by adding the products of one block.

    What resembles its past by a lag is what resembles its future by that lag, a lag earlier: `forward` is written
    when the likeness of blocks up to `SPAN` later is known. Lags stand in falling order, as samples do in time.
    """
    lags, margin, half = SPAN * block + 1, 2 * SPAN * block, SPAN // 2
    products = np.zeros((_RING, lags), np.int32)
    window = np.zeros(lags)
    likeness = np.zeros((_RING, lags), np.int32)
    for step in range(-SPAN, len(backward) + SPAN):
        newest = products[(step + half) % _RING]
        _write_products(whole, margin + (step + half - 1) * block, block, newest)
        _move(window, newest, products[(step - half) % _RING])
        if step < 0:
            continue
        middle = margin + step * block
        _write_likeness(window, inverse_norms[middle - lags + 1 : middle + 1], likeness[step % _RING])
        if step < len(backward):
            _write_row(likeness, step, 0, block, backward[step])
        if step >= SPAN:
            _write_row(likeness, step - SPAN, 1, block, forward[step - SPAN])


@kernel
def _write_products(whole: Int32, begin: int, block: int, sums: Int32) -> None:
    """Write the sum of products of a block with what lies each lag before it, four samples at a time."""
    sums[:] = 0
    for n in range(begin, begin + block, STEPS):
        past = whole[n - len(sums) + 1 : n + STEPS]
        first, second, third, fourth = whole[n], whole[n + 1], whole[n + 2], whole[n + 3]
        for i in range(len(sums)):
            sums[i] += np.int32(first * past[i] + second * past[i + 1] + third * past[i + 2] + fourth * past[i + 3])


@kernel
def _move(window: Float64, newest: Int32, oldest: Int32) -> None:
    """Move the sums of a window on by a block; they are whole numbers below 2**53, and so exact."""
    for i in range(len(window)):
        window[i] += np.float64(newest[i]) - np.float64(oldest[i])


@kernel
def _write_likeness(window: Float64, inverse_norms: Float64, likeness: Int32) -> None:
    """Write correlation coefficients times 8192, rounded."""
    scale = ALIKE * inverse_norms[len(window) - 1]
    for i in range(len(window)):
        likeness[i] = np.int32(window[i] * scale * inverse_norms[i] + (ALIKE + 0.5)) - ALIKE


@kernel
def _write_row(likeness: Int32, step: int, later: int, block: int, row: Int32) -> None:
    """Write the best lag up to each limit; `later` looks up the likeness to the past in the block a lag later."""
    best, packed, first, longest = -ALIKE, 0, block, SPAN * block
    for limit in range(STEPS, len(row)):
        here = likeness[(step + later * ((limit + 1) // STEPS)) % _RING]
        for lag in range(first, min(limit * block // STEPS + 1, longest)):
            i = longest - lag
            if here[i] > best and here[i] >= here[i + 1] and here[i] >= here[i - 1]:
                best = here[i]
                packed = (best + ALIKE) << LAG_BITS | _exact_lag(here[i + 1], best, here[i - 1], lag)
        first = limit * block // STEPS + 1
        row[limit] = packed
    row[:STEPS] = 0


@kernel
def _exact_lag(before: int, peak: int, after: int, lag: int) -> int:
    """Return where the parabola through a peak and its neighbours is highest, in sixteenths of a sample."""
    fall = 2 * peak - before - after
    return LAG_PARTS * lag + (0 if fall == 0 else (LAG_PARTS * (after - before) + fall) // (2 * fall))
