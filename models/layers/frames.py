"""Which frames of a batch are real, before and after pooling, and batches in the form that a network takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor

from featurestore.errors import SpecError


def from_frame_zero(steps: Tensor, real: RealFrames) -> tuple[Tensor, RealFrames]:
    """Move every clip of `[rows, steps, features]` to step 0 of its own row, where an LSTM starts."""
    if real.shared:
        return steps[0, real.apart()], real.from_zero()
    if not bool(real.starts.any()):
        return steps, real
    time = torch.arange(int(real.lengths.max()), device=steps.device)
    index = (real.placed[0][:, None] + time).clamp(max=steps.shape[1] - 1)
    rows = torch.arange(len(steps), device=steps.device)[:, None]
    return steps[rows, index], real.from_zero()


@dataclass(frozen=True)
class RealFrames:
    """The place of each clip of a batch on the time axis: on a row of its own, or on one that all share.

    `starts` and `lengths` stay on the CPU: they decide shapes and counts, and reading them there never waits for the
    GPU. `placed` is the same on the model's device, where masks and indices are made of it: one small copy a batch
    instead of one for every layer.
    """

    starts: Tensor
    """First real frame of each clip, int64 `[batch]`."""
    lengths: Tensor
    """Real frames of each clip, int64 `[batch]`."""
    placed: Tensor
    """Starts and lengths on the model's device, int64 `[2, batch]`."""
    shared: bool = False
    """Whether all clips lie on one row, one after the other with room between them."""

    @classmethod
    def of(
        cls, lengths: Tensor, starts: Tensor | None = None, device: torch.device | None = None, *, shared: bool = False
    ) -> RealFrames:
        """Describe clips that begin at `starts`, or at frame 0, for images on a device (the CPU)."""
        lengths = lengths.to("cpu", torch.int64)
        starts = torch.zeros_like(lengths) if starts is None else starts.to("cpu", torch.int64)
        return cls(starts, lengths, to_device(torch.stack([starts, lengths]), device), shared)

    @classmethod
    def everything(cls, batch: int, frames: int, device: torch.device | None = None) -> RealFrames:
        """Describe a batch in which every frame counts as real."""
        return cls.of(torch.full((batch,), frames), device=device)

    def pooled(self, stride: int) -> RealFrames:
        """Return the real frames after pooling windows of `stride` frames; a window that is not full is dropped."""
        return RealFrames(self.starts // stride, self.lengths // stride, self.placed // stride, self.shared)

    def windowed(self, size: int, shift: int, padding: int = 0) -> RealFrames:
        """Return the real steps after windows of `size` frames every `shift`, for clips that all begin at frame 0.

        Only windows that end within a clip count, or within `padding` frames on either side of it: what a convolution
        with this kernel, stride and padding leaves of a clip on its own.
        """
        lengths, placed = (
            ((frames + 2 * padding - size).div(shift, rounding_mode="floor") + 1).clamp(min=0)
            for frames in (self.lengths, self.placed[1])
        )
        return RealFrames(torch.zeros_like(lengths), lengths, torch.stack([torch.zeros_like(placed), placed]))

    def at_least(self, frames: int) -> RealFrames:
        """Count padding after a clip shorter than `frames` as real, so that pooling leaves one step of it."""
        placed = torch.stack([self.placed[0], self.placed[1].clamp(min=frames)])
        return replace(self, lengths=self.lengths.clamp(min=frames), placed=placed)

    def from_zero(self) -> RealFrames:
        """Return clips of the same lengths that all begin at frame 0, each on its own row."""
        placed = torch.stack([torch.zeros_like(self.placed[0]), self.placed[1]])
        return RealFrames(torch.zeros_like(self.starts), self.lengths, placed)

    @property
    def longest(self) -> int:
        """Frames that the batch needs: the largest end of a clip."""
        return int((self.starts + self.lengths).max())

    @property
    def count(self) -> float:
        """Real frames of all clips."""
        return float(self.lengths.sum())

    def fill(self, frames: int) -> bool:
        """Tell whether all of `frames` frames are real, so that no mask is needed."""
        return not self.shared and bool((self.lengths == frames).all())

    def mask(self, frames: int) -> Tensor:
        """Return truth values `[rows, frames]` on the model's device: True where a frame is real."""
        time = torch.arange(frames, device=self.placed.device)
        if self.shared:
            starts, lengths = self.placed[:, None, self.clip_at(time)]
        else:
            starts, lengths = self.placed[:, :, None]
        mask: Tensor = (time >= starts) & (time < starts + lengths)
        return mask

    def clip_at(self, time: Tensor) -> Tensor:
        """Return the clip that each frame `time [frames]` of a shared row belongs to, or comes after: `[frames]`."""
        return torch.bucketize(time, self.placed[0].contiguous(), right=True) - 1

    def apart(self) -> Tensor:
        """Return where the frames of clips that share a row are found if each has a row of its own: `[batch, longest]`.

        Padding repeats the clip's own last frame, so that no clip sees its neighbour.
        """
        time = torch.arange(int(self.lengths.max()), device=self.placed.device)
        starts, lengths = self.placed[:, :, None]
        index: Tensor = starts + torch.minimum(time, lengths - 1)
        return index

    def sums(self, values: Tensor) -> Tensor:
        """Add up the frames of each clip: `[rows, frames, n]`, zero where no frame is real, to `[batch, n]`."""
        if not self.shared:
            return values.sum(1)
        clips = values[0, self.apart()]
        own = torch.arange(clips.shape[1], device=values.device) < self.placed[1][:, None]
        return clips.mul_(own[:, :, None]).sum(1)

    def spread(self, values: Tensor, frames: int) -> Tensor:
        """Shape `values [batch or 1, n]` of each clip to broadcast over its frames in `[rows, frames, bands]`."""
        if not self.shared or len(values) == 1:
            return values[:, None]
        return values[self.clip_at(torch.arange(frames, device=values.device))][None]


def to_device(numbers: Tensor, device: torch.device | None) -> Tensor:
    """Send a small tensor of the CPU to a device without waiting for the work under way there."""
    if device is None or device.type == "cpu":
        return numbers
    if device.type == "cuda":
        numbers = numbers.pin_memory()
    return numbers.to(device, non_blocking=True)


def clips_from_zero(
    features: Tensor, lengths: Tensor, starts: Tensor | None = None, *, minimum: int = 1
) -> tuple[Tensor, RealFrames]:
    """Move every clip to frame 0 and put zeros after it, so that padding on either side changes nothing.

    Arguments are those of a network, see `models.networks`; a clip shorter than `minimum` is read as if zeros followed
    it up to that many frames. Shape: `[batch, frames, bands]` to `[batch, longest, bands]`.
    """
    clips, real = from_frame_zero(features, RealFrames.of(lengths, starts, features.device))
    clips = clips[:, : real.longest]
    if not real.fill(clips.shape[1]):
        clips = clips.masked_fill(~real.mask(clips.shape[1])[:, :, None], 0)
    real = real.at_least(minimum)
    return F.pad(clips, (0, 0, 0, max(real.longest - clips.shape[1], 0))), real


def clips_of_length(
    features: Tensor, lengths: Tensor, starts: Tensor | None, frames: int, *, silence: float | None = None
) -> Tensor:
    """Cut every clip after its first `frames` frames, or lengthen it with silence: `[batch, frames, bands]`.

    Silence is the smallest value of the clip itself, its noise floor on a logarithmic scale, where 0 can be loud
    (decibels below the clip's maximum); a number is used as it is, 0 in a waveform.
    """
    clips, real = clips_from_zero(features, lengths, starts)
    clips = F.pad(clips[:, :frames], (0, 0, 0, max(frames - clips.shape[1], 0)))
    if real.fill(frames):
        return clips
    padding = ~real.mask(frames)[:, :, None]
    if silence is not None:
        return clips.masked_fill(padding, silence)
    floor = clips.masked_fill(padding, float("inf")).amin((1, 2), keepdim=True)
    return clips.where(~padding, floor)


def check_sizes(name: str, classes: int, bands: int, *, fits: bool, wanted: str) -> None:
    """Raise `SpecError` unless there are outputs and the bands fit; `wanted` describes the bands that do."""
    if classes < 1 or not fits:
        raise SpecError(f"{name} needs 2 classes or more and {wanted}, not {classes} and {bands}.")
