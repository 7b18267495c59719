"""Time stretch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.perturbations.kind import PerturbationKind
from featurestore.perturbations.pitch import voiced
from featurestore.signal.pitch_grid import PITCH_GRID, nearest_factor, pitch_steps, stretched_samples, synthesis_steps

if TYPE_CHECKING:
    from featurestore.signal.copies import Copy


class Stretch(PerturbationKind):
    """Time stretch: the factor of the duration, a multiple of 1 / 2048; the pitch is kept."""

    place = 20
    name, unit, limits = "stretch", "", (0.25, 4.0)
    said = "duration × {:.3f}"
    operation, version, libraries = "stretch", 3, ("numba", "numpy")
    moves = True

    def nearest(self, value: float, low: float, high: float) -> float:
        """Return the nearest factor on the grid."""
        return nearest_factor(value, low, high)

    def apply(self, value: float, copy: Copy) -> None:
        """Give the signal another duration and, in the same synthesis, its pitch."""
        reading = PITCH_GRID if copy.perturbation.semitones is None else pitch_steps(copy.perturbation.semitones)
        length = stretched_samples(len(copy.recording.signal), value)
        copy.signal = voiced(copy, synthesis_steps(value, reading), reading, length)
