"""The local feature learning block: convolution, batch norm, activation, max pooling, along one axis or two."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from models.networks.frames import RealFrames
from models.networks.layers import MaskedBatchNorm, MaskedMoments, conv_bias, convolve_one_channel


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
    norm : bool
        False leaves the batch norm out.

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
        norm: bool = True,
    ) -> None:
        super().__init__()
        flat = len(kernel) == 1
        convolution = nn.Conv1d if flat else nn.Conv2d
        self.conv = convolution(inputs, outputs, kernel, padding=padding)  # type: ignore[arg-type]
        self.norm = MaskedBatchNorm(outputs) if norm else None
        self.pool, self.activation = pool, activation
        self._maximum: Callable[..., Tensor] = F.max_pool1d if flat else F.max_pool2d

    def forward(self, images: Tensor) -> Tensor:
        """Map `[batch, inputs, *size]` to `[batch, outputs, *(size + 2 padding - kernel + 1) // pool]`."""
        if self.norm is None:
            return self.activation(self._maximum(self.conv(images), self.pool))
        sign = torch.where(self.norm.weight.detach() < 0, -1.0, 1.0)
        scale, shift, images = self._convolve(images, self.norm, sign)
        per_channel = (-1, *[1] * len(self.pool))
        images = self._maximum(images, self.pool) * (scale * sign).view(per_channel)
        return self.activation(images + shift.view(per_channel))

    def _convolve(self, images: Tensor, norm: MaskedBatchNorm, sign: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scale and shift of each channel and the images, without the bias, which the shift contains."""
        filters = self.conv.weight * sign.view(-1, *[1] * (self.conv.weight.ndim - 1))
        bias = conv_bias(self.conv)
        if filters.shape[1:] == (1, 3, 3) and self.conv.padding == (1, 1):
            real = RealFrames.everything(len(images), images.shape[2])
            images, mean, variance = convolve_one_channel(images, filters, real, None, moments=self.training)
        else:
            images = (F.conv1d if images.ndim == 3 else F.conv2d)(images, filters, padding=self.conv.padding)
            mean, variance = moments(images) if self.training else (bias, bias)
        count = float(images[:, 0].numel())
        scale, shift = norm(mean * sign + bias, variance, count)  # in evaluation its own statistics count
        return scale, shift + bias * scale, images


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel of `[batch, channels, *]`, two of `[channels]`."""
    pixels = images.float().flatten(2)[:, :, :, None].permute(0, 2, 3, 1)
    count = float(pixels.shape[0] * pixels.shape[1])
    mean, variance = MaskedMoments.apply(pixels, None, count)  # type: ignore[no-untyped-call]
    return mean, variance
