"""SpecAugment: masks over bands and frames of training batches, drawn for every step.

Park et al., "SpecAugment: A simple data augmentation method for automatic speech recognition", Interspeech 2019,
section 2, without time warping: the paper finds that it matters least, and time stretch is a perturbation of the store.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from models.batches.loader import Batch
from models.layers.frames import RealFrames, to_device
from models.training_spec import TrainingSpec


class SpecAugment:
    """Masks the clips of a training batch on its device.

    Masks depend on (seed, epoch, step) and the clip's place in the batch alone: a resumed training draws the same ones,
    on any device, and several processes together draw those that one would draw. A masked value is 0, the mean, if
    features are normalised; otherwise it is the mean of its clip. Nothing is read from the device.

    Parameters
    ----------
    spec : TrainingSpec
    rank, ranks : int
        This process takes clips `rank`, `rank + ranks`, ... of each batch.
    """

    def __init__(self, spec: TrainingSpec, rank: int = 0, ranks: int = 1) -> None:
        self.spec, self.rank, self.ranks = spec, rank, ranks

    def __call__(self, batch: Batch, epoch: int, step: int) -> Batch:
        """Return the batch with masks over its real frames; the very same batch if SpecAugment is off."""
        if not self.spec.masks:
            return batch
        real, frames = batch.real, batch.features.shape[1]
        hidden = self._hidden(batch, real, self._draws(len(batch.lengths), epoch, step))
        if self.spec.normalisation != "none":
            return replace(batch, features=batch.features.masked_fill(hidden, 0.0))
        sums = real.sums(batch.features.double()).sum(1, keepdim=True)  # padding is 0 and adds nothing
        means = (sums / (real.placed[1][:, None] * batch.features.shape[2])).to(batch.features.dtype)
        means = real.spread(means, frames)
        return replace(batch, features=torch.where(hidden & real.mask(frames)[:, :, None], means, batch.features))

    def _draws(self, clips: int, epoch: int, step: int) -> Tensor:
        """Return a width and a place for every mask, from 0 up to 1, float64 `[2, masks, clips]`."""
        key = hashlib.sha256(f"spec-augment/{self.spec.seed}/{epoch}/{step}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
        masks = self.spec.spec_augment_time_masks + self.spec.spec_augment_frequency_masks
        # clip by clip: those of the first clips do not depend on how many follow
        shape = (clips * self.ranks, masks, 2)
        return torch.rand(shape, generator=generator, dtype=torch.float64)[self.rank :: self.ranks].permute(2, 1, 0)

    def _hidden(self, batch: Batch, real: RealFrames, draws: Tensor) -> Tensor:
        """Return truth values `[rows, frames, bands]`: True where a mask lies."""
        spec, (_, frames, bands) = self.spec, batch.features.shape
        masks = spec.spec_augment_time_masks
        widest = (batch.lengths.double() * spec.spec_augment_time_share).long().clamp(max=spec.spec_augment_time)
        time = spans(draws[:, :masks], widest, batch.lengths) + batch.starts
        widest = torch.full_like(batch.lengths, spec.spec_augment_frequency)
        frequency = spans(draws[:, masks:], widest, torch.full_like(batch.lengths, bands))
        placed = to_device(torch.cat([time, frequency], 1), batch.features.device)
        hidden = inside(placed[:, :masks], frames)
        hidden = hidden.any(0, keepdim=True) if real.shared else hidden  # each clip's masks lie within the clip
        return hidden[:, :, None] | real.spread(inside(placed[:, masks:], bands), frames)


def spans(draws: Tensor, widest: Tensor, room: Tensor) -> Tensor:
    """Return first and end of spans, int64 `[2, masks, batch]`, from `draws [2, masks, batch]` below 1.

    The width is uniform from 0 to `widest [batch]`, both included, and every place within `room [batch]` is as likely
    as another, the last included (the paper's half-open bound would never mask the last band).
    """
    width = (draws[0] * (widest + 1)).long()
    first = (draws[1] * (room - width + 1)).long()
    return torch.stack([first, first + width])


def inside(placed: Tensor, size: int) -> Tensor:
    """Return which of `size` places are within any of the spans `placed [2, masks, batch]`: `[batch, size]`."""
    places = torch.arange(size, device=placed.device)
    first, end = placed[:, :, :, None]
    within: Tensor = ((places >= first) & (places < end)).any(0)
    return within
