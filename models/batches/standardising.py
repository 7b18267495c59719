"""Batches brought to mean 0 and deviation 1 on their device, by given statistics or each clip by its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from models.batches.moments import LOST
from models.data import Batch
from models.errors import TrainingError
from models.networks.frames import RealFrames, sent


class Standardiser:
    """Brings the real frames of a batch to its groups' mean 0 and deviation 1; padding stays 0.

    Parameters
    ----------
    mean, deviation : Tensor
        `[groups, bands]`.
    groups : Tensor
        Group of each row of the dataset, int64 `[rows]`; empty if there is only one.
    device : torch.device
    """

    def __init__(self, mean: Tensor, deviation: Tensor, groups: Tensor, device: torch.device) -> None:
        self.groups = groups
        self.table = torch.stack([mean, deviation], 1).float().to(device)

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with other features `[rows, frames, bands]`, float32; nothing waits for the device."""
        real, frames = batch.real, batch.features.shape[1]
        mean, deviation = (real.spread(values, frames) for values in self._of(batch).unbind(1))
        features = (batch.features - mean).div_(deviation)
        return replace(batch, features=without_padding(features, real))

    def _of(self, batch: Batch) -> Tensor:
        """Return `[1 or batch, mean and deviation, bands]`."""
        if not len(self.groups):
            return self.table[:1]
        if batch.rows is None:
            raise TrainingError("normalisation speaker: a batch without row numbers has no speakers.")
        return self.table[sent(self.groups[batch.rows], self.table.device)]


def by_utterance(batch: Batch, *, single: bool) -> Batch:
    """Bring the real frames of each clip of a batch to mean 0 and deviation 1.

    It is computed in float64, so that the padding, which the order of summation depends on, does not show.
    """
    values, real, frames = batch.features.double(), batch.real, batch.features.shape[1]
    lengths = real.placed[1][:, None]
    mean = real.sums(values) / lengths
    mean = mean.mean(1, keepdim=True) if single else mean
    centred = without_padding(values - real.spread(mean, frames), real)
    variance = real.sums(centred.square()) / lengths
    deviation = (variance.mean(1, keepdim=True) if single else variance).sqrt()
    deviation = torch.where(deviation <= LOST * mean.abs(), 1.0, deviation)
    return replace(batch, features=(centred / real.spread(deviation, frames)).float())


def without_padding(features: Tensor, real: RealFrames) -> Tensor:
    """Set the padded frames of `features [rows, frames, bands]` to 0, in place."""
    frames = features.shape[1]
    return features if real.fill(frames) else features.mul_(real.mask(frames)[:, :, None])
