"""The CNN-LSTM of the MathWorks example "Sequence Classification Using CNN-LSTM Network" (system A)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from models.layers.convolution import ConvBlock, image_mask, last_real_step
from models.layers.frames import RealFrames, check_sizes, from_frame_zero
from models.layers.initialisation import draw_as_keras
from models.layers.recurrent import without_autocast
from models.networks import ModelCard

CHANNELS = (1, 64, 64, 128, 128)
POOLS = ((2, 2), (2, 4), (2, 4), (2, 4))
"""Pooling windows, frames by bands; the source writes bands by frames: 2 x 2 and three times 4 x 2."""
TIME_STRIDE = 16
HIDDEN = 256


class MathworksCnnLstm(nn.Module):
    """Four convolution blocks, an LSTM over what they leave of the time axis, and a linear layer on its last step.

    Padding changes nothing: padded frames are zero after every block, are left out of batch-norm statistics, and the
    LSTM's state after a clip's last real step is what counts. So clips can also be joined on one time axis, as
    `models.batches.loader.Padding` lays them out, which gives the same result from fewer frames. A pooling window that
    is not full is dropped, as in the source; a clip shorter than 16 frames is read as if zeros followed it up to 16.

    Parameters
    ----------
    bands : int
        Mel bands, a multiple of 128; the source has 128.
    plain_padding : bool
        Do as the source does: padded frames are data like any other.

    References
    ----------
    MathWorks, "Sequence Classification Using CNN-LSTM Network", after Zhao, Mao and Chen 2019.
    """

    def __init__(
        self, classes: int, bands: int = 128, *, plain_padding: bool = False, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        fits = bands >= 128 and not bands % 128
        check_sizes("mathworks-cnn-lstm", classes, bands, fits=fits, wanted="a multiple of 128 bands")
        self.plain_padding = plain_padding
        self.blocks = nn.ModuleList(
            ConvBlock(inputs, outputs, pool) for (inputs, outputs), pool in zip(pairwise(CHANNELS), POOLS, strict=True)
        )
        self.lstm = nn.LSTM(CHANNELS[-1] * (bands // 128), HIDDEN, batch_first=True)
        self.classify = nn.Linear(HIDDEN, classes)
        draw_as_keras(self, generator)  # MATLAB has the same rules

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]`, or joined clips `[1, frames, bands]`, to logits `[batch, classes]`."""
        rows, frames, _ = features.shape
        if self.plain_padding:
            real = RealFrames.everything(rows, frames, features.device)
        else:
            real = RealFrames.of(lengths, starts, features.device, shared=rows != len(lengths))
        images = features[:, None]  # [rows, 1, frames, bands]
        mask = image_mask(real, images)
        images = images if mask is None else images * mask
        real = real.at_least(TIME_STRIDE)
        images = F.pad(images, (0, 0, 0, max(real.longest - images.shape[2], 0)))  # room for a short clip
        for block in self.blocks:  # the last gives [rows, 128, frames // 16, bands // 128]
            images, real = block(images, real, image_mask(real, images))
        steps, real = from_frame_zero(images.permute(0, 2, 1, 3).flatten(2), real)
        with without_autocast(steps.device):  # few CPUs have a bfloat16 LSTM, and it costs little
            outputs, _ = self.lstm(steps.float())  # [batch, steps, 256]
        logits: Tensor = self.classify(last_real_step(outputs, real))
        return logits


NETWORKS = {
    "mathworks-cnn-lstm": ModelCard(
        MathworksCnnLstm,
        input="mathworks: log-mel rows [frames, 128]",
        source="MathWorks, Sequence Classification Using CNN-LSTM Network",
        parameters=656_839,
        time_stride=TIME_STRIDE,
        joins=True,
        settings=("plain_padding",),
    )
}
