"""What the kinds `logmel` and `spectrogram` have in common: log power in bands, as a spec wants it."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.kinds.decibels import added_power, levels
from featurestore.signal.stft import frame_count
from featurestore.signal.transform import LogBands
from featurestore.specs.features import FeatureSpec


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
