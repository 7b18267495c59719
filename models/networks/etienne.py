"""The CNN-Bi-LSTM of Etienne et al. 2018 for spectrograms (system C)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import SpecError
from models.layers.convolution import image_mask
from models.layers.frames import RealFrames, check_sizes, clips_from_zero
from models.layers.initialisation import draw_as_keras
from models.layers.recurrent import BiLstm, without_autocast
from models.networks import ModelCard

NAME = "etienne-cnn-blstm"
KERNEL = 5
CHANNELS = (1, 16, 24, 32, 48, 48, 48)
TIME_STRIDES = (2, 2, 1, 1, 1, 1)
BAND_STRIDES = (4, 2, 2, 2, 2, 2)
"""Kernels, filters, strides and hidden units are given only in the source's figure; these are ours."""
MAX_RECURRENT = 4
TIME_STRIDE = 4
"""Settings of the published depth."""


class EtienneCnnBlstm(nn.Module):
    """Strided convolutions without pooling, Bi-LSTM layers over the steps that they leave, and a linear layer.

    Padding changes nothing: after every convolution the steps behind a clip are zero again, as far as its stride
    moved the clip's end, and the LSTMs of both directions read real steps only. The last states of the two directions
    of the last layer are classified.

    Parameters
    ----------
    bands : int
        Bins of the spectrogram, 16 or more; 513 reach 8 kHz.
    convolutions, recurrent : int
        Layers: 1 to 6 and 1 to 4; the source's best are 4 and 1.
    hidden : int
        Units of a direction.
    batch_norm : bool
        Normalise the input-to-hidden terms (equations 3 to 5); the source's best model does not.
    """

    def __init__(
        self,
        classes: int,
        bands: int = 513,
        *,
        convolutions: int = 4,
        recurrent: int = 1,
        hidden: int = 128,
        batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes(NAME, classes, bands, fits=bands >= 16, wanted="16 bands or more")
        if not (1 <= convolutions <= len(TIME_STRIDES) and 1 <= recurrent <= MAX_RECURRENT and hidden >= 1):
            raise SpecError(
                f"{NAME} has 1 to 6 convolutions, 1 to 4 recurrent layers and hidden units, not {convolutions}, "
                f"{recurrent} and {hidden}."
            )
        strides = list(zip(TIME_STRIDES, BAND_STRIDES, strict=True))[:convolutions]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(*pair, KERNEL, stride=stride, padding=KERNEL // 2)
            for pair, stride in zip(list(pairwise(CHANNELS))[:convolutions], strides, strict=True)
        )
        for _, stride in strides:
            bands = -(-bands // stride)
        self.recurrent = BiLstm(CHANNELS[convolutions] * bands, hidden, recurrent, batch_norm=batch_norm)
        self.classify = nn.Linear(2 * hidden, classes)
        draw_as_keras(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]` to logits `[batch, classes]`."""
        clips, real = clips_from_zero(features, lengths, starts)
        images, real = self.convolve(clips[:, None], real)  # [batch, 48, steps, bands left]
        with without_autocast(images.device):
            states = self.recurrent(images.permute(0, 2, 1, 3).flatten(2).float(), real)  # [batch, 2 hidden]
        logits: Tensor = self.classify(states)
        return logits

    def convolve(self, images: Tensor, real: RealFrames) -> tuple[Tensor, RealFrames]:
        """Map `[batch, 1, frames, bands]` to `[batch, channels, steps, bands left]`, zero behind each clip."""
        for layer, stride in zip(self.convolutions, TIME_STRIDES, strict=False):
            images, real = F.relu(layer(images)), real.windowed(KERNEL, stride, KERNEL // 2)
            mask = image_mask(real, images)
            images = images if mask is None else images * mask
        return images, real


NETWORKS = {
    NAME: ModelCard(
        EtienneCnnBlstm,
        input="etienne: spectrogram rows [frames, bins], 513 bins up to 8 kHz",
        source="Etienne et al., CNN+LSTM Architecture for Speech Emotion Recognition with Data Augmentation, 2018",
        parameters=1_037_452,
        time_stride=TIME_STRIDE,
        classes=4,
        bands=513,
        settings=("convolutions", "recurrent", "hidden", "batch_norm"),
    )
}
