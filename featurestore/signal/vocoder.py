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

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from featurestore.signal.arrays import Float32, Signal
from featurestore.signal.fourier import inverse
from featurestore.signal.fourier_tables import Tables, fourier_tables
from featurestore.signal.interpolation import LEAD, TAPS, passband, reach
from featurestore.signal.kernel import kernel
from featurestore.signal.lanes import LANES, add_rows, fma, load, load_rows, spread, store, store_rows, transposed
from featurestore.signal.pitch_grid import PITCH_GRID
from featurestore.signal.stft import periodic_window
from featurestore.signal.vocoder_analysis import Analysis, write_polar, write_turns

OVERLAP = 4
"""Frames that cover a sample."""
WINDOW_POWER = 1.5
"""Sum over the frames of the squared Hann window where all four cover a sample."""
PASSBAND_EDGE = 0.97
"""Share of the spectrum below half the rate that is kept; the interpolation cannot tell apart what lies above."""
_FRAMES = 16
"""Frames analysed at a time, so that they stay in the cache."""
_GRID = PITCH_GRID


def vocoder_length(rate: int) -> int:
    """Return the length of the transform: the power of two nearest to 0.128 s, 2048 at 16 kHz."""
    return int(2 ** max(6, round(math.log2(0.128 * rate))))


class Vocoder:
    """Analysis and synthesis with transforms of one length: windows and work space, reused for many recordings.

    Parameters
    ----------
    length : int
        Samples of a transform, a power of two from 64 on.
    """

    def __init__(self, length: int) -> None:
        self.length, self.hop, self.bins = length, length // OVERLAP, length // 2 + 1
        self._width = -(-self.bins // LANES) * LANES
        self._hann = periodic_window("hann", length)
        self._window = (self._hann / WINDOW_POWER).astype(np.float32)
        self._squares = (self._hann**2 / WINDOW_POWER).astype(np.float32)
        self._gain = 1 / passband(self.bins)
        self._tables = fourier_tables(length, np.float32)
        self._spectrum = np.empty(self._width * 2 * LANES, np.float32)
        self._frames = np.empty(length * LANES, np.float32)
        self._tile = np.empty(2 * LANES * LANES, np.float32)
        self._stretched = np.empty(0, np.float32)

    def analyse(self, signal: Signal) -> Analysis:
        """Compute the centred spectra of a signal [time] and the turn of each phase from frame to frame."""
        count = 1 + len(signal) // self.hop
        magnitudes = np.zeros((count + 1, self._width), np.float32)
        turns = np.zeros((count, 2, self._width), np.float32)
        phases = np.zeros((_FRAMES + 1, 2, self.bins))
        start = np.zeros((2, self._width), np.float32)
        padded = np.concatenate([np.zeros(self.length // 2), signal, np.zeros(self.length)])
        framed = np.lib.stride_tricks.sliding_window_view(padded, self.length)[:: self.hop]
        for first in range(0, count, _FRAMES):
            here = min(_FRAMES, count - first)
            spectrum = scipy.fft.rfft(framed[first : first + here] * self._hann, axis=1, workers=1)
            phases[0] = phases[_FRAMES]
            write_polar(spectrum, self._gain, magnitudes[first:], phases[1:])
            if first == 0:
                start[:, : self.bins] = phases[1]
                write_turns(phases[1 : here + 1], turns)
            else:
                write_turns(phases[: here + 1], turns[first - 1 :])
        turns[count - 1, 0] = 1
        return Analysis(magnitudes, turns, start)

    def evened(self, analysis: Analysis) -> Analysis:
        """Return the spectra without what makes up for the passband of an interpolation: for `lengthen`."""
        magnitudes = analysis.magnitudes.copy()
        magnitudes[:, : self.bins] *= (1 / self._gain).astype(np.float32)
        return Analysis(magnitudes, analysis.turns, analysis.start)

    def lengthen(self, analysis: Analysis, steps: int, samples: int, length: int) -> Signal:
        """Return the first `length` samples of the signal lasting steps / 2048 times as long, at its own pitch.

        It is not read by an interpolation, so all its bins are kept; `analysis` comes from `evened`. The array is
        overwritten by the next call.
        """
        return self._stretch(analysis, steps, samples, self.bins, LEAD + length)[LEAD : LEAD + length]

    def stretch(
        self, analysis: Analysis, steps: int, samples: int, reading: int | None = None, needed: int | None = None
    ) -> Signal:
        """Return the signal lasting steps / 2048 times as long; sample 0 stands at index `LEAD`.

        Parameters
        ----------
        analysis : Analysis
        steps : int
            The factor times 2048.
        samples : int
            Length of the original signal.
        reading : int, optional
            How much faster the result is read, times 2048; `steps` by default, which keeps the duration.
        needed : int, optional
            Samples that are touched then; those of `reach` by default.

        Returns
        -------
        array, float32
            Long enough for `interpolate`; overwritten by the next call.
        """
        kept = _kept_bins(self.bins, steps if reading is None else reading)
        return self._stretch(analysis, steps, samples, kept, reach(samples, steps) if needed is None else needed)

    def _stretch(self, analysis: Analysis, steps: int, samples: int, kept: int, needed: int) -> Signal:
        """Synthesise `kept` bins of the stretched signal into at least `needed` samples."""
        end = samples * steps // _GRID
        count = (len(analysis.turns) * steps + _GRID - 1) // _GRID
        count = min(count, (end + TAPS) // self.hop + OVERLAP)
        margin = self.length // 2
        room = self._room(margin + max(needed, LEAD + (count + LANES) * self.hop + self.length))
        _synthesise(
            analysis.magnitudes.reshape(-1),
            analysis.turns.reshape(-1),
            analysis.start.reshape(-1).copy(),
            _frame_positions(count, steps),
            kept,
            self._tables,
            self._window,
            self._spectrum,
            self._tile,
            self._frames,
            room[LEAD:],
        )
        stretched = room[margin:]
        _even_out(self._squares, count, self.hop, stretched[LEAD:])
        stretched[LEAD + end + TAPS :] = 0
        return stretched

    def _room(self, samples: int) -> Signal:
        """Return a reused array of zeros."""
        if len(self._stretched) < samples:
            self._stretched = np.empty(samples + samples // 4, np.float32)
        room = self._stretched[:samples]
        room[:] = 0
        return room


def _kept_bins(bins: int, steps: int) -> int:
    """Count the bins that stay below half the rate when the stretched signal is read faster."""
    return int(PASSBAND_EDGE * (bins - 1) * min(1.0, _GRID / steps)) + 1


def _frame_positions(count: int, steps: int) -> tuple[NDArray[np.int64], Float32]:
    """Return which frame of the source each output frame follows, and the share of the next: t * 2048 / steps."""
    position = np.arange(count, dtype=np.int64) * _GRID
    return position // steps, (position % steps / steps).astype(np.float32)


@kernel
def _synthesise(
    magnitudes: Float32,
    turns: Float32,
    phase: Float32,
    positions: tuple[NDArray[np.int64], Float32],
    kept: int,
    tables: Tables,
    window: Float32,
    spectrum: Float32,
    tile: Float32,
    frames: Float32,
    signal: Signal,
) -> None:
    """Add all frames of the stretched signal, eight at a time, to `signal`, the first from its begin on."""
    source, share = positions
    hop = len(window) // OVERLAP
    spectrum[:] = 0
    for first in range(0, len(source), LANES):
        _advance(
            magnitudes, turns, phase, source[first : first + LANES], share[first : first + LANES], kept, tile, spectrum
        )
        inverse(spectrum, tables, frames)
        overlap_add(frames, window, hop, signal[first * hop :])


@kernel
def _advance(
    magnitudes: Float32,
    turns: Float32,
    phase: Float32,
    source: NDArray[np.int64],
    share: Float32,
    kept: int,
    tile: Float32,
    spectrum: Float32,
) -> None:
    """Write up to eight frames of the stretched spectrum, eight bins at a time; frames that are left over are silent.

    A frame's magnitude lies on a straight line between those of the two frames around; its phase is the sum of the
    turns so far.
    """
    width, real_part, imaginary_part = len(phase) // 2, 0, LANES * LANES
    half, three_halves = spread(np.float32(0.5)), spread(np.float32(1.5))
    tile[:] = 0
    for k in range(0, kept, LANES):
        a, b = load(phase, k), load(phase, width + k)
        for t in range(len(source)):
            left, turn = source[t] * width + k, source[t] * 2 * width + k
            low = load(magnitudes, left)
            size = fma(spread(share[t]), load(magnitudes, left + width) - low, low)
            store(tile, real_part + LANES * t, size * a)
            store(tile, imaginary_part + LANES * t, size * b)
            turn_real, turn_imaginary = load(turns, turn), load(turns, turn + width)
            x, y = fma(a, turn_real, -(b * turn_imaginary)), fma(a, turn_imaginary, b * turn_real)
            # One Newton step towards 1 / sqrt(x**2 + y**2) keeps the product of thousands of turns on the unit circle.
            correction = fma(-half, fma(x, x, y * y), three_halves)
            a, b = x * correction, y * correction
        store(phase, k, a)
        store(phase, width + k, b)
        store_rows(spectrum, 2 * LANES * k, 2 * LANES, transposed(load_rows(tile, real_part, LANES)))
        store_rows(spectrum, 2 * LANES * k + LANES, 2 * LANES, transposed(load_rows(tile, imaginary_part, LANES)))
    spectrum[2 * LANES * kept : 2 * LANES * (kept + LANES)] = 0


@kernel
def overlap_add(frames: Float32, window: Float32, hop: int, signal: Signal) -> None:
    """Add eight windowed frames, array [length * 8], to a signal, the first from its begin on, each a hop later."""
    for n in range(0, len(window), LANES):
        add_rows(signal, n, hop, transposed(load_rows(frames, LANES * n, LANES)), load(window, n))


@kernel
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
