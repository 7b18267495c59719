"""Vocal tract length perturbation: a warp of the spectrogram's frequency axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float64, Real
from featurestore.signal.kernel import kernel
from featurestore.signal.lanes import LANES, fma, load, spread, store
from featurestore.specs.features import FeatureSpec


def warped_frequency(frequency: Float64, alpha: float, f0: float, fmax: float) -> Float64:
    """Return G(f): alpha * f up to f0, then the straight line that maps [f0, fmax] onto [alpha * f0, fmax].

    References
    ----------
    Etienne et al. (2018), "CNN+LSTM architecture for speech emotion recognition with data augmentation", equation 1.
    """
    above = (fmax - alpha * f0) / (fmax - f0) * (frequency - f0) + alpha * f0
    return np.where(frequency <= f0, alpha * frequency, above)


def unwarped_frequency(frequency: Float64, alpha: float, f0: float, fmax: float) -> Float64:
    """Return the frequency that equation 1 moves to `frequency`: the inverse of `warped_frequency`."""
    above = (fmax - f0) / (fmax - alpha * f0) * (frequency - alpha * f0) + f0
    return np.where(frequency <= alpha * f0, frequency / alpha, above)


def cut_off_bin(features: FeatureSpec, rate: int) -> float:
    """Return the upper cut-off frequency of features, the fmax of equation 1, in bins of their transform."""
    high_hz = features.high_hz if features.high_hz is not None else rate / 2
    return high_hz * features.fft_length / rate


def warp_positions(
    bins: int, alpha: float, f0_share: float, fmax: float | None = None
) -> tuple[NDArray[np.int64], Float64]:
    """Return for each bin of the warped spectrum the bin below its origin, and the share of the bin above it.

    Parameters
    ----------
    bins : int
        Those of the spectrum; the last is half the sampling rate.
    alpha : float
        Warping factor; `alpha * f0_share` must lie below 1, or the warp would fold the axis.
    f0_share : float
        f0 of equation 1 as a share of fmax.
    fmax : float, optional
        Upper cut-off frequency of the features, in bins; what lies above stays in place. The last bin by default.
    """
    fmax = bins - 1.0 if fmax is None else fmax
    places = np.arange(bins, dtype=np.float64)
    origin = np.where(places < fmax, unwarped_frequency(places, alpha, f0_share * fmax, fmax), places)
    origin = np.clip(origin, 0.0, np.maximum(places, fmax))
    below = np.minimum(origin.astype(np.int64), max(bins - 2, 0))
    return below, origin - below


@kernel
def warp(powers: Real, below: NDArray[np.int64], share: Real, warped: Real) -> None:
    """Write S'(G(f)) = S(f) of eight frames, array [bins * 8]: a peak at f moves to G(f); linear between bins."""
    for k in range(len(below)):
        low = load(powers, LANES * below[k])
        high = load(powers, LANES * below[k] + LANES)
        store(warped, LANES * k, fma(spread(share[k]), high - low, low))
