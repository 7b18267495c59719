"""Time stretch: another duration at the same pitch, by the splices that also shift pitches."""

from __future__ import annotations

from featurestore.signal.pitch_grid import PITCH_GRID


def stretch_steps(factor: float) -> int:
    """Return the nearest S, where the factor of the duration is S / 2048.

    Examples
    --------
    >>> stretch_steps(1.0), stretch_steps(0.5)
    (2048, 1024)
    """
    return max(1, round(PITCH_GRID * factor))


def on_grid(factor: float, low: float, high: float) -> float:
    """Return the nearest factor that can be applied, a multiple of 1 / 2048, inside `[low, high]` if one lies there."""
    steps = stretch_steps(factor)
    for candidate in (steps, steps + 1, steps - 1):
        if low <= candidate / PITCH_GRID <= high:
            return candidate / PITCH_GRID
    return steps / PITCH_GRID


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

    One synthesis so gives pitch and duration: the pitch is reading / 2048 exactly, the duration to one part in 4096
    before the end is cut or filled to `stretched_samples`.
    """
    return max(1, round(stretch_steps(factor) * reading / PITCH_GRID))
