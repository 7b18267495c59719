"""Pitch shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.perturbations.kind import PerturbationKind
from featurestore.signal.pitch_grid import PITCH_GRID, pitch_steps, snap

if TYPE_CHECKING:
    from featurestore.rows.perturber import Copy
    from featurestore.signal.arrays import Signal


class Pitch(PerturbationKind):
    """Pitch shift, duration kept; drawn on the grid P / 2048 of frequency ratios, finer than 1 cent."""

    name, unit, limits = "semitones", "semitones", (-24.0, 24.0)
    operation, version, libraries = "pitch", 3, ("scipy", "numba", "numpy")
    in_torch = True

    def nearest(self, value: float, low: float, high: float) -> float:
        """Return the nearest shift on the grid."""
        return snap(value, low, high)

    def apply(self, value: float, copy: Copy) -> None:
        """Shift the pitch; where the duration changes too, the stretch does both in one synthesis."""
        if copy.drawn.stretch is None:
            source, steps = copy.source, pitch_steps(value)
            samples = len(source.signal)
            copy.signal = read_faster(copy, source.vocoder.stretch(source.analysis, steps, samples), steps, samples)


def read_faster(copy: Copy, stretched: Signal, steps: int, samples: int) -> Signal:
    """Return the first samples of a stretched signal, read steps / 2048 times as fast."""
    from featurestore.signal.interpolation import blocks_of, interpolate, lanes_length

    pitched = copy.buffer("pitched", blocks_of(samples) * PITCH_GRID)
    interpolate(stretched, steps, copy.weights, copy.buffer("lanes", lanes_length(steps)), pitched)
    return pitched[:samples]
