"""The phase vocoder: changing how long a signal lasts without changing its pitch.

A shift of pitch is a stretch of time by P / 2048, then reading the result P / 2048 times as fast. What the copies of
one recording share, its magnitudes and the turn of each phase from frame to frame, is computed once. The turns are
unit complex numbers that are multiplied up, so no copy needs a trigonometric function.

References
----------
Flanagan and Golden (1966), "Phase vocoder"; Laroche and Dolson (1999), "Improved phase vocoder time-scale
modification of audio". Transform, hop and frame positions are those of `librosa.phase_vocoder`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.fourier import RealFourier
from featurestore.signal.interpolation import LEAD, TAPS, passband
from featurestore.signal.kernel import fast_kernel
from featurestore.signal.pitch_grid import PITCH_GRID
from featurestore.signal.stft import cut_frames, periodic_window

OVERLAP = 4
"""Frames that cover a sample."""
WINDOW_POWER = 1.5
"""Sum over the frames of the squared Hann window where all four cover a sample."""
PASSBAND_EDGE = 0.97
"""Share of the spectrum below half the rate that is kept; the interpolation cannot tell apart what lies above."""
_FRAMES = 16
"""Frames transformed at a time, so that they stay in the cache."""
_NOTHING = 1e-100
"""Magnitudes below have no phase."""
_GRID = PITCH_GRID


def vocoder_length(rate: int) -> int:
    """Return the length of the transform: the power of two nearest to 0.128 s, 2048 at 16 kHz."""
    return int(2 ** max(6, round(math.log2(0.128 * rate))))


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What all pitch shifts of one recording share."""

    magnitudes: Float32
    """Array [frames + 1, bins], divided by the passband of the interpolation; the last frame is silent."""
    turns: Float32
    """Array [frames, 2, bins]: real and imaginary part of the unit number that turns frame t's phase into t + 1's."""
    start: Float32
    """Array [2, bins]: the unit number of the first frame's phase."""


@fast_kernel
def _polar(spectrum: Float64, gain: Float64, magnitudes: Float32, phases: Float64) -> None:
    """Write |X| * gain and the unit numbers X / |X|, array [frames, 2, bins]; 1 where X is zero."""
    for t in range(spectrum.shape[0]):
        real, imaginary, size = spectrum[t, 0], spectrum[t, 1], magnitudes[t]
        unit_real, unit_imaginary = phases[t, 0], phases[t, 1]
        for k in range(len(gain)):
            magnitude = math.sqrt(real[k] * real[k] + imaginary[k] * imaginary[k])
            size[k] = np.float32(magnitude * gain[k])
            scale = 1.0 / max(magnitude, _NOTHING)
            unit_real[k] = real[k] * scale if magnitude > _NOTHING else 1.0
            unit_imaginary[k] = imaginary[k] * scale if magnitude > _NOTHING else 0.0


@fast_kernel
def _turn(phases: Float64, turns: Float32) -> None:
    """Write the unit number conj(u(t)) u(t + 1) that turns each phase into the next frame's."""
    for t in range(phases.shape[0] - 1):
        a, b, c, d = phases[t, 0], phases[t, 1], phases[t + 1, 0], phases[t + 1, 1]
        real, imaginary = turns[t, 0], turns[t, 1]
        for k in range(len(a)):
            real[k] = np.float32(a[k] * c[k] + b[k] * d[k])
            imaginary[k] = np.float32(a[k] * d[k] - b[k] * c[k])


def stretched_length(samples: int, steps: int) -> int:
    """Return the samples that `stretch` writes: the stretched signal and room around it for the interpolation."""
    return LEAD + samples * steps // _GRID + 2 * steps + 2 * TAPS


class Vocoder:
    """Analysis and synthesis with transforms of one length: windows and work space, reused for many recordings.

    Parameters
    ----------
    length : int
        Samples of a transform, a power of two.
    """

    def __init__(self, length: int) -> None:
        self.length, self.hop, self.bins = length, length // OVERLAP, length // 2 + 1
        self._hann = periodic_window("hann", length)
        self._window = (self._hann / WINDOW_POWER).astype(np.float32)
        self._squares = (self._hann**2 / WINDOW_POWER).astype(np.float32)
        self._gain = 1 / passband(self.bins)
        self._exact, self._fourier = RealFourier(length, np.float64), RealFourier(length, np.float32)
        self._spectrum = np.empty((_FRAMES, 2, self.bins), np.float32)
        self._frames = np.empty((_FRAMES, length), np.float32)

    def analyse(self, signal: Signal) -> Analysis:
        """Compute the centred spectra of a signal [time] and the turn of each phase from frame to frame."""
        count = 1 + len(signal) // self.hop
        magnitudes = np.zeros((count + 1, self.bins), np.float32)
        turns = np.zeros((count, 2, self.bins), np.float32)
        frames, spectrum = np.empty((_FRAMES, self.length)), np.empty((_FRAMES, 2, self.bins))
        phases = np.zeros((_FRAMES + 1, 2, self.bins))
        start = np.zeros((2, self.bins), np.float32)
        for first in range(0, count, _FRAMES):
            here = min(_FRAMES, count - first)
            cut_frames(signal, np.float32(1), self._hann, first, self.hop, self.length // 2, frames[:here])
            self._exact.forward(frames[:here], spectrum[:here])
            phases[0] = phases[_FRAMES]
            _polar(spectrum[:here], self._gain, magnitudes[first:], phases[1:])
            if first == 0:
                start[:] = phases[1]
                _turn(phases[1 : here + 1], turns)
            else:
                _turn(phases[: here + 1], turns[first - 1 :])
        turns[count - 1, 0] = 1
        return Analysis(magnitudes, turns, start)

    def stretch(self, analysis: Analysis, steps: int, samples: int, stretched: Signal) -> None:
        """Write the signal lasting steps / 2048 times as long; sample 0 stands at index `LEAD`.

        Parameters
        ----------
        analysis : Analysis
        steps : int
            The factor times 2048.
        samples : int
            Length of the original signal.
        stretched : array [stretched_length(samples, steps)], float32
            Overwritten.
        """
        hop, bins = self.hop, self.bins
        kept = _kept_bins(bins, steps)
        end = samples * steps // _GRID
        count = (len(analysis.turns) * steps + _GRID - 1) // _GRID
        count = min(count, (end + TAPS) // hop + OVERLAP)
        phase = analysis.start.copy()
        self._spectrum[:, :, kept:] = 0
        stretched[:] = 0
        for first in range(0, count, _FRAMES):
            spectrum, frames = self._spectrum[: count - first], self._frames[: count - first]
            _advance(analysis.magnitudes, analysis.turns, phase, first, steps, kept, spectrum)
            self._fourier.inverse(spectrum, frames)
            overlap_add(frames, self._window, first * hop - self.length // 2, stretched[LEAD:])
        _even_out(self._squares, count, hop, stretched[LEAD:])
        stretched[LEAD + end + TAPS :] = 0


def _kept_bins(bins: int, steps: int) -> int:
    """Count the bins that stay below half the rate when the stretched signal is read faster."""
    return int(PASSBAND_EDGE * (bins - 1) * min(1.0, _GRID / steps)) + 1


@fast_kernel
def _advance(
    magnitudes: Float32, turns: Float32, phase: Float32, first: int, steps: int, kept: int, spectrum: Float32
) -> None:
    """Write frames `first`... of the stretched spectrum; output frame t lies at frame t * 2048 / steps of the source.

    Its magnitude lies on a straight line between those of the two frames around; its phase is the sum of the turns.
    """
    half, three_halves = np.float32(0.5), np.float32(1.5)
    real, imaginary = phase[0, :kept], phase[1, :kept]
    for t in range(spectrum.shape[0]):
        position = (first + t) * _GRID
        source = position // steps
        share = np.float32((position % steps) / steps)
        left, right = magnitudes[source, :kept], magnitudes[source + 1, :kept]
        turn_real, turn_imaginary = turns[source, 0, :kept], turns[source, 1, :kept]
        target_real, target_imaginary = spectrum[t, 0, :kept], spectrum[t, 1, :kept]
        for k in range(kept):
            size, a, b = left[k] + share * (right[k] - left[k]), real[k], imaginary[k]
            target_real[k], target_imaginary[k] = size * a, size * b
            x = a * turn_real[k] - b * turn_imaginary[k]
            y = a * turn_imaginary[k] + b * turn_real[k]
            # One Newton step towards 1 / sqrt(x**2 + y**2) keeps the product of thousands of turns on the unit circle.
            correction = three_halves - half * (x * x + y * y)
            real[k], imaginary[k] = x * correction, y * correction


@fast_kernel
def overlap_add(frames: Float32, window: Float32, begin: int, signal: Signal) -> None:
    """Add windowed frames [count, length] to a signal [time], the first at sample `begin`, each a quarter later."""
    length = frames.shape[1]
    for t in range(frames.shape[0]):
        start = begin + t * (length // OVERLAP)
        inside, outside = max(0, -start), max(0, min(length, len(signal) - start))
        if inside < outside:
            target, source, weight = (
                signal[start + inside : start + outside],
                frames[t, inside:outside],
                window[inside:outside],
            )
            for j in range(len(target)):
                target[j] += source[j] * weight[j]


@fast_kernel
def _even_out(squares: Float32, count: int, hop: int, signal: Signal) -> None:
    """Divide by the sum of squared windows where fewer than four of the `count` frames cover a sample, at both ends."""
    for block in range((len(signal) + hop - 1) // hop):
        last = block + OVERLAP // 2
        if last >= OVERLAP - 1 and last < count:
            continue
        target = signal[block * hop : (block + 1) * hop]
        for j in range(len(target)):
            total = np.float32(0)
            for q in range(OVERLAP):
                if 0 <= last - q < count:
                    total += squares[q * hop + j]
            target[j] /= max(total, np.float32(1e-6))
