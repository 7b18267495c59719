"""Pitch shifts of many rows: what `featurestore.signal` has spliced is filtered and read on padded tensors.

Where a signal is spliced is decided by whole numbers on the processor, so that both engines hear the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from featurestore.rows.source import Source
from featurestore.signal.interpolation import (
    FILTER_REACH,
    LEAD,
    TAPS,
    band_limit,
    interpolation_weights,
    reading_filters,
    touched,
)
from featurestore.signal.pitch_grid import PITCH_GRID
from featurestore.signal.splices import lengthen
from pipelines.torch_rows.pieces import piece_bounds

_SAMPLES = 2**21
"""Samples interpolated at a time; each takes about 200 bytes meanwhile."""


class PitchShifter:
    """Filters and weights on one device.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._filters = torch.from_numpy(reading_filters()).to(device)
        self._weights = torch.from_numpy(interpolation_weights()).to(device)

    def __call__(self, sources: Sequence[Source], steps: Sequence[int], longest: int) -> Tensor:
        """Return signals read steps / 2048 times as fast, tensor [rows, longest], float32, zero behind each one's end.

        Parameters
        ----------
        sources : sequence of Source
            One for each row.
        steps : sequence of int
            The frequency ratios times 2048.
        longest : int
            At least the samples of each source.
        """
        longer = torch.from_numpy(_longer(sources, steps)).to(self._device)
        filtered = self._filtered(longer, torch.tensor([band_limit(step) for step in steps], device=self._device))
        ratios = torch.tensor(steps, device=self._device)
        size = max(1, _SAMPLES // longest)
        parts = [
            self._interpolate(filtered[first:stop], ratios[first:stop], longest)
            for first, stop in piece_bounds(len(filtered), size)
        ]
        samples = torch.tensor([len(source.signal) for source in sources], device=self._device)
        inside = torch.arange(longest, device=self._device) < samples[:, None]
        return torch.where(inside, torch.cat(parts), 0.0)

    def _filtered(self, longer: Tensor, limits: Tensor) -> Tensor:
        """Return tensors [rows, time] of [rows, time + 64], summed from the middle of the filter outwards."""
        half, time = self._filters[limits], longer.shape[1] - 2 * FILTER_REACH
        total = longer[:, FILTER_REACH : FILTER_REACH + time] * half[:, :1]
        for lag in range(1, FILTER_REACH + 1):
            before, after = (longer[:, FILTER_REACH + by : FILTER_REACH + by + time] for by in (-lag, lag))
            total += (before + after) * half[:, lag : lag + 1]
        return total

    def _interpolate(self, filtered: Tensor, steps: Tensor, longest: int) -> Tensor:
        """Return the values at all multiples of steps / 2048, tensor [rows, longest]."""
        position = torch.arange(longest, device=steps.device) * steps[:, None]
        windows = filtered.unfold(1, TAPS, 1)
        begin = (position // PITCH_GRID).clamp(max=windows.shape[1] - 1)
        rows = torch.arange(len(filtered), device=steps.device)[:, None]
        return (windows[rows, begin] * self._weights[position % PITCH_GRID]).sum(-1)


def _longer(sources: Sequence[Source], steps: Sequence[int]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return spliced signals, padded: sample 0 stands where the filter and the interpolation begin."""
    needed = [touched(len(source.signal), step) + FILTER_REACH for source, step in zip(sources, steps, strict=True)]
    lead = LEAD + FILTER_REACH
    padded = np.zeros((len(needed), lead + max(needed)), np.float32)
    for row, source, step, length in zip(padded, sources, steps, needed, strict=True):
        row[: lead + length] = lengthen(source.signal, source.similar, step, length, lead)
    return padded
