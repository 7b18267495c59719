"""A batch as models want it: every clip from frame 0 on, with nothing in the padding, or all of one length."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor

from featurestore.errors import SpecError
from models.networks.frames import RealFrames
from models.networks.layers import from_frame_zero


def clips_from_zero(
    features: Tensor, lengths: Tensor, starts: Tensor | None = None, *, minimum: int = 1
) -> tuple[Tensor, RealFrames]:
    """Move every clip to frame 0 and put zeros after it, so that padding on either side changes nothing.

    Parameters
    ----------
    features : Tensor [batch, frames, bands]
        What stands in padded frames does not matter.
    lengths : Tensor [batch], int64, on the CPU
        Real frames of each clip.
    starts : Tensor [batch], int64, on the CPU, or None
        First real frame of each clip; None means 0.
    minimum : int
        A shorter clip is read as if zeros followed it up to so many frames.

    Returns
    -------
    Tensor [batch, longest, bands], RealFrames
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
    (decibels below the clip's maximum); a number stands for itself, 0 in a waveform.
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
    """Raise `SpecError` unless there are two classes and the bands fit; `wanted` says which bands do."""
    if classes < 2 or not fits:
        raise SpecError(f"{name} needs 2 classes or more and {wanted}, not {classes} and {bands}.")
