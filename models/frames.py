"""Which frames of a padded batch are real, before and after pooling along time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RealFrames:
    """Where each clip of a batch stands on the padded time axis.

    The two tensors stay on the CPU: they decide shapes and masks, and reading them there never waits for the GPU.
    """

    starts: Tensor
    """First real frame of each clip, int64 `[batch]`."""
    lengths: Tensor
    """Real frames of each clip, int64 `[batch]`."""

    @classmethod
    def of(cls, lengths: Tensor, starts: Tensor | None = None) -> RealFrames:
        """Describe clips that begin at `starts`, or at frame 0."""
        lengths = lengths.to("cpu", torch.int64)
        return cls(torch.zeros_like(lengths) if starts is None else starts.to("cpu", torch.int64), lengths)

    @classmethod
    def everything(cls, batch: int, frames: int) -> RealFrames:
        """Describe a batch in which every frame counts as real."""
        return cls(torch.zeros(batch, dtype=torch.int64), torch.full((batch,), frames, dtype=torch.int64))

    def pooled(self, stride: int) -> RealFrames:
        """Return the real frames after pooling windows of `stride` frames; a window that is not full is dropped."""
        return RealFrames(self.starts // stride, self.lengths // stride)

    def at_least(self, frames: int) -> RealFrames:
        """Count padding after a clip shorter than `frames` as real, so that pooling leaves one step of it."""
        return RealFrames(self.starts, self.lengths.clamp(min=frames))

    @property
    def longest(self) -> int:
        """Frames that the batch needs: the largest end of a clip."""
        return int((self.starts + self.lengths).max())

    def fill(self, frames: int) -> bool:
        """Tell whether all of `frames` frames are real, so that no mask is needed."""
        return bool((self.lengths == frames).all())

    def mask(self, frames: int) -> Tensor:
        """Return truth values `[batch, frames]`, on the CPU: True where a frame is real."""
        time = torch.arange(frames)
        return (time >= self.starts[:, None]) & (time < (self.starts + self.lengths)[:, None])
