"""What the phase vocoder keeps of a recording: magnitudes, and the turn of each phase from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float32, Float64
from featurestore.signal.kernel import kernel

_NOTHING = 1e-100
"""Magnitudes below have no phase."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What all pitch shifts of one recording share."""

    magnitudes: Float32
    """Array [frames + 1, width], divided by the passband of the interpolation; the last frame is silent.

    The width is the number of bins, rounded up to whole registers.
    """
    turns: Float32
    """Array [frames, 2, width]: real and imaginary part of the unit number that turns frame t's phase into t + 1's."""
    start: Float32
    """Array [2, width]: the unit number of the first frame's phase."""


@kernel
def write_polar(spectrum: NDArray[np.complex128], gain: Float64, magnitudes: Float32, phases: Float64) -> None:
    """Write |X| * gain and the unit numbers X / |X|, array [frames, 2, bins]; 1 where X is zero."""
    for t in range(spectrum.shape[0]):
        given, size, unit_real, unit_imaginary = spectrum[t], magnitudes[t], phases[t, 0], phases[t, 1]
        for k in range(len(gain)):
            real, imaginary = given[k].real, given[k].imag
            magnitude = math.sqrt(real * real + imaginary * imaginary)
            size[k] = np.float32(magnitude * gain[k])
            scale = 1.0 / max(magnitude, _NOTHING)
            unit_real[k] = real * scale if magnitude > _NOTHING else 1.0
            unit_imaginary[k] = imaginary * scale if magnitude > _NOTHING else 0.0


@kernel
def write_turns(phases: Float64, turns: Float32) -> None:
    """Write the unit number conj(u(t)) u(t + 1) that turns each phase into the next frame's."""
    for t in range(phases.shape[0] - 1):
        a, b, c, d = phases[t, 0], phases[t, 1], phases[t + 1, 0], phases[t + 1, 1]
        real, imaginary = turns[t, 0], turns[t, 1]
        for k in range(len(a)):
            real[k] = np.float32(a[k] * c[k] + b[k] * d[k])
            imaginary[k] = np.float32(a[k] * d[k] - b[k] * c[k])
