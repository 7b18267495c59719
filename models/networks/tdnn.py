"""A time-delay network with attentive statistics pooling: small, and made for few recordings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import SpecError
from models.layers.convolution import MaskedBatchNorm, MaskedMoments, conv_bias
from models.layers.frames import check_sizes, to_device
from models.layers.initialisation import draw_as_pytorch
from models.layers.recurrent import without_autocast
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
        Hidden units of the attention, which gives each channel its own weights over the frames; 0: all weigh alike.

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
        if width < 1 or attention < 0:
            raise SpecError(f"tdnn needs width of at least 1 and attention of at least 0, not {width} and {attention}.")
        self.first = FrameBlock(bands, width, 5)
        self.blocks = nn.ModuleList(FrameBlock(width, width, 3, dilation) for dilation in DILATIONS)
        self.attend: nn.Module = EqualScores()
        if attention:
            self.attend = nn.Sequential(nn.Linear(width, attention), nn.Tanh(), nn.Linear(attention, width))
        self.classify = nn.Linear(2 * width, classes)
        draw_as_pytorch(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]`, or clips joined in `[1, frames, bands]`, to logits `[batch, classes]`.

        Real frames lie one clip after the other, each followed by as many zeros as the widest block reaches, so that no
        clip sees another and padding costs next to nothing.
        """
        counts = lengths.tolist()
        places = zip([0] * len(counts) if starts is None else starts.tolist(), counts, strict=True)
        shared = len(features) != len(counts)
        clips = [features[0 if shared else row, start : start + count] for row, (start, count) in enumerate(places)]
        frames = torch.cat([F.pad(clip, (0, 0, 0, DILATIONS[-1])) for clip in clips])
        spans = torch.tensor(counts) + DILATIONS[-1]
        clip = torch.arange(len(counts)).repeat_interleave(spans)
        place = torch.arange(len(clip)) - (spans.cumsum(0) - spans).repeat_interleave(spans)
        of_clip = (clip == torch.arange(len(counts))[:, None]) & (place < torch.tensor(counts).repeat_interleave(spans))
        of_clip = to_device(of_clip.float(), features.device)
        mask = of_clip.sum(0)[:, None]
        frames = self.first(frames, mask, sum(counts))
        for block in self.blocks:
            frames = frames + block(frames, mask, sum(counts))
        logits: Tensor = self.classify(self.pool(frames, of_clip, spans.tolist()))
        return logits

    def pool(self, frames: Tensor, of_clip: Tensor, spans: Sequence[int]) -> Tensor:
        """Map `frames [frames, width]` to mean and deviation of each clip's, weighted by attention: `[batch, 2 width]`.

        `of_clip [batch, frames]` is 1 where a frame is a real one of the clip; each has the next of `spans` rows.
        """
        with without_autocast(frames.device):
            frames, scores = frames.float(), self.attend(frames.float())
            highest = torch.stack([part.amax(0) for part in scores.detach().split(spans)])
            weights = (scores - of_clip.t() @ highest).clamp(max=0).exp()
            total = of_clip @ weights
            mean = of_clip @ (weights * frames) / total
            variance = of_clip @ (weights * (frames - of_clip.t() @ mean).square()) / total
        return torch.cat([mean, (variance + LEAST_VARIANCE).sqrt()], 1)


class EqualScores(nn.Module):
    """An attention that weighs all frames alike."""

    def forward(self, frames: Tensor) -> Tensor:
        """Return a score of 0 for each frame and channel."""
        return torch.zeros_like(frames)


class FrameBlock(nn.Module):
    """A convolution along time that keeps the number of frames, batch norm over real frames, and ReLU.

    The convolution is one matrix product over windows of frames: of this size, several times faster on a CPU than
    `conv1d`, whose images have the frames last.
    """

    def __init__(self, inputs: int, outputs: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, size, dilation=dilation)
        self.norm = MaskedBatchNorm(outputs)

    def forward(self, frames: Tensor, mask: Tensor, count: float) -> Tensor:
        """Map `[frames, inputs]`, of which `count` are real, to `[frames, outputs]`; the others are zero in both.

        `mask` is `[frames, 1]`, 1 on real frames.
        """
        conv, norm = self.conv, self.norm
        size, dilation = conv.kernel_size[0], conv.dilation[0]
        reach = dilation * (size // 2)
        padded = F.pad(frames, (0, 0, reach, reach))
        windows = torch.cat([padded[dilation * place :][: len(frames)] for place in range(size)], 1)
        frames = F.linear(windows, conv.weight.permute(0, 2, 1).flatten(1))
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            pixels = frames.float()[None, :, None]
            mean, variance = MaskedMoments.apply(pixels, mask[None, :, None], count)  # type: ignore[no-untyped-call]
        bias = conv_bias(conv)  # part of the mean alone: in training the two cancel
        scale, shift = norm(mean + bias, variance, count)
        return F.relu(torch.addcmul(shift + bias * scale, frames, scale)) * mask


NETWORKS = {
    "tdnn": ModelCard(
        Tdnn,
        input="logmel or mathworks: log-mel rows [frames, 64]",
        source="ours, after Snyder et al. 2018 (x-vectors) and Okabe et al. 2018 (attentive statistics pooling)",
        parameters=208_327,
        joins=True,
        bands=64,
        other_bands=(128,),
        settings=("width", "attention"),
    ),
}
