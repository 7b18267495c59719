"""Log-mel spectrograms of many signals: the frames of all of them, in pieces of one shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from featurestore.signal.mel import mel_triangles
from featurestore.signal.spectrum import cut_off_bin, frame_count, padded_window, warp_positions
from featurestore.specs.features import FeatureSpec

DTYPES = {"float16": torch.float16, "float32": torch.float32}
FRAMES = {"cpu": 256, "cuda": 4096}
"""Frames of a piece: what fits a processor's cache; what keeps a GPU busy."""


class TorchLogMel:
    """The log-mel spectrogram of a feature spec at one sampling rate, on one device.

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.
    device : torch.device
    """

    def __init__(self, features: FeatureSpec, rate: int, device: torch.device) -> None:
        self.features, self._cut_off = features, cut_off_bin(features, rate)
        high_hz = features.high_hz if features.high_hz is not None else rate / 2
        triangles = mel_triangles(
            rate, features.fft_length, features.mels, features.mel_scale, features.low_hz, high_hz
        )
        self._triangles = torch.from_numpy(np.ascontiguousarray(triangles.T)).to(device)
        window = torch.from_numpy(padded_window(features)).to(device)
        self._windows = {precision: window.to(precision) for precision in (torch.float32, torch.float64)}

    def __call__(
        self,
        signals: Tensor,
        samples: Sequence[int],
        precision: torch.dtype,
        warps: tuple[Sequence[float | None], float],
    ) -> list[Tensor]:
        """Return log(mel power + eps) of each signal, tensors [frames, mels] of the spec's dtype.

        Parameters
        ----------
        signals : tensor [rows, time], float32
            At their level; zero behind `samples`.
        samples : sequence of int
            Length of each.
        precision : torch.float32 or torch.float64
            Of windows and transforms; band sums are in float64.
        warps : (alpha of each row or None, f0 as a share of fmax)
            Vocal tract length perturbation.
        """
        features, device = self.features, signals.device
        counts = [frame_count(features, length) for length in samples]
        front = features.fft_length // 2 if features.centred else 0
        end = (max(counts) - 1) * features.hop_length + features.fft_length
        padded = torch.nn.functional.pad(signals, (front, max(0, end - front - signals.shape[1])))
        framed = padded.unfold(1, features.fft_length, features.hop_length)  # a view [rows, frames, fft_length]
        rows = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)).to(device)
        places = torch.cat([torch.arange(count) for count in counts]).to(device)
        positions = self._positions(warps, device)
        size, parts = FRAMES.get(device.type, FRAMES["cuda"]), []
        for row, place in zip(torch.split(rows, size), torch.split(places, size), strict=True):
            # The last piece is filled up with its first frame: a transform of another size has other bits.
            fill = size - len(row)
            row_filled, place_filled = (torch.cat([index, index[:1].expand(fill)]) for index in (row, place))
            frames = framed[row_filled, place_filled].to(precision)
            parts.append(self._log_bands(frames, row_filled, positions)[: len(row)])
        return list(torch.split(torch.cat(parts), counts))

    def _positions(
        self, warps: tuple[Sequence[float | None], float], device: torch.device
    ) -> tuple[Tensor, Tensor] | None:
        """Return for each row and bin the bin below its origin and the share of the one above; None without a warp."""
        alphas, bend = warps
        if all(alpha is None for alpha in alphas):
            return None
        bins = self.features.fft_length // 2 + 1
        pairs = [warp_positions(bins, 1.0 if alpha is None else alpha, bend, self._cut_off) for alpha in alphas]
        below = torch.from_numpy(np.stack([pair[0] for pair in pairs]))
        share = torch.from_numpy(np.stack([pair[1] for pair in pairs]))
        return below.to(device), share.to(device)

    def _log_bands(self, frames: Tensor, row: Tensor, positions: tuple[Tensor, Tensor] | None) -> Tensor:
        spectrum = torch.fft.rfft(frames * self._windows[frames.dtype])
        power = spectrum.real.square() + spectrum.imag.square()
        if positions is not None:
            below, share = positions[0][row], positions[1][row].to(power.dtype)
            low = power.gather(1, below)
            power = low + share * (power.gather(1, below + 1) - low)
        # In float64, where the order of a sum does not matter and a GPU takes no shorter format for products.
        bands: Tensor = power.double() @ self._triangles
        return (bands + self.features.eps).float().log().to(DTYPES[self.features.dtype])
