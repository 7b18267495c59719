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
LANES = 16
_KAISER_BETA = 6.5
_GRID = PITCH_GRID


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


@fast_kernel
def interpolate(stretched: Signal, start: int, steps: int, weights: Float32, output: Signal) -> None:
    """Write output[k] = stretched(start + k * steps / 2048), array [time].

    `stretched` must hold LEAD samples before the first position and TAPS + steps after the last.
    """
    samples = len(output)
    blocks = (samples + _GRID - 1) // _GRID
    source = np.empty((steps + TAPS, LANES), np.float32)
    target = np.empty((_GRID, LANES), np.float32)
    for first in range(0, blocks, LANES):
        lanes = min(LANES, blocks - first)
        for lane in range(lanes):
            begin = start - LEAD + (first + lane) * steps
            piece = stretched[begin : begin + steps + TAPS]
            column = source[:, lane]
            for p in range(len(piece)):
                column[p] = piece[p]
        for r in range(_GRID):
            position = r * steps
            _weighted_sum(source[position // _GRID : position // _GRID + TAPS], weights[position % _GRID], target[r])
        for lane in range(lanes):
            begin = (first + lane) * _GRID
            piece = output[begin : begin + _GRID]
            column = target[:, lane]
            for r in range(len(piece)):
                piece[r] = column[r]


@fast_kernel
def _weighted_sum(rows: Float32, weights: Float32, total: Float32) -> None:
    for lane in range(LANES):
        value = np.float32(0)
        for j in range(TAPS):
            value += weights[j] * rows[j, lane]
        total[lane] = value
