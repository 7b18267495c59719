"""Convolution of one very long image, cut into pieces for a CPU.

oneDNN's gradient of a filter goes through an image from end to end, and takes three times as long for one image of
1,500 frames by 64 bands as for 16 of 96 frames: they leave the processor's cache.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor
from torch.autograd.function import FunctionCtx

PIECE = 64
"""Frames of a piece."""


def convolve_long(images: Tensor, filters: Tensor) -> Tensor:
    """Convolve `[1, inputs, frames, bands]` with `filters [outputs, inputs, 3, 3]`: `[1, outputs, frames, bands]`.

    The same as `conv2d` with padding 1, but for the order of summation.
    """
    frames = images.shape[2]
    pieces = F.conv2d(OverlappingPieces.apply(images), filters, padding=(0, 1))  # type: ignore[no-untyped-call]
    return pieces.permute(0, 2, 3, 1).flatten(0, 1)[None, :frames].permute(0, 3, 1, 2)


class OverlappingPieces(torch.autograd.Function):
    """Pieces of a long image, each with one frame of its neighbours on either side, and zeros around the image."""

    @staticmethod
    def forward(ctx: FunctionCtx, images: Tensor) -> Tensor:
        """Map `[1, channels, frames, bands]` to `[pieces, channels, PIECE + 2, bands]`, channels last in memory."""
        frames = images.shape[2]
        ctx.frames = frames  # type: ignore[attr-defined]
        padded = F.pad(images[0].permute(1, 2, 0), (0, 0, 0, 0, 1, -frames % PIECE + 1))
        pieces = padded.unfold(0, PIECE + 2, PIECE).permute(0, 3, 1, 2).contiguous()
        return pieces.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 (torch's context)
        """Add up what the gradients of two pieces say about the frames that both have."""
        pieces = gradient.permute(0, 2, 3, 1)
        inner = pieces[:, 1:-1].contiguous()
        inner[:-1, -1] += pieces[1:, 0]
        inner[1:, 0] += pieces[:-1, -1]
        return inner.flatten(0, 1)[None, : ctx.frames].permute(0, 3, 1, 2)
