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
from featurestore.signal.interpolation import LEAD, TAPS, passband
from featurestore.signal.kernel import fast_kernel
from featurestore.signal.pitch_grid import PITCH_GRID
from featurestore.signal.stft import cut_frames, frames_of, periodic_window, spectra

OVERLAP = 4
"""Frames that cover a sample."""
WINDOW_POWER = 1.5
"""Sum over the frames of the squared Hann window where all four cover a sample."""
PASSBAND_EDGE = 0.97
"""Share of the spectrum below half the rate that is kept; the interpolation cannot tell apart what lies above."""
_FRAMES = 32
"""Frames transformed at a time, so that they stay in the cache."""
_GRID = PITCH_GRID


def vocoder_length(rate: int) -> int:
    """Return the length of the transform: the power of two nearest to 0.128 s, 2048 at 16 kHz."""
    return int(2 ** max(6, round(math.log2(0.128 * rate))))


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What all pitch shifts of one recording share."""

    length: int
    """Samples of a transform."""
    magnitudes: Float32
    """Array [frames + 1, bins], divided by the passband of the interpolation; the last frame is silent."""
    turns: Float32
    """Array [frames, 2, bins]: real and imaginary part of the unit number that turns frame t's phase into t + 1's."""
    start: Float32
    """Array [2, bins]: the unit number of the first frame's phase."""


def analyse(signal: Signal, rate: int) -> Analysis:
    """Compute the centred spectra of a signal [time] and the turn of each phase from frame to frame."""
    length = vocoder_length(rate)
    hop, bins = length // OVERLAP, length // 2 + 1
    count = 1 + len(signal) // hop
    window = periodic_window("hann", length)
    magnitudes = np.zeros((count + 1, bins), np.float32)
    turns = np.zeros((count, 2, bins), np.float32)
    start = np.zeros((2, bins), np.float32)
    previous = np.zeros(2 * bins)
    gain = 1 / passband(bins)
    for first in range(0, count, _FRAMES):
        frames = np.empty((min(_FRAMES, count - first), length))
        cut_frames(signal, np.float32(1), window, first, hop, length // 2, frames)
        spectrum = spectra(frames)
        _turn(spectrum, previous, gain, magnitudes[first:], turns[max(first - 1, 0) :], start, first == 0)
        previous = spectrum[-1].copy()
    turns[count - 1, 0] = 1
    return Analysis(length, magnitudes, turns, start)


@fast_kernel
def _turn(
    spectrum: Float64,
    previous: Float64,
    gain: Float64,
    magnitudes: Float32,
    turns: Float32,
    start: Float32,
    at_start: bool,
) -> None:
    """Write |X(t)| and conj(X(t - 1)) X(t) / |X(t - 1) X(t)|; a bin without a phase does not turn."""
    for t in range(spectrum.shape[0]):
        before = previous if t == 0 else spectrum[t - 1]
        row = t - 1 if at_start else t
        for k in range(len(gain)):
            a, b, c, d = before[2 * k], before[2 * k + 1], spectrum[t, 2 * k], spectrum[t, 2 * k + 1]
            size = math.sqrt(c * c + d * d)
            magnitudes[t, k] = size * gain[k]
            if at_start and t == 0:
                start[0, k] = c / size if size > 0 else 1.0
                start[1, k] = d / size if size > 0 else 0.0
            else:
                product = size * math.sqrt(a * a + b * b)
                turns[row, 0, k] = (a * c + b * d) / product if product > 0 else 1.0
                turns[row, 1, k] = (a * d - b * c) / product if product > 0 else 0.0


def stretched_length(samples: int, steps: int) -> int:
    """Return the samples that `stretch` writes: the stretched signal and room around it for the interpolation."""
    return LEAD + samples * steps // _GRID + 2 * steps + 2 * TAPS


@dataclass(frozen=True, slots=True, eq=False)
class Synthesis:
    """The windows of a synthesis of one transform length."""

    window: Float32
    """The Hann window divided by `WINDOW_POWER`, array [length]."""
    squares: Float32
    """The squared Hann window divided by `WINDOW_POWER`, array [length]."""


def synthesis_windows(length: int) -> Synthesis:
    """Return the windows for overlapping the frames of a transform of `length` samples."""
    window = periodic_window("hann", length)
    scaled = (window / WINDOW_POWER).astype(np.float32)
    return Synthesis(scaled, (window**2 / WINDOW_POWER).astype(np.float32))


def stretch(analysis: Analysis, steps: int, samples: int, synthesis: Synthesis, stretched: Signal) -> None:
    """Write the signal lasting steps / 2048 times as long; sample 0 stands at index `LEAD`.

    Parameters
    ----------
    analysis : Analysis
    steps : int
        The factor times 2048.
    samples : int
        Length of the original signal.
    synthesis : Synthesis
        Of the analysis's transform length.
    stretched : array [stretched_length(samples, steps)], float32
        Overwritten.
    """
    length, bins = analysis.length, analysis.length // 2 + 1
    hop = length // OVERLAP
    kept = _kept_bins(bins, steps)
    count = (len(analysis.turns) * steps + _GRID - 1) // _GRID
    used = min(count, 2 + (samples * steps // _GRID + TAPS) // hop + OVERLAP)
    phase = analysis.start.copy()
    spectrum = np.zeros((_FRAMES, 2 * bins), np.float32)
    stretched[:] = 0
    for first in range(0, used, _FRAMES):
        part = spectrum[: min(_FRAMES, used - first)]
        _advance(analysis.magnitudes, analysis.turns, phase, first, steps, kept, part)
        overlap_add(frames_of(part, length), synthesis.window, first * hop - length // 2, stretched[LEAD:])
    end = samples * steps // _GRID
    _even_out(synthesis.squares, used, hop, stretched[LEAD:])
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
        target = spectrum[t, : 2 * kept]
        for k in range(kept):
            size, a, b = left[k] + share * (right[k] - left[k]), real[k], imaginary[k]
            target[2 * k] = size * a
            target[2 * k + 1] = size * b
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
            target, source, weight = signal[start + inside : start + outside], frames[t, inside:outside], window[inside:outside]
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
