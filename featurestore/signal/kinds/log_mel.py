"""The kind `logmel`: log power in mel bands."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Signal
from featurestore.signal.kinds.decibels import added_power, levels
from featurestore.signal.mel import mel_triangles
from featurestore.signal.stft import frame_count
from featurestore.signal.transform import LogBands
from featurestore.specs.features import FeatureSpec


class LogMel:
    """The log-mel spectrogram of a feature spec at one sampling rate; calls as of `registry.Transform`.

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
        self.features = features
        self._bands = LogBands(features, triangles, added_power(features))

    def check(self, samples: int) -> None:
        """Refuse a signal shorter than one window with `AudioError`."""
        frame_count(self.features, samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return log(mel power + eps), or its decibels, array [frames, mels], float32."""
        return levels(self._bands(signal, gain, precision, warping), self.features)
