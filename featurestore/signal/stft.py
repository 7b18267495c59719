"""Cutting a signal into windowed frames, eight at a time, and the analysis windows."""

from __future__ import annotations

import numpy as np

from featurestore.errors import AudioError
from featurestore.signal.arrays import Float64, Real, Signal
from featurestore.signal.elementary import cosine_and_sine
from featurestore.signal.kernel import kernel
from featurestore.signal.lanes import LANES, load_rows, store_weighted, transposed
from featurestore.specs.features import FeatureSpec


def periodic_window(name: str, length: int) -> Float64:
    """Return a periodic Hamming or Hann window, array [length].

    w(n) = a - (1 - a) cos(2 pi n / length), with a = 0.54 (Hamming) or 0.5 (Hann). The window of a single sample is 1.
    """
    if length == 1:
        return np.ones(1)
    a = {"hamming": 0.54, "hann": 0.5}[name]
    return a - (1 - a) * cosine_and_sine(np.arange(length) / length)[0]


def padded_window(features: FeatureSpec) -> Float64:
    """Return the window of a spec, array [fft_length], with zeros around it where the transform is longer.

    The window stands in the middle, as in librosa.
    """
    window = np.zeros(features.fft_length)
    start = (features.fft_length - features.window_length) // 2
    window[start : start + features.window_length] = periodic_window(features.window, features.window_length)
    return window


def frame_count(features: FeatureSpec, samples: int) -> int:
    """Return the number of frames of a signal.

    Raises
    ------
    AudioError
        If the signal is shorter than one transform and not padded, or empty.
    """
    if features.centred and samples > 0:
        return 1 + samples // features.hop_length
    if samples < features.fft_length:
        raise AudioError(f"shorter than one window: {samples} samples, a window has {features.fft_length}.")
    return 1 + (samples - features.fft_length) // features.hop_length


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
