"""The grid on which pitch shifts and stretches lie: ratios that are whole multiples of 1/2048.

On this grid the position of every output sample between two input samples is one of 2048 exact phases, so one table
of interpolation weights serves all shifts. Neighbours are less than 1 cent apart above -2.9 semitones.
"""

from __future__ import annotations

import math
from collections.abc import Callable

PITCH_GRID = 2048


def pitch_steps(semitones: float) -> int:
    """Return the nearest P, where the frequency ratio is P / 2048.

    Examples
    --------
    >>> pitch_steps(0.0), pitch_steps(12.0)
    (2048, 4096)
    """
    return max(1, round(PITCH_GRID * math.pow(2.0, semitones / 12)))


def grid_semitones(steps: int) -> float:
    """Return the shift of P / 2048 in semitones.

    Examples
    --------
    >>> grid_semitones(1024)
    -12.0
    """
    return 12 * math.log2(steps / PITCH_GRID)


def nearest_semitones(semitones: float, low: float, high: float) -> float:
    """Return the grid's value nearest to a shift, inside `[low, high]` if a point of the grid lies there."""
    return _nearest(pitch_steps(semitones), grid_semitones, low, high)


def stretch_steps(factor: float) -> int:
    """Return the nearest S, where the factor of the duration is S / 2048.

    Examples
    --------
    >>> stretch_steps(1.0), stretch_steps(0.5)
    (2048, 1024)
    """
    return max(1, round(PITCH_GRID * factor))


def stretched_samples(samples: int, factor: float) -> int:
    """Return how many samples a signal has after a stretch: samples * factor, rounded half up; 1 or more.

    Examples
    --------
    >>> stretched_samples(16_000, 1.25)
    20000
    """
    return max(1, (2 * samples * stretch_steps(factor) + PITCH_GRID) // (2 * PITCH_GRID))


def synthesis_steps(factor: float, reading: int) -> int:
    """Return the steps by which a signal lasts longer that is then read reading / 2048 times as fast.

    A single synthesis thus sets pitch and duration: the pitch is reading / 2048 exactly, the duration is right to one
    part in 4096 before the end is cut or filled to `stretched_samples`.
    """
    return max(1, round(stretch_steps(factor) * reading / PITCH_GRID))


def nearest_factor(factor: float, low: float, high: float) -> float:
    """Return the nearest factor of the duration that can be applied, inside `[low, high]` if one lies there."""
    return _nearest(stretch_steps(factor), lambda steps: steps / PITCH_GRID, low, high)


def _nearest(steps: int, value: Callable[[int], float], low: float, high: float) -> float:
    for candidate in (steps, steps + 1, steps - 1):
        if low <= value(candidate) <= high:
            return value(candidate)
    return value(steps)
