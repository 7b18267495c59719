"""The kind `spectrogram`: log power on a linear frequency axis."""

from __future__ import annotations

import numpy as np

from featurestore.signal.kinds.log_power import LogPower
from featurestore.specs.features import FeatureSpec
from featurestore.specs.kinds import kept_bins


class Spectrogram(LogPower):
    """The log power in each bin from `low_hz` to `high_hz`, both included, rows [frames, bins].

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
        super().__init__(features, single, warped=kept.stop)
