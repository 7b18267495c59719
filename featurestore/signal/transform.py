"""The log-mel spectrogram of a signal, a few frames at a time so that they stay in the processor's cache."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Real, Signal
from featurestore.signal.mel import log_mel, mel_bands, mel_triangles, power
from featurestore.signal.stft import cut_frames, frame_count, padded_window, spectra
from featurestore.signal.warp import warp, warp_positions
from featurestore.specs.features import FeatureSpec

_FRAMES = 32
"""Frames transformed at a time."""


class LogMel:
    """The log-mel spectrogram of a feature spec at one sampling rate, with its window and mel bands.

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        self.features = features
        high_hz = features.high_hz if features.high_hz is not None else rate / 2
        triangles = mel_triangles(
            rate, features.fft_length, features.mels, features.mel_scale, features.low_hz, high_hz
        )
        window = padded_window(features)
        bins = features.fft_length // 2 + 1
        self._windows = {dtype: window.astype(dtype) for dtype in (np.float32, np.float64)}
        self._bands = {dtype: mel_bands(triangles, dtype) for dtype in (np.float32, np.float64)}
        self._frames = {dtype: np.empty((_FRAMES, features.fft_length), dtype) for dtype in (np.float32, np.float64)}
        self._powers = {dtype: np.empty((2, _FRAMES, bins), dtype) for dtype in (np.float32, np.float64)}

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[Real], warping: tuple[float, float] | None
    ) -> Float32:
        """Return log(mel power + eps), array [frames, mels], float32.

        Parameters
        ----------
        signal : array [time], float32
        gain : float32
            Multiplied onto each sample before the window.
        precision : float32 or float64
            In which windows, transforms and band sums are computed.
        warping : (alpha, f0 as a share of fmax) or None
            Vocal tract length perturbation.
        """
        features = self.features
        rows = np.empty((frame_count(features, len(signal)), features.mels), np.float32)
        padding = features.fft_length // 2 if features.centred else 0
        positions = None if warping is None else warp_positions(features.fft_length // 2 + 1, *warping)
        bands = self._bands[precision]
        for first in range(0, len(rows), _FRAMES):
            count = min(_FRAMES, len(rows) - first)
            frames = self._frames[precision][:count]
            cut_frames(signal, gain, self._windows[precision], first, features.hop_length, padding, frames)
            powers, warped = self._powers[precision][:, :count]
            power(spectra(frames), powers)
            if positions is not None:
                warp(powers, *positions, warped)
                powers = warped
            part = rows[first : first + count]
            log_mel(powers, bands.first, bands.stop, bands.offset, bands.weights, features.eps, part)
        return rows
