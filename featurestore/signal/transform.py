"""The log power of a signal in bands, eight frames at a time from samples to bands, so that they stay in the cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float32, Float64, Real, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.fourier import (
    Tables,
    fourier_tables,
    own_length,
    power_spectra,
    power_spectra_elsewhere,
)
from featurestore.signal.kernels.simd import LANES
from featurestore.signal.mel import BandArrays, log_mel, mel_bands
from featurestore.signal.spectrum import (
    cut_frames,
    cut_off_bin,
    frame_count,
    padded_length,
    padded_window,
    warp,
    warp_positions,
)
from featurestore.specs.features import FeatureSpec

_STRAIGHT = np.zeros(0, np.int64)
"""Positions of no warp."""


class LogBands:
    """The logarithm of the power in bands of the frames of a signal, with its window and bands.

    Parameters
    ----------
    features : FeatureSpec
        Window, transform and hop.
    triangles : array [bands, bins]
        Weight of each bin of the transform in each band.
    eps : float
        Added to the power before the logarithm.
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, triangles: Float64, eps: float, rate: int) -> None:
        self.features = features
        self._triangles = triangles
        self._eps = eps
        self._cut_off = cut_off_bin(features, rate)
        self._window = padded_window(features)
        self._tables: dict[type[np.floating], _Tables] = {}
        self._padded = np.zeros(0, np.float32)
        self._sums = np.empty(len(triangles) * LANES, np.float32)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return log(power in the band + eps), array [frames, bands], float32.

        Parameters
        ----------
        signal : array [time], float32
        gain : float32
            Multiplied onto each sample, and rounded, before the window.
        precision : float32 or float64
            In which windows, transforms and band sums are computed.
        warping : (alpha, f0 as a share of fmax) or None
            Vocal tract length perturbation.
        """
        features, count = self.features, frame_count(self.features, len(signal))
        padded = self._pad(signal, gain, count)
        rows = np.empty((-(-count // LANES) * LANES, len(self._triangles)), np.float32)
        below, share = _STRAIGHT, np.zeros(0)
        if warping is not None:
            below, share = warp_positions(self.features.fft_length // 2 + 1, *warping, self._cut_off)
        if precision not in self._tables:
            self._tables[precision] = _Tables(self._window, self._triangles, precision)
        tables = self._tables[precision]
        groups: Callable[..., None] = _groups if tables.own is not None else _groups_elsewhere
        groups(
            padded,
            features.hop_length,
            tables.window,
            tables.own,
            tables.bands.arrays,
            self._eps,
            below,
            share.astype(precision),
            tables.frames,
            tables.powers,
            tables.warped,
            self._sums,
            rows.reshape(-1),
        )
        return rows[:count]

    def _pad(self, signal: Signal, gain: np.float32, count: int) -> Signal:
        """Return the signal at its level between the zeros that frames at both ends reach into."""
        features = self.features
        front = features.fft_length // 2 if features.centred else 0
        end = max(front + len(signal), padded_length(count, features.hop_length, features.fft_length))
        if len(self._padded) < end:
            self._padded = np.zeros(end + end // 4, np.float32)
        np.multiply(signal, gain, out=self._padded[front : front + len(signal)])
        self._padded[front + len(signal) : end] = 0
        return self._padded


class _Tables:
    """Window, bands and work space of one precision."""

    def __init__(self, window: Float64, triangles: Float64, precision: type[np.floating]) -> None:
        length, bins = len(window), triangles.shape[1]
        self.window = window.astype(precision)
        self.bands = mel_bands(triangles, precision)
        self.own = fourier_tables(length, precision) if own_length(length) else None
        self.frames = np.empty(length * LANES, precision)
        self.powers = np.empty(bins * LANES, precision)
        self.warped = np.empty(bins * LANES, precision)


@kernel
def _groups(
    signal: Signal,
    hop: int,
    window: Real,
    tables: Tables,
    bands: BandArrays,
    eps: float,
    below: NDArray[np.int64],
    share: Real,
    frames: Real,
    powers: Real,
    warped: Real,
    sums: Float32,
    rows: Float32,
) -> None:
    """Write all rows, frames [frames, mels] one after the other; without `below` nothing is warped."""
    step = LANES * len(bands[0])
    for group in range(len(rows) // step):
        cut_frames(signal, group * LANES * hop, hop, window, frames)
        power_spectra(frames, tables, powers)
        if len(below) > 0:
            warp(powers, below, share, warped)
            log_mel(warped, bands, eps, sums, rows, group * step)
        else:
            log_mel(powers, bands, eps, sums, rows, group * step)


def _groups_elsewhere(
    signal: Signal,
    hop: int,
    window: Real,
    tables: None,
    bands: BandArrays,
    eps: float,
    below: NDArray[np.int64],
    share: Real,
    frames: Real,
    powers: Real,
    warped: Real,
    sums: Float32,
    rows: Float32,
) -> None:
    """Do the same for frames whose length is no power of two."""
    step = LANES * len(bands[0])
    for group in range(len(rows) // step):
        cut_frames(signal, group * LANES * hop, hop, window, frames)
        power_spectra_elsewhere(frames, len(window), powers)
        if len(below) > 0:
            warp(powers, below, share, warped)
        log_mel(warped if len(below) > 0 else powers, bands, eps, sums, rows, group * step)
