"""A time-delay network with attentive statistics pooling: small, and made for few recordings."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import SpecError
from models.layers.convolution import MaskedBatchNorm, conv_bias, masked_moments
from models.layers.frames import RealFrames, check_sizes, clips_from_zero
from models.layers.initialisation import draw_as_pytorch
from models.networks import ModelCard

DILATIONS = (2, 3, 4)
LEAST_VARIANCE = 1e-5
"""Added below the square root of a deviation, whose gradient is infinite at 0."""


class Tdnn(nn.Module):
    """A convolution over 5 frames, three residual ones over 3 dilated frames, attentive mean and deviation.

    Parameters
    ----------
    width : int
        Channels of the convolutions.
    attention : int
        Hidden units of the attention, which weighs the frames of each channel by themselves.

    References
    ----------
    Snyder et al., "X-vectors: robust DNN embeddings for speaker recognition", ICASSP 2018; Okabe, Koshinaka and
    Shinoda, "Attentive statistics pooling for deep speaker embedding", Interspeech 2018, equations 5 and 6.
    """

    def __init__(
        self,
        classes: int,
        bands: int = 64,
        *,
        width: int = 128,
        attention: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("tdnn", classes, bands, fits=bands >= 1, wanted="at least 1 band")
        if width < 1 or attention < 1:
            raise SpecError(f"tdnn needs width and attention of at least 1, not {width} and {attention}.")
        self.first = FrameBlock(bands, width, 5)
        self.blocks = nn.ModuleList(FrameBlock(width, width, 3, dilation) for dilation in DILATIONS)
        self.attend = nn.Sequential(nn.Linear(width, attention), nn.Tanh(), nn.Linear(attention, width))
        self.classify = nn.Linear(2 * width, classes)
        draw_as_pytorch(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]` to logits `[batch, classes]`."""
        frames, real = clips_from_zero(features, lengths, starts)
        mask = None if real.fill(frames.shape[1]) else real.mask(frames.shape[1])[:, :, None].to(frames.dtype)
        frames = self.first(frames, real, mask)
        for block in self.blocks:
            frames = frames + block(frames, real, mask)
        logits: Tensor = self.classify(self.pool(frames, real))
        return logits

    def pool(self, frames: Tensor, real: RealFrames) -> Tensor:
        """Map `frames [batch, frames, width]` to the weighted mean and deviation of real ones, `[batch, 2 width]`."""
        frames, scores = frames.float(), self.attend(frames).float()
        if not real.fill(frames.shape[1]):
            scores = scores.masked_fill(~real.mask(frames.shape[1])[:, :, None], float("-inf"))
        weights = scores.softmax(1)
        mean = (weights * frames).sum(1)
        variance = (weights * (frames - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + LEAST_VARIANCE).sqrt()], 1)


class FrameBlock(nn.Module):
    """A convolution along time that keeps the number of frames, batch norm over real frames, and ReLU.

    The convolution is one matrix product over windows of frames: of this size, several times faster on a CPU than
    `conv1d`, whose images have the frames last.
    """

    def __init__(self, inputs: int, outputs: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, size, dilation=dilation)
        self.norm = MaskedBatchNorm(outputs)

    def forward(self, frames: Tensor, real: RealFrames, mask: Tensor | None) -> Tensor:
        """Map `[batch, frames, inputs]` to `[batch, frames, outputs]`; padded frames are zero in both.

        `mask` is `[batch, frames, 1]`, 1 on real frames; None where all are real.
        """
        conv, norm, count = self.conv, self.norm, frames.shape[1]
        size, dilation = conv.kernel_size[0], conv.dilation[0]
        reach = dilation * (size // 2)
        padded = F.pad(frames, (0, 0, reach, reach))
        windows = torch.cat([padded[:, dilation * place : dilation * place + count] for place in range(size)], 2)
        frames = F.linear(windows, conv.weight.permute(0, 2, 1).flatten(1))
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            images = frames.transpose(1, 2)[..., None]
            mean, variance = masked_moments(images, real, None if mask is None else mask[:, None])
        bias = conv_bias(conv)  # part of the mean alone: in training the two cancel
        scale, shift = norm(mean + bias, variance, real.count)
        frames = F.relu(torch.addcmul(shift + bias * scale, frames, scale))
        return frames if mask is None else frames * mask


NETWORKS = {
    "tdnn": ModelCard(
        Tdnn,
        input="logmel or mathworks: log-mel rows [frames, 64]",
        source="ours, after Snyder et al. 2018 (x-vectors) and Okabe et al. 2018 (attentive statistics pooling)",
        parameters=208_327,
        bands=64,
        other_bands=(128,),
        settings=("width", "attention"),
    ),
}
