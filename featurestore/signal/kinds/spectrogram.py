"""The kind `spectrogram`: log power on a linear frequency axis."""

from __future__ import annotations

import numpy as np

from featurestore.signal.kinds.log_power import LogPower
from featurestore.specs.features import FeatureSpec
from featurestore.specs.kinds import kept_bins


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
