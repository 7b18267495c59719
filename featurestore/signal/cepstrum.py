"""The cosine transform of a log-mel spectrogram: mel-frequency cepstral coefficients (MFCC).

References
----------
Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic word recognition".
"""

from __future__ import annotations

import numpy as np

from featurestore.registry import Declared
from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import cosine_and_sine
from featurestore.signal.log_power import log_mel_power


class Cepstrum:
    """The first coefficients of the orthonormal DCT-II of the log-mel spectrogram; calls as of `Transform`.

    Parameters
    ----------
    features : FeatureSpec
        With decibels, eps 1e-10 and a range of 80 dB these are `librosa.feature.mfcc`.
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: Declared, rate: int) -> None:
        self._log_mel = log_mel_power(features, rate)
        self.check = self._log_mel.check
        self._basis = np.ascontiguousarray(cosines(features.width, features.mels).T)
        self._totals = np.empty(features.width)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return the coefficients, array [frames, coefficients], float32."""
        log_mel = self._log_mel(signal, gain, precision, warping)
        frames = np.empty((len(log_mel), len(self._totals)), np.float32)
        _project(log_mel, self._basis, self._totals, frames)
        return frames


def cosines(coefficients: int, mels: int) -> Float64:
    """Return the rows of the orthonormal DCT-II, array [coefficients, mels].

    Row k is sqrt(2 / M) cos(pi k (2 m + 1) / (2 M)); row 0 is divided by sqrt(2).
    """
    k, m = np.arange(coefficients)[:, None], np.arange(mels)[None, :]
    angles = k * (2 * m + 1) % (4 * mels) / (4 * mels)
    basis: Float64 = np.sqrt(2 / mels) * cosine_and_sine(angles)[0]
    basis[0] /= np.sqrt(2)
    return basis


@kernel
def _project(log_mel: Float32, basis: Float64, totals: Float64, frames: Float32) -> None:
    """Write log_mel @ basis, with basis [mels, coefficients]; each sum has one order, whatever the number of frames.

    A coefficient has a place of its own in `totals`, so that the inner loop fills the lanes of the processor and no sum
    is split.
    """
    for frame in range(len(log_mel)):
        totals[:] = 0.0
        for m in range(len(basis)):
            for k in range(basis.shape[1]):
                totals[k] += log_mel[frame, m] * basis[m, k]
        for k in range(basis.shape[1]):
            frames[frame, k] = totals[k]
