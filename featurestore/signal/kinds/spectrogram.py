"""The kind `spectrogram`: log power on a linear frequency axis."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Signal
from featurestore.signal.kinds.decibels import added_power, levels
from featurestore.signal.stft import frame_count
from featurestore.signal.transform import LogBands
from featurestore.specs.features import FeatureSpec
from featurestore.specs.kinds import kept_bins


class Spectrogram:
    """The log power in each bin from `low_hz` to `high_hz`, both included; calls as of `registry.Transform`.

    A warp of the frequency axis has `high_hz` as its fmax, the upper cut-off frequency of equation 1 of Etienne et al.
    (2018), so that the range which is kept stays constant.

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        kept = kept_bins(features)
        bins = np.arange(features.fft_length // 2 + 1)
        single = (np.array(kept)[:, None] == bins[None, :]).astype(np.float64)
        self.features = features
        self._bands = LogBands(features, single, added_power(features), warped=kept.stop)

    def check(self, samples: int) -> None:
        """Refuse a signal shorter than one window with `AudioError`."""
        frame_count(self.features, samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return log(power + eps), or its decibels, array [frames, bins], float32."""
        return levels(self._bands(signal, gain, precision, warping), self.features)
