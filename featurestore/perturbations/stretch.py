"""Time stretch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.perturbations.kind import PerturbationKind
from featurestore.perturbations.pitch import read_faster
from featurestore.signal.perturbations.stretch import on_grid, stretch_steps, stretched_samples, synthesis_steps
from featurestore.signal.pitch_grid import pitch_steps

if TYPE_CHECKING:
    from featurestore.rows.perturber import Copy


class Stretch(PerturbationKind):
    """Time stretch: the factor of the duration, a multiple of 1 / 2048; the pitch is kept."""

    name, unit, limits = "stretch", "", (0.25, 4.0)
    operation, version, libraries = "stretch", 2, ("scipy", "numba", "numpy")
    moves = True

    def nearest(self, value: float, low: float, high: float) -> float:
        """Return the nearest factor on the grid."""
        return on_grid(value, low, high)

    def apply(self, value: float, copy: Copy) -> None:
        """Give the signal another duration and, in the same synthesis, its pitch."""
        source, semitones = copy.source, copy.drawn.semitones
        samples, length = len(source.signal), stretched_samples(len(source.signal), value)
        if semitones is None:
            copy.signal = source.vocoder.lengthen(source.even_analysis, stretch_steps(value), samples, length)
            return
        from featurestore.signal.interpolation import reach

        reading = pitch_steps(semitones)
        steps = synthesis_steps(value, reading)
        stretched = source.vocoder.stretch(source.analysis, steps, samples, reading, reach(length, reading))
        copy.signal = read_faster(copy, stretched, reading, length)
