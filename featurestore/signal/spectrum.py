"""Cutting a signal into windowed frames, and a warp of the frequency axis (vocal tract length perturbation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import AudioError
from featurestore.registry import Declared
from featurestore.signal.arrays import Float64, Real, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import cosine_and_sine
from featurestore.signal.kernels.simd import LANES, fma, load, load_rows, spread, store, store_weighted, transposed


def periodic_window(name: str, length: int) -> Float64:
    """Return a periodic Hamming or Hann window, array [length].

    w(n) = a - (1 - a) cos(2 pi n / length), with a = 0.54 (Hamming) or 0.5 (Hann). The window of a single sample is 1.
    """
    if length == 1:
        return np.ones(1)
    a = {"hamming": 0.54, "hann": 0.5}[name]
    return a - (1 - a) * cosine_and_sine(np.arange(length) / length)[0]


def padded_window(features: Declared) -> Float64:
    """Return the window of a spec, array [fft_length], with zeros around it where the transform is longer.

    The window stands in the middle, as in librosa.
    """
    window = np.zeros(features.fft_length)
    start = (features.fft_length - features.window_length) // 2
    window[start : start + features.window_length] = periodic_window(features.window, features.window_length)
    return window


def frame_count(features: Declared, samples: int) -> int:
    """Return the number of frames of a signal.

    Raises
    ------
    AudioError
        If the signal is shorter than one transform and not padded, or empty.
    """
    hop, length = int(features.hop_length), int(features.fft_length)
    if features.centred and samples > 0:
        return 1 + samples // hop
    if samples < length:
        raise AudioError(f"shorter than one window: {samples} samples, a window has {length}.")
    return 1 + (samples - length) // hop


def padded_length(count: int, hop: int, length: int) -> int:
    """Return the samples that `cut_frames` may touch when it cuts `count` frames, eight at a time."""
    groups = -(-count // LANES)
    return (groups * LANES - 1) * hop + length + LANES


@kernel
def cut_frames(signal: Signal, begin: int, hop: int, window: Real, frames: Real) -> None:
    """Write eight windowed frames, array [length * 8] with sample n of frame l at 8 n + l.

    Frame l starts at sample begin + l * hop; the signal must reach `padded_length` samples.
    """
    length = len(window)
    whole = length - length % LANES
    for n in range(0, whole, LANES):
        store_weighted(frames, LANES * n, transposed(load_rows(signal, begin + n, hop)), window, n)
    for n in range(whole, length):
        for lane in range(LANES):
            frames[LANES * n + lane] = window[n] * signal[begin + lane * hop + n]


def warped_frequency(frequency: Float64, alpha: float, f0: float, fmax: float) -> Float64:
    """Return G(f): alpha * f up to f0, then the straight line that maps [f0, fmax] onto [alpha * f0, fmax].

    References
    ----------
    Etienne et al. (2018), "CNN+LSTM architecture for speech emotion recognition with data augmentation", equation 1.
    """
    above = (fmax - alpha * f0) / (fmax - f0) * (frequency - f0) + alpha * f0
    return np.where(frequency <= f0, alpha * frequency, above)


def unwarped_frequency(frequency: Float64, alpha: float, f0: float, fmax: float) -> Float64:
    """Return the frequency that equation 1 moves to `frequency`: the inverse of `warped_frequency`."""
    above = (fmax - f0) / (fmax - alpha * f0) * (frequency - alpha * f0) + f0
    return np.where(frequency <= alpha * f0, frequency / alpha, above)


def cut_off_bin(features: Declared, rate: int) -> float:
    """Return the upper cut-off frequency of features, the fmax of equation 1, in bins of their transform."""
    high_hz: float = features.high_hz if features.high_hz is not None else rate / 2
    return high_hz * int(features.fft_length) / rate


def warp_positions(
    bins: int, alpha: float, f0_share: float, fmax: float | None = None
) -> tuple[NDArray[np.int64], Float64]:
    """Return for each bin of the warped spectrum the bin below its origin, and the share of the bin above it.

    Parameters
    ----------
    bins : int
        Those of the spectrum; the last is half the sampling rate.
    alpha : float
        Warping factor; `alpha * f0_share` must lie below 1, or the warp would fold the axis.
    f0_share : float
        f0 of equation 1 as a share of fmax.
    fmax : float, optional
        Upper cut-off frequency of the features, in bins; what lies above stays in place. The last bin by default.
    """
    fmax = bins - 1.0 if fmax is None else fmax
    places = np.arange(bins, dtype=np.float64)
    origin = np.where(places < fmax, unwarped_frequency(places, alpha, f0_share * fmax, fmax), places)
    origin = np.clip(origin, 0.0, np.maximum(places, fmax))
    below = np.minimum(origin.astype(np.int64), max(bins - 2, 0))
    return below, origin - below


@kernel
def warp(powers: Real, below: NDArray[np.int64], share: Real, warped: Real) -> None:
    """Write S'(G(f)) = S(f) of eight frames, array [bins * 8]: a peak at f moves to G(f); linear between bins."""
    for k in range(len(below)):
        low = load(powers, LANES * below[k])
        high = load(powers, LANES * below[k] + LANES)
        store(warped, LANES * k, fma(spread(share[k]), high - low, low))
