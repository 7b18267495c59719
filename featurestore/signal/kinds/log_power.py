"""The kinds `logmel` and `spectrogram`: log power in mel bands or on a linear frequency axis, also in decibels."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.kernels.elementary import LN10, log
from featurestore.signal.mel import mel_triangles
from featurestore.signal.spectrum import frame_count
from featurestore.signal.transform import LogBands
from featurestore.specs.features import FeatureSpec, kept_bins

SMALLEST = 1e-30
"""Added to powers whose logarithm becomes decibels: far below every floor, and above what float32 holds with all its
digits."""

_A_NEPER = 10 / LN10


def added_power(features: FeatureSpec) -> float:
    """Return what is added to a power before its logarithm: eps, which for decibels is a floor instead."""
    return features.eps if features.decibels is None else SMALLEST


def levels(logarithms: Float32, features: FeatureSpec) -> Float32:
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


class LogPower:
    """Log power in bands, natural or in decibels; calls as of `registry.Transform`.

    Parameters
    ----------
    features : FeatureSpec
    weights : array [bands, bins]
        Weight of each bin of the transform in each band.
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, weights: Float64, rate: int) -> None:
        self.features = features
        self._bands = LogBands(features, weights, added_power(features), rate)

    def check(self, samples: int) -> None:
        """Refuse a signal shorter than one window with `AudioError`."""
        frame_count(self.features, samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return log(power in the band + eps), or its decibels, array [frames, bands], float32."""
        return levels(self._bands(signal, gain, precision, warping), self.features)


class LogMel(LogPower):
    """The log-mel spectrogram of a feature spec at one sampling rate, rows [frames, mels].

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        high_hz = features.high_hz if features.high_hz is not None else rate / 2
        triangles = mel_triangles(
            rate, features.fft_length, features.mels, features.mel_scale, features.low_hz, high_hz
        )
        super().__init__(features, triangles, rate)


class Spectrogram(LogPower):
    """The log power in each bin from `low_hz` to `high_hz`, both included, rows [frames, bins].

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        bins = np.arange(features.fft_length // 2 + 1)
        single = (np.array(kept_bins(features))[:, None] == bins[None, :]).astype(np.float64)
        super().__init__(features, single, rate)
