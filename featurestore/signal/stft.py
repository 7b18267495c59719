"""Cutting a signal into windowed frames, and the analysis windows."""

from __future__ import annotations

import numpy as np

from featurestore.errors import AudioError
from featurestore.signal.arrays import Float64, Real, Signal
from featurestore.signal.kernel import exact_kernel
from featurestore.specs.features import FeatureSpec


def periodic_window(name: str, length: int) -> Float64:
    """Return a periodic Hamming or Hann window, array [length].

    w(n) = a - (1 - a) cos(2 pi n / length), with a = 0.54 (Hamming) or 0.5 (Hann). The window of a single sample is 1.
    """
    if length == 1:
        return np.ones(1)
    a = {"hamming": 0.54, "hann": 0.5}[name]
    window: Float64 = a - (1 - a) * np.cos(2 * np.pi * np.arange(length) / length)
    return window


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


@exact_kernel
def cut_frames(
    signal: Signal, gain: np.float32, window: Real, first: int, hop: int, padding: int, frames: Real
) -> None:
    """Write frames [count, fft_length]: (signal * gain, rounded to float32) * window, zeros beyond the signal's ends.

    Frame r starts at sample (first + r) * hop - padding.
    """
    samples, length = len(signal), frames.shape[1]
    for r in range(frames.shape[0]):
        start = (first + r) * hop - padding
        inside = max(0, -start)
        outside = max(inside, min(length, samples - start))
        frame = frames[r]
        frame[:inside] = 0
        frame[outside:] = 0
        piece, weights, target = signal[start + inside : start + outside], window[inside:outside], frame[inside:outside]
        for j in range(len(piece)):
            target[j] = weights[j] * np.float32(piece[j] * gain)
