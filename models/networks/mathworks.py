"""The CNN-LSTM of the MathWorks example "Sequence Classification Using CNN-LSTM Network" (system A)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from featurestore.errors import SpecError
from models.devices import without_autocast
from models.layers.convolution import ConvBlock, conv_bias, image_mask, last_real_step
from models.layers.frames import RealFrames, from_frame_zero
from models.networks import ModelCard

CHANNELS = (1, 64, 64, 128, 128)
POOLS = ((2, 2), (2, 4), (2, 4), (2, 4))
"""Pooling windows, frames by bands; the source writes bands by frames: 2 x 2 and three times 4 x 2."""
TIME_STRIDE = 16
HIDDEN = 256


class MathworksCnnLstm(nn.Module):
    """Four convolution blocks, an LSTM over what they leave of the time axis, and a linear layer on its last step.

    Padding changes nothing: padded frames are zero after every block, are left out of batch-norm statistics, and the
    LSTM's state after a clip's last real step is what counts. So clips can also be joined on one time axis, which
    gives the same result from fewer frames. A pooling window that is not full is dropped, as in
    the source; a clip shorter than 16 frames is read as if zeros followed it up to 16.

    Parameters
    ----------
    classes : int
        Number of labels.
    bands : int
        Mel bands, a multiple of 128; the source has 128.
    plain_padding : bool
        Do as the source does: padded frames are data like any other.
    generator : torch.Generator or None
        Draws the first weights; None draws from a generator seeded with 0.

    References
    ----------
    MathWorks, "Sequence Classification Using CNN-LSTM Network", after Zhao, Mao and Chen 2019.
    """

    def __init__(
        self, classes: int, bands: int = 128, *, plain_padding: bool = False, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if classes < 2 or bands < 128 or bands % 128:
            raise SpecError(
                f"mathworks-cnn-lstm needs 2 classes or more and a multiple of 128 bands, not {classes} and {bands}."
            )
        self.plain_padding = plain_padding
        self.blocks = nn.ModuleList(
            ConvBlock(inputs, outputs, pool) for (inputs, outputs), pool in zip(pairwise(CHANNELS), POOLS, strict=True)
        )
        self.lstm = nn.LSTM(CHANNELS[-1] * (bands // 128), HIDDEN, batch_first=True)
        self.classify = nn.Linear(HIDDEN, classes)
        initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]`, or joined clips `[1, frames, bands]`, to logits `[batch, classes]`.

        Parameters
        ----------
        features : Tensor [batch, frames, bands], float32
            Log-mel rows; what stands in padded frames does not matter.
        lengths : Tensor [batch], int64, on the CPU
            Real frames of each clip.
        starts : Tensor [batch], int64, on the CPU, or None
            First real frame of each clip, a multiple of 16; None means 0. Joined clips lie one after the other as
            `models.data.Padding` lays them out.
        """
        rows, frames, _ = features.shape
        if self.plain_padding:
            real = RealFrames.everything(rows, frames, features.device)
        else:
            real = RealFrames.of(lengths, starts, features.device, shared=rows != len(lengths))
        images = features[:, None]  # [rows, 1, frames, bands]
        mask = image_mask(real, images)
        images = images if mask is None else images * mask
        images, real = with_room(images, real.at_least(TIME_STRIDE))
        for block in self.blocks:  # the last gives [rows, 128, frames // 16, bands // 128]
            images, real = block(images, real, image_mask(real, images))
        steps, real = from_frame_zero(images.permute(0, 2, 1, 3).flatten(2), real)
        with without_autocast(steps.device):  # few CPUs have a bfloat16 LSTM, and it costs little
            outputs, _ = self.lstm(steps.float())  # [batch, steps, 256]
        logits: Tensor = self.classify(last_real_step(outputs, real))
        return logits


def with_room(images: Tensor, real: RealFrames) -> tuple[Tensor, RealFrames]:
    """Append zero frames to `[batch, 1, frames, bands]` where a short clip needs more than there are."""
    missing = real.longest - images.shape[2]
    return (nn.functional.pad(images, (0, 0, 0, missing)) if missing > 0 else images), real


@torch.no_grad()
def initialise(model: MathworksCnnLstm, generator: torch.Generator) -> None:
    """Draw the first weights as MATLAB does: Glorot, orthogonal recurrent weights, forget gates open, zero biases.

    PyTorch's second LSTM bias starts at zero, so the sum of the two starts where MATLAB's single one does.
    """
    for block in model.blocks:
        if isinstance(block, ConvBlock):
            nn.init.xavier_uniform_(block.conv.weight, generator=generator)
            conv_bias(block.conv).zero_()
    lstm = dict(model.lstm.named_parameters())
    nn.init.xavier_uniform_(lstm["weight_ih_l0"], generator=generator)
    nn.init.orthogonal_(lstm["weight_hh_l0"], generator=generator)
    lstm["bias_ih_l0"].zero_()
    lstm["bias_hh_l0"].zero_()
    lstm["bias_ih_l0"][HIDDEN : 2 * HIDDEN] = 1  # PyTorch's gate order: input, forget, cell, output
    nn.init.xavier_uniform_(model.classify.weight, generator=generator)
    model.classify.bias.zero_()


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
