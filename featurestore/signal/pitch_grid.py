"""The grid on which pitch shifts lie: frequency ratios that are whole multiples of 1/2048.

On this grid the position of every output sample between two input samples is one of 2048 exact phases, so one table
of interpolation weights serves all shifts. Neighbours are less than 1 cent apart above -2.9 semitones.
"""

from __future__ import annotations

import math

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


def snap(semitones: float, low: float, high: float) -> float:
    """Return the grid's value nearest to a shift, inside `[low, high]` if a point of the grid lies there."""
    steps = pitch_steps(semitones)
    for candidate in (steps, steps + 1, steps - 1):
        if low <= grid_semitones(candidate) <= high:
            return grid_semitones(candidate)
    return grid_semitones(steps)
