"""The three networks of "Audio Classification with CNN-LSTM networks" on spoken digits (system B).

All read 128 mel bands by 44 frames, one second; longer clips are cut, shorter ones end in silence, see
`models.layers.frames.clips_of_length`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from models.layers.convolution import LocalFeatureBlock
from models.layers.frames import check_sizes, clips_of_length
from models.layers.initialisation import draw_as_pytorch
from models.layers.recurrent import without_autocast
from models.networks import ModelCard

BANDS, FRAMES = 128, 44
BASE_CHANNELS = (1, 16, 32, 64, 128)
CRNN_CHANNELS = (BANDS, 128, 128, 256)
CRNN_HIDDEN = 96
PARALLEL_CHANNELS = (1, 16, 32, 64, 64)
PARALLEL_POOLS = (2, 2, 2, 4)
PARALLEL_HIDDEN = 128


class DigitsBase(nn.Module):
    """The source's `BaseModel`: four convolutions with ReLU and max pooling, and a linear layer.

    Parameters
    ----------
    softmax : bool
        Return probabilities, which the source feeds to a loss that takes logits; the default returns logits.
    """

    def __init__(
        self, classes: int, bands: int = BANDS, *, softmax: bool = False, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        check_digits("digits-base", classes, bands)
        self.softmax = softmax
        self.blocks = nn.Sequential(
            *(
                LocalFeatureBlock(*pair, (3, 3), (2, 2), padding=(2, 2), activation=F.relu, norm=None)
                for pair in pairwise(BASE_CHANNELS)
            )
        )
        self.classify = nn.Linear(128 * 9 * 4, classes)
        draw_as_pytorch(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, 128]` to `[batch, classes]`."""
        images = images_of(features, lengths, starts)[:, None]  # [batch, 1, 128, 44]
        return answers(self.classify(self.blocks(images).flatten(1)), self.softmax)


class DigitsCrnn(nn.Module):
    """The source's `CRNN`: convolutions along time, then an LSTM that reads channel after channel.

    As in the source, the LSTM's sequence is the 256 channels, and its features are the 5 steps that are left of the
    time axis.

    Parameters
    ----------
    softmax : bool
        Return probabilities, which the source feeds to a loss that takes logits; the default returns logits.
    """

    def __init__(
        self, classes: int, bands: int = BANDS, *, softmax: bool = False, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        check_digits("digits-crnn", classes, bands)
        self.softmax = softmax
        self.blocks = nn.Sequential(
            *(LocalFeatureBlock(*pair, (5,), (2,), padding=(2,), activation=F.relu) for pair in pairwise(CRNN_CHANNELS))
        )
        self.lstm = nn.LSTM(5, CRNN_HIDDEN, batch_first=True)
        self.dense = nn.Linear(CRNN_CHANNELS[-1] * CRNN_HIDDEN, 64)
        self.classify = nn.Linear(64, classes)
        draw_as_pytorch(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, 128]` to `[batch, classes]`."""
        channels = self.blocks(images_of(features, lengths, starts))  # [batch, 256, 5]
        with without_autocast(channels.device):
            outputs, _ = self.lstm(channels.float())  # [batch, 256, 96]
        return answers(self.classify(F.relu(self.dense(outputs.flatten(1)))), self.softmax)


class DigitsParallel(nn.Module):
    """The source's `ParallelNet`: a convolutional and a bidirectional recurrent branch side by side.

    Parameters
    ----------
    softmax : bool
        Return probabilities, which the source feeds to a loss that takes logits; the default returns logits.
    """

    def __init__(
        self, classes: int, bands: int = BANDS, *, softmax: bool = False, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        check_digits("digits-parallel", classes, bands)
        self.softmax = softmax
        self.blocks = nn.Sequential(
            *(
                LocalFeatureBlock(*pair, (3, 1), (pool, pool), padding=(0, 0), activation=F.relu)
                for pair, pool in zip(pairwise(PARALLEL_CHANNELS), PARALLEL_POOLS, strict=True)
            )
        )
        self.pool = nn.MaxPool2d((4, 2))
        self.lstm = nn.LSTM(FRAMES // 2, PARALLEL_HIDDEN, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(64 * 3 + (BANDS // 4) * 2 * PARALLEL_HIDDEN, classes)
        draw_as_pytorch(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, 128]` to `[batch, classes]`."""
        images = images_of(features, lengths, starts)[:, None]  # [batch, 1, 128, 44]
        local = self.blocks(images).flatten(1)  # [batch, 192]
        with without_autocast(images.device):
            outputs, _ = self.lstm(self.pool(images)[:, 0].float())  # [batch, 32, 256]
        return answers(self.classify(torch.cat([local.float(), outputs.flatten(1)], 1)), self.softmax)


def check_digits(name: str, classes: int, bands: int) -> None:
    """Raise `SpecError` unless there are two classes and 128 bands."""
    check_sizes(name, classes, bands, fits=bands == BANDS, wanted=f"{BANDS} bands")


def images_of(features: Tensor, lengths: Tensor, starts: Tensor | None) -> Tensor:
    """Return one second of each clip as the source lays it out: `[batch, 128 bands, 44 frames]`."""
    return clips_of_length(features, lengths, starts, FRAMES).transpose(1, 2)


def answers(logits: Tensor, softmax: bool) -> Tensor:
    """Return logits, or the probabilities that the source gives to its loss in their place."""
    return logits.softmax(1) if softmax else logits


CARD = ModelCard(
    DigitsBase,
    input="digits: log-mel rows [44, 128]",
    source="Audio Classification with CNN-LSTM networks, 2023",
    parameters=143_242,
    classes=10,
    settings=("softmax",),
)
NETWORKS = {
    "digits-base": CARD,
    "digits-crnn": replace(CARD, builder=DigitsCrnn, parameters=1_942_346),
    "digits-parallel": replace(CARD, builder=DigitsParallel, parameters=260_042),
}
