"""Pitch shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.errors import UnknownNameError
from featurestore.perturbations.kind import PerturbationKind
from featurestore.signal.pitch_grid import PITCH_GRID, nearest_semitones, pitch_steps

if TYPE_CHECKING:
    from featurestore.registry import Declared
    from featurestore.signal.arrays import Signal
    from featurestore.signal.copies import Copy

FORMANTS = ("moved", "kept")


class Pitch(PerturbationKind):
    """Pitch shift, duration kept; drawn on the grid P / 2048 of frequency ratios, finer than 1 cent."""

    place = 10
    name, unit, limits = "semitones", "semitones", (-24.0, 24.0)
    said = "pitch {:+.2f} semitones"
    operation, version, libraries = "pitch", 4, ("numba", "numpy")
    settings = (("formants", "moved", "`moved` with the pitch, or `kept` where they are."),)
    added = ("formants",)
    in_torch = True

    def check(self, policy: Declared) -> None:
        """Refuse an unknown place for formants."""
        if policy.formants not in FORMANTS:
            raise UnknownNameError("formants", str(policy.formants), FORMANTS)

    def nearest(self, value: float, low: float, high: float) -> float:
        """Return the nearest shift on the grid."""
        return nearest_semitones(value, low, high)

    def apply(self, value: float, copy: Copy) -> None:
        """Shift the pitch; where the duration changes too, the stretch does both in one synthesis."""
        if copy.perturbation.stretch is None:
            steps = pitch_steps(value)
            copy.signal = voiced(copy, steps, steps, len(copy.recording.signal))


def voiced(copy: Copy, steps: int, reading: int, length: int) -> Signal:
    """Return `length` samples of a recording lasting steps / 2048 times as long, read reading / 2048 times as fast."""
    from featurestore.signal import interpolation
    from featurestore.signal.envelope import excited
    from featurestore.signal.kernels.simd import LANES
    from featurestore.signal.splices import lengthen

    kept = copy.policy.formants == "kept" and reading != PITCH_GRID
    signal, similar = copy.recording.envelope.rest if kept else copy.recording.signal, copy.recording.similar
    if reading == PITCH_GRID:
        return lengthen(signal, similar, steps, length)
    needed = interpolation.touched(length, reading) + LANES
    lead, behind = interpolation.LEAD + interpolation.FILTER_REACH, interpolation.FILTER_REACH
    filtered = copy.buffer("filtered", interpolation.reach(length, reading))
    filtered[needed - LANES :] = 0
    half = copy.filters[interpolation.band_limit(reading)]
    interpolation.filter_band(lengthen(signal, similar, steps, needed + behind, lead), half, filtered[:needed])
    pitched = copy.buffer("pitched", interpolation.blocks_of(length) * PITCH_GRID)
    lanes = copy.buffer("lanes", interpolation.lanes_length(reading))
    interpolation.interpolate(filtered, reading, copy.weights, lanes, pitched)
    return excited(pitched[:length], copy.recording.envelope) if kept else pitched[:length]
