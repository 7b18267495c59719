"""Convolution, batch norm and pooling of images in which padded frames change nothing.

Images have the shape `[batch, channels, frames, bands]`; `real` marks the frames that are not padding. A layer takes
images whose padded frames are zero and returns such images, so the zeros around a clip look to a convolution like
the border of a single clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from models.layers.frames import RealFrames

PIECE = 64
"""Frames of a piece of a long image."""


def convolve_long(images: Tensor, filters: Tensor) -> Tensor:
    """Convolve `[1, inputs, frames, bands]` with `filters [outputs, inputs, 3, 3]`: `[1, outputs, frames, bands]`.

    The same as `conv2d` with padding 1, but for the order of summation. oneDNN's gradient of a filter goes through an
    image from end to end, and takes three times as long for one image of 1,500 frames by 64 bands as for 16 of 96
    frames: they leave the processor's cache. So the image is cut into pieces.
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


class MaskedBatchNorm(nn.Module):
    """Batch normalisation whose statistics leave padded frames out.

    It returns the scale and the shift of each channel and leaves applying them to the caller, who can pool first:
    that is the same result from a fraction of the values.

    Parameters
    ----------
    channels : int
    momentum : float or None
        Weight of a new batch in the running statistics; None gathers the statistics of all values seen, see
        `population_statistics`.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """

    running_mean: Tensor
    running_var: Tensor
    seen: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))
        self.eps = eps
        self.momentum = momentum

    def forward(self, mean: Tensor, variance: Tensor, count: float) -> tuple[Tensor, Tensor]:
        """Return scale and shift, `[channels]`, from the batch's moments `[channels]` over `count` real values."""
        if self.training:
            self._remember(mean.detach(), variance.detach(), count)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return scale, self.bias - mean * scale

    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        change = mean - self.running_mean
        if self.momentum is not None:
            self.running_mean += self.momentum * change
            self.running_var += self.momentum * (variance * count / max(count - 1, 1) - self.running_var)
            return
        share = (count / (self.seen + count)).float()  # two sets of values merged: Chan et al. 1979
        self.running_mean += share * change
        self.running_var += share * (variance - self.running_var + (1 - share) * change.square())
        self.seen += count


class ConvBlock(nn.Module):
    """Convolution 3 x 3, batch norm, ReLU, max pooling, in an order that computes less.

    ReLU and a rising scale commute with the maximum, so pooling comes first and they act on 4 to 8 times fewer
    values. Where a channel's scale is negative its filter changes sign instead, which is exact.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    pool : tuple of int
        Pooling window and stride, frames by bands.
    """

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        self.norm = MaskedBatchNorm(outputs)
        self.pool = pool

    def forward(self, images: Tensor, real: RealFrames, mask: Tensor | None) -> tuple[Tensor, RealFrames]:
        """Map `[batch, inputs, frames, bands]` to `[batch, outputs, frames // pool[0], bands // pool[1]]`.

        `mask` is `[batch, 1, frames, 1]`, 1 on real frames; None where all are real.
        """
        norm, training = self.norm, self.training
        sign = torch.where(norm.weight.detach() < 0, -1.0, 1.0)
        filters = self.conv.weight * sign.view(-1, 1, 1, 1)
        if images.shape[1] == 1:
            images, mean, variance = convolve_one_channel(images, filters, real, mask, moments=training)
        else:
            long = real.shared and images.device.type == "cpu"
            images = convolve_long(images, filters) if long else F.conv2d(images, filters, padding=1)
            mean, variance = norm.running_mean, norm.running_var
            if training:
                mean, variance = masked_moments(images, real, mask)
        # the bias goes into the mean and the shift alone: in training the one removes the other, exactly
        bias = conv_bias(self.conv)
        scale, shift = norm(mean * sign + bias, variance, real.count * images.shape[3])
        shift = shift + bias * scale
        scale = scale * sign
        images = F.max_pool2d(images, self.pool)
        images = torch.addcmul(shift.view(-1, 1, 1), images, scale.view(-1, 1, 1))
        real = real.pooled(self.pool[0])
        mask = image_mask(real, images)
        if mask is not None:
            images = images.mul_(mask)
        return images.relu_(), real


def has_batch_norm(model: nn.Module) -> bool:
    """Tell whether a model has statistics that `population_statistics` measures."""
    return any(isinstance(module, MaskedBatchNorm) for module in model.modules())


@contextmanager
def population_statistics(model: nn.Module) -> Iterator[None]:
    """Measure batch-norm statistics again: those of all values that pass through the model in this context.

    Batches of clips of like length differ in their means; merging moments counts that spread, which an average of
    the batches' variances would leave out.
    """
    norms = [module for module in model.modules() if isinstance(module, MaskedBatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
        norm.seen.zero_()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def conv_bias(conv: nn.Conv1d | nn.Conv2d) -> Tensor:
    """Return the bias of a convolution that has one, `[channels]`."""
    if conv.bias is None:
        raise ValueError("the convolution has no bias")
    return conv.bias


def image_mask(real: RealFrames, images: Tensor) -> Tensor | None:
    """Return 1 on real frames and 0 on padding, `[batch, 1, frames, 1]`; None where nothing is padded."""
    frames = images.shape[2]
    if real.fill(frames):
        return None
    return real.mask(frames)[:, None, :, None].to(images.dtype)


class MaskedMoments(torch.autograd.Function):
    """Mean and variance with a gradient that takes one pass over the images instead of six."""

    @staticmethod
    def forward(ctx: FunctionCtx, pixels: Tensor, weights: Tensor | None, count: float) -> tuple[Tensor, Tensor]:
        """Map `pixels [batch, frames, bands, channels]` to two of `[channels]`; `weights` is 1 on real frames."""
        mean = (pixels if weights is None else pixels * weights).sum((0, 1, 2)) / count
        centred = pixels - mean
        if weights is not None:
            centred *= weights
        ctx.save_for_backward(centred, *(() if weights is None else (weights,)))
        ctx.count = count  # type: ignore[attr-defined]
        return mean, centred.square().sum((0, 1, 2)) / count

    @staticmethod
    def backward(ctx: Any, mean: Tensor, variance: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 (torch's context)
        """Return d mean / count + 2 (pixel - mean) d variance / count on real frames, 0 elsewhere."""
        centred, *weights = ctx.saved_tensors
        gradient = torch.addcmul(mean / ctx.count, centred, 2 * variance / ctx.count)
        return (gradient.mul_(weights[0]) if weights else gradient), None, None


def masked_moments(images: Tensor, real: RealFrames, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel over real frames, `[channels]`, from `[batch, channels, frames, bands]`.

    Sums that leave the last axis of `[batch, frames, bands, channels]` are several times faster on a CPU than
    `torch.var_mean`.
    """
    weights = None if mask is None else mask.float().permute(0, 2, 3, 1)
    count = real.count * images.shape[3]
    mean, variance = MaskedMoments.apply(images.float().permute(0, 2, 3, 1), weights, count)  # type: ignore[no-untyped-call]
    return mean, variance


def convolve_one_channel(
    images: Tensor, filters: Tensor, real: RealFrames, mask: Tensor | None, *, moments: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Convolve one input channel as a matrix product over 3 x 3 patches, and derive the moments of the result.

    Mean and variance of a linear map of the patches follow from the patches' own mean m and covariance C:
    `w m` and `w C w'`. So the largest image of the network is never read to measure it.

    Shape: `[batch, 1, frames, bands]` to `[batch, outputs, frames, bands]` and two of `[outputs]`.
    """
    batch, _, frames, bands = images.shape
    patches = F.pad(images[:, 0], (1, 1, 1, 1)).unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 9)
    weights = filters.reshape(-1, 9).t().contiguous()  # this layout makes the gradient product 7 times faster
    product = (patches @ weights).view(batch, frames, bands, -1).permute(0, 3, 1, 2)
    if not moments:
        return product, filters.new_zeros(len(filters)), filters.new_ones(len(filters))
    mean, covariance = patch_moments(patches, real, mask, bands)
    return product, mean @ weights, ((covariance @ weights) * weights).sum(0)


@torch.no_grad()
def patch_moments(patches: Tensor, real: RealFrames, mask: Tensor | None, bands: int) -> tuple[Tensor, Tensor]:
    """Return the mean `[9]` and the covariance `[9, 9]` of `patches [pixels, 9]` around real frames."""
    count = real.count * bands
    weights = None if mask is None else mask.expand(-1, -1, -1, bands).reshape(-1, 1)
    mean = (patches if weights is None else patches * weights).sum(0) / count
    centred = patches - mean if weights is None else (patches - mean) * weights
    return mean, centred.t() @ centred / count


def last_real_step(outputs: Tensor, real: RealFrames) -> Tensor:
    """Pick the last real step of each clip from `[batch, steps, features]`: `[batch, features]`."""
    last = real.placed.sum(0) - 1
    return outputs[torch.arange(len(outputs), device=outputs.device), last]


class LocalFeatureBlock(nn.Module):
    """Convolution, batch norm, activation and max pooling of images that are nowhere padded.

    An activation and a scale that both rise commute with the maximum, so pooling comes first and they act on a
    fraction of the values. Where a channel's scale is negative its filter changes sign instead, which is exact.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, pool : tuple of int
        Filter, and pooling window with its stride; one number an axis. A window that is not full is dropped.
    padding : tuple of int
        Zeros on both sides of each axis; `(k - 1) / 2` keeps an image's size.
    activation : callable
        Rises monotonically, value by value.
    norm : callable or None
        Makes the batch norm from its number of channels; None leaves it out.

    References
    ----------
    Zhao, Mao and Chen, "Speech emotion recognition using deep 1D & 2D CNN LSTM networks", 2019.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, ...],
        pool: tuple[int, ...],
        *,
        padding: tuple[int, ...],
        activation: Callable[[Tensor], Tensor],
        norm: Callable[[int], MaskedBatchNorm] | None = MaskedBatchNorm,
    ) -> None:
        super().__init__()
        flat = len(kernel) == 1
        convolution = nn.Conv1d if flat else nn.Conv2d
        self.conv = convolution(inputs, outputs, kernel, padding=padding)  # type: ignore[arg-type]
        self.norm = None if norm is None else norm(outputs)
        self.pool, self.activation = pool, activation
        self._maximum: Callable[..., Tensor] = F.max_pool1d if flat else F.max_pool2d

    def forward(self, images: Tensor) -> Tensor:
        """Map `[batch, inputs, *size]` to `[batch, outputs, *(size + 2 padding - kernel + 1) // pool]`."""
        if self.norm is None:
            return self.activation(self._maximum(self.conv(images), self.pool))
        sign = torch.where(self.norm.weight.detach() < 0, -1.0, 1.0)
        ones = [1] * len(self.pool)
        filters = self.conv.weight * sign.view(-1, 1, *ones)
        bias = conv_bias(self.conv)
        if filters.shape[1:] == (1, 3, 3) and self.conv.padding == (1, 1):
            real = RealFrames.everything(len(images), images.shape[2])
            images, mean, variance = convolve_one_channel(images, filters, real, None, moments=self.training)
        else:
            images = (F.conv1d if images.ndim == 3 else F.conv2d)(images, filters, padding=self.conv.padding)
            mean, variance = moments(images) if self.training else (bias, bias)
        count = float(images[:, 0].numel())
        scale, shift = self.norm(mean * sign + bias, variance, count)  # in evaluation its own statistics count
        shift = shift + bias * scale
        images = self._maximum(images, self.pool) * (scale * sign).view(-1, *ones)
        return self.activation(images + shift.view(-1, *ones))


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel of `[batch, channels, *]`, two of `[channels]`."""
    pixels = images.float().flatten(2)[:, :, :, None].permute(0, 2, 3, 1)
    count = float(pixels.shape[0] * pixels.shape[1])
    mean, variance = MaskedMoments.apply(pixels, None, count)  # type: ignore[no-untyped-call]
    return mean, variance
