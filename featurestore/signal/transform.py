"""The log-mel spectrogram of a signal, a few frames at a time so that they stay in the processor's cache."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.signal.fourier import RealFourier
from featurestore.signal.mel import log_mel, mel_bands, mel_triangles, power
from featurestore.signal.stft import cut_frames, frame_count, padded_window
from featurestore.signal.warp import warp, warp_positions
from featurestore.specs.features import FeatureSpec

_FRAMES = 16
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
        precisions = (np.float32, np.float64)
        self._tables = {precision: _Tables(window, triangles, precision) for precision in precisions}

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
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
        tables = self._tables[precision]
        bands = tables.bands
        for first in range(0, len(rows), _FRAMES):
            count = min(_FRAMES, len(rows) - first)
            frames, powers, spectrum = tables.frames[:count], tables.powers[0, :count], tables.spectrum[:count]
            cut_frames(signal, gain, tables.window, first, features.hop_length, padding, frames)
            tables.fourier.forward(frames, spectrum)
            power(spectrum, powers)
            if positions is not None:
                warp(powers, *positions, tables.powers[1, :count])
                powers = tables.powers[1, :count]
            part = rows[first : first + count]
            log_mel(powers, bands.first, bands.stop, bands.offset, bands.weights, features.eps, part)
        return rows


class _Tables:
    """Window, bands and work space of one precision."""

    def __init__(self, window: Float64, triangles: Float64, precision: type[np.floating]) -> None:
        length, bins = len(window), triangles.shape[1]
        self.window = window.astype(precision)
        self.bands = mel_bands(triangles, precision)
        self.fourier = RealFourier(length, precision)
        self.frames = np.empty((_FRAMES, length), precision)
        self.spectrum = np.empty((_FRAMES, 2, bins), precision)
        self.powers = np.empty((2, _FRAMES, bins), precision)
