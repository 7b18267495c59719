"""Reading a signal between its samples: the values at all multiples of P / 2048.

2048 outputs later the same 2048 phases come again, P samples further on. So blocks of 2048 outputs share each set of
weights, and the lanes of the processor each work on a block of their own.
"""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.kernel import fast_kernel
from featurestore.signal.pitch_grid import PITCH_GRID

TAPS = 16
LEAD = TAPS // 2 - 1
"""Samples before the position that a weight applies to."""
MOST_LANES = 32
"""Blocks of 2048 outputs that are computed together."""
_KAISER_BETA = 6.5
_GRID = PITCH_GRID
_2, _3, _4, _8, _12 = np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(8), np.uint64(12)


def _kernel_values(offset: Float64) -> Float64:
    inside = np.sqrt(np.clip(1 - (offset / (TAPS / 2)) ** 2, 0.0, 1.0))
    return np.asarray(np.sinc(offset) * np.i0(_KAISER_BETA * inside) / np.i0(_KAISER_BETA))


def interpolation_weights() -> Float32:
    """Return weights [2048, 16]: row p gives the value p / 2048 after a sample from the 16 samples around it.

    A sinc under a Kaiser window (Smith and Gossett 1984, "A flexible sampling-rate conversion method").
    """
    taps = np.arange(-LEAD, TAPS - LEAD)[None, :]
    phases = (np.arange(_GRID) / _GRID)[:, None]
    return _kernel_values(taps - phases).astype(np.float32)


def passband(bins: int) -> Float64:
    """Return the gain of the interpolation at `bins` frequencies from 0 to half the rate, to be divided out before."""
    offset = np.linspace(-TAPS / 2, TAPS / 2, 64 * TAPS + 1)
    values = _kernel_values(offset)
    frequency = np.arange(bins)[:, None] / (2.0 * (bins - 1))
    waves = np.cos(2 * np.pi * frequency * offset[None, :])
    return np.asarray(np.sum(waves * values[None, :], axis=1) / 64)


def interpolate(stretched: Signal, steps: int, weights: Float32, output: Signal) -> None:
    """Write output[k] = stretched(LEAD + k * steps / 2048), array [time].

    `stretched` must hold TAPS + steps samples after the last position.
    """
    blocks = -(-len(output) // _GRID)
    lanes = min(MOST_LANES, -(-blocks // 8) * 8)
    source = np.empty((steps + TAPS) * lanes, np.float32)
    target = np.empty(_GRID * lanes, np.float32)
    for first in range(0, blocks, lanes):
        _to_lanes(stretched[first * steps :], steps, lanes, source)
        _weigh(source, steps, weights, lanes, target)
        _from_lanes(target, lanes, output[first * _GRID : (first + lanes) * _GRID])


@fast_kernel
def _to_lanes(signal: Signal, steps: int, lanes: int, source: Float32) -> None:
    """Write block b, which starts at sample b * steps, to source[b], source[b + lanes] ...; zeros after the end."""
    for lane in range(lanes):
        piece = signal[min(lane * steps, len(signal)) : lane * steps + steps + TAPS]
        column, stride = source[lane:], np.uint64(lanes)
        for p in range(len(piece)):
            column[np.uint64(p) * stride] = piece[p]
        for p in range(len(piece), steps + TAPS):
            column[np.uint64(p) * stride] = 0


@fast_kernel
def _from_lanes(target: Float32, lanes: int, output: Signal) -> None:
    for lane in range(lanes):
        piece = output[min(lane * _GRID, len(output)) : (lane + 1) * _GRID]
        column, stride = target[lane:], np.uint64(lanes)
        for r in range(len(piece)):
            piece[r] = column[np.uint64(r) * stride]


@fast_kernel
def _weigh(source: Float32, steps: int, weights: Float32, lanes: int, target: Float32) -> None:
    """Write output r of all blocks: the sum over the 16 taps, spelled out so that the lanes are the inner loop."""
    one = np.uint64(lanes)
    for r in range(_GRID):
        begin = r * steps // _GRID * lanes
        w = weights[r * steps % _GRID]
        w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
        w8, w9, wa, wb, wc, wd, we, wf = w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]
        x, total = source[begin : begin + TAPS * lanes], target[r * lanes : (r + 1) * lanes]
        for lane in range(lanes):
            i = np.uint64(lane)
            j, k, m = i + _4 * one, i + _8 * one, i + _12 * one
            a = w0 * x[i] + w1 * x[i + one] + w2 * x[i + _2 * one] + w3 * x[i + _3 * one]
            b = w4 * x[j] + w5 * x[j + one] + w6 * x[j + _2 * one] + w7 * x[j + _3 * one]
            c = w8 * x[k] + w9 * x[k + one] + wa * x[k + _2 * one] + wb * x[k + _3 * one]
            d = wc * x[m] + wd * x[m + one] + we * x[m + _2 * one] + wf * x[m + _3 * one]
            total[lane] = (a + b) + (c + d)
