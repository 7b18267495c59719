"""The logarithm of the power of a signal in bands, natural or in decibels.

Eight frames at a time go from samples to bands, so that they stay in the cache.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.registry import Declared
from featurestore.signal.arrays import Float32, Float64, Real, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import LN10, log, natural_log
from featurestore.signal.kernels.fourier import (
    Tables,
    fourier_tables,
    is_power_of_two,
    power_spectra,
    scipy_power_spectra,
)
from featurestore.signal.kernels.simd import LANES, fma, load, load_rows, spread, store_narrow, store_rows, transposed
from featurestore.signal.mel import mel_triangles
from featurestore.signal.spectrum import (
    cut_frames,
    cut_off_bin,
    frame_count,
    padded_length,
    padded_window,
    warp,
    warp_positions,
)

Bands = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Real]
"""Triangles without their zeros: first bins, stops, offsets and weights.

Band m weighs bins `first[m]` to `stop[m]` with `weights[offset[m]:]`. So the sum over a band runs over its own few bins
in a fixed order; a matrix product would touch a thousand zeros a band, and its rounding would depend on how many frames
are computed at once.
"""
SMALLEST = 1e-30
"""Added to powers whose logarithm becomes decibels: far below every floor, and above what float32 holds with all its
digits."""

_A_NEPER = 10 / LN10


class LogPower:
    """Log power in bands, natural or in decibels; calls as of `featurestore.features.kind.Transform`.

    Parameters
    ----------
    features : FeatureSpec
        Window, transform, hop, and how levels are given.
    weights : array [bands, bins]
        Weight of each bin of the transform in each band.
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: Declared, weights: Float64, rate: int) -> None:
        self.features = features
        self._weights = weights
        self._eps = features.eps if features.decibels is None else SMALLEST  # the eps of decibels is a floor instead
        self._cut_off = cut_off_bin(features, rate)
        self._window = padded_window(features)
        self._tables: dict[type[np.floating], _Tables] = {}
        self._padded = np.zeros(0, np.float32)
        self._sums = np.empty(len(weights) * LANES, np.float32)

    def check(self, samples: int) -> None:
        """Refuse a signal shorter than one window with `AudioError`."""
        frame_count(self.features, samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return log(power in the band + eps), or its decibels, array [frames, bands], float32."""
        hop, count = self.features.hop_length, frame_count(self.features, len(signal))
        padded = self._pad(signal, gain, count)
        frames = np.empty((-(-count // LANES) * LANES, len(self._weights)), np.float32)
        below, share = np.zeros(0, np.int64), np.zeros(0)  # no positions: no warp
        if warping is not None:
            below, share = warp_positions(self.features.fft_length // 2 + 1, *warping, self._cut_off)
        if precision not in self._tables:
            self._tables[precision] = _Tables(self._window, self._weights, precision)
        tables, flat, step = self._tables[precision], frames.reshape(-1), LANES * len(self._weights)
        window, bands, share = tables.window, tables.bands, share.astype(precision)
        work_space = windowed, powers, warped, sums = tables.windowed, tables.powers, tables.warped, self._sums
        if tables.twiddles is not None:
            _write_frames(padded, hop, window, tables.twiddles, bands, self._eps, below, share, *work_space, flat)
        else:
            for group in range(len(flat) // step):
                cut_frames(padded, group * LANES * hop, hop, window, windowed)
                scipy_power_spectra(windowed, len(window), powers)
                if warping is not None:
                    warp(powers, below, share, warped)
                log_mel(powers if warping is None else warped, bands, self._eps, sums, flat, group * step)
        return levels(frames[:count], self.features)

    def _pad(self, signal: Signal, gain: np.float32, count: int) -> Signal:
        """Return the signal at its level between the zeros that frames at both ends reach into."""
        features = self.features
        front = features.fft_length // 2 if features.centred else 0
        end = max(front + len(signal), padded_length(count, features.hop_length, features.fft_length))
        if len(self._padded) < end:
            self._padded = np.zeros(end + end // 4, np.float32)
        np.multiply(signal, gain, out=self._padded[front : front + len(signal)])
        self._padded[front + len(signal) : end] = 0
        return self._padded


class _Tables:
    """Window, bands and work space of one precision."""

    def __init__(self, window: Float64, triangles: Float64, precision: type[np.floating]) -> None:
        length, bins = len(window), triangles.shape[1]
        self.window = window.astype(precision)
        self.bands = mel_bands(triangles, precision)
        self.twiddles = fourier_tables(length, precision) if is_power_of_two(length) else None
        self.windowed = np.empty(length * LANES, precision)
        self.powers = np.empty(bins * LANES, precision)
        self.warped = np.empty(bins * LANES, precision)


def mel_bands(triangles: Float64, dtype: type[np.floating]) -> Bands:
    """Leave out the zeros of triangles [mels, bins]; a band between two bins is empty and sums to zero."""
    held = triangles > 0
    any_held = held.any(axis=1)
    first = np.where(any_held, held.argmax(axis=1), 0)
    stop = np.where(any_held, triangles.shape[1] - held[:, ::-1].argmax(axis=1), 0)
    offset = np.concatenate([[0], np.cumsum(stop - first)])
    pieces = [triangles[m, first[m] : stop[m]] for m in range(len(triangles))]
    return first, stop, offset, np.concatenate(pieces).astype(dtype)


@kernel
def log_mel(powers: Real, bands: Bands, eps: float, sums: Float32, frames: Float32, start: int) -> None:
    """Write log(sum of weights * power + eps) of eight frames, from frames[start] on, each `mels` long.

    Parameters
    ----------
    powers : array [bins * 8]
        |X|**2 with bin k of frame l at 8 k + l.
    bands : Bands
    eps : float
    sums : array [mels * 8], float32
        Work space.
    frames : array, float32
        Overwritten from `start` on.
    """
    first, stop, offset, weights = bands
    zero = spread(weights.dtype.type(0))
    small = spread(weights.dtype.type(eps))
    for m in range(len(first)):
        total, shift = zero, offset[m] - first[m]
        for k in range(first[m], stop[m]):
            total = fma(load(powers, LANES * k), spread(weights[shift + k]), total)
        store_narrow(sums, LANES * m, total + small)
    for i in range(len(sums)):
        sums[i] = natural_log(sums[i])
    transpose_lanes(sums, len(first), frames, start)


@kernel
def transpose_lanes(lanes: Float32, width: int, frames: Float32, start: int) -> None:
    """Write eight frames of `width` numbers one after the other; number m of frame l stands at lanes[8 m + l]."""
    whole = width - width % LANES
    for m in range(0, whole, LANES):
        store_rows(frames, start + m, width, transposed(load_rows(lanes, LANES * m, LANES)))
    for m in range(whole, width):
        for lane in range(LANES):
            frames[start + lane * width + m] = lanes[LANES * m + lane]


@kernel
def _write_frames(
    signal: Signal,
    hop: int,
    window: Real,
    tables: Tables,
    bands: Bands,
    eps: float,
    below: NDArray[np.int64],
    share: Real,
    windowed: Real,
    powers: Real,
    warped: Real,
    sums: Float32,
    frames: Float32,
) -> None:
    """Write all frames, array [frames * mels], one after the other; without `below` nothing is warped."""
    step = LANES * len(bands[0])
    for group in range(len(frames) // step):
        cut_frames(signal, group * LANES * hop, hop, window, windowed)
        power_spectra(windowed, tables, powers)
        if len(below) > 0:
            warp(powers, below, share, warped)
            log_mel(warped, bands, eps, sums, frames, group * step)
        else:
            log_mel(powers, bands, eps, sums, frames, group * step)


def log_mel_power(features: Declared, rate: int) -> LogPower:
    """Return the log power in the mel bands of a spec."""
    high_hz = features.high_hz if features.high_hz is not None else rate / 2
    triangles = mel_triangles(rate, features.fft_length, features.mels, features.mel_scale, features.low_hz, high_hz)
    return LogPower(features, triangles, rate)


def levels(logarithms: Float32, features: Declared) -> Float32:
    """Return log power as a spec wants it, array [frames, bands], float32.

    As natural logarithms they stay what they are. Decibels are 10 log10(max(power, eps)); `relative` ones lie below
    those of the clip's maximum, and none lies more than `range_db` below the clip's maximum: the rule of
    `librosa.power_to_db` with `ref=1` or `ref=np.max`, `amin=eps` and `top_db=range_db`.
    """
    if features.decibels is None:
        return logarithms
    decibels: Float32 = np.maximum(logarithms * np.float32(_A_NEPER), np.float32(_A_NEPER * log(features.eps)))
    highest = np.float32(decibels.max())
    if features.range_db is not None:
        decibels = np.maximum(decibels, highest - np.float32(features.range_db))
    if features.decibels == "relative":
        decibels -= highest
    return decibels
