"""The kind `logmel`: log power in mel bands."""

from __future__ import annotations

from featurestore.signal.kinds.log_power import LogPower
from featurestore.signal.mel import mel_triangles
from featurestore.specs.features import FeatureSpec


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
