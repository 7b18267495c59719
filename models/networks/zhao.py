"""The CNN-LSTM networks after Zhao, Mao and Chen 2019, as re-implemented and varied in 2021 (system D).

Clips have one length: longer ones are cut, shorter ones end in silence, see `models.layers.frames.clips_of_length`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import SpecError
from models.layers.convolution import LocalFeatureBlock, MaskedBatchNorm
from models.layers.frames import check_sizes, clips_of_length
from models.layers.initialisation import draw_as_keras
from models.layers.recurrent import without_autocast
from models.networks import ModelCard

CHANNELS = (1, 64, 64, 128, 128)
BAND_POOLS = (2, 4, 4, 4)
TIME_POOLS = {"original": (2, 4, 4, 4), "dense": (2, 4, 4, 4), "modified": (2, 2, 2, 2)}
"""Pooling along time by variant. The source says only that the modified network pools less along the frames."""
NAMES = {"original": "zhao-2d", "dense": "zhao-2d-dense", "modified": "zhao-2d-modified"}
WAVE_POOL = 4
NORMS: Mapping[bool, Callable[[int], MaskedBatchNorm]] = {
    False: MaskedBatchNorm,
    True: partial(MaskedBatchNorm, eps=1e-3, momentum=0.01),
}
"""Batch norm with PyTorch's constants, and with those of Keras, which writes its momentum as 0.99."""


class Zhao2d(nn.Module):
    """Four local feature learning blocks on a log-mel image, then an LSTM, or two dense layers in its place.

    Parameters
    ----------
    bands : int
        A multiple of 128.
    variant : str
        `original`: the blocks leave one step, which the LSTM reads; `dense`: two dense layers with ELU replace the
        LSTM; `modified`: time is pooled by 2 in every block and the LSTM reads a sequence (15 steps of 251 frames).
    hidden : int
        Units of the LSTM, or of each dense layer; the paper has 256.
    frames : int
        Frames that every clip is cut or lengthened to; the source has 251.
    keras_batch_norm : bool
        Batch norm with Keras' constants (momentum 0.99, eps 1e-3), as in the source, in place of PyTorch's.
    """

    def __init__(
        self,
        classes: int,
        bands: int = 128,
        *,
        variant: str = "original",
        hidden: int = 256,
        frames: int = 251,
        keras_batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        name = NAMES[variant]
        check_sizes(name, classes, bands, fits=bands >= 128 and not bands % 128, wanted="a multiple of 128 bands")
        steps = steps_left(name, frames, TIME_POOLS[variant], hidden)
        self.frames = frames
        self.blocks = nn.Sequential(
            *(
                LocalFeatureBlock(*pair, (3, 3), pool, padding=(1, 1), activation=F.elu, norm=NORMS[keras_batch_norm])
                for pair, pool in zip(
                    pairwise(CHANNELS), zip(BAND_POOLS, TIME_POOLS[variant], strict=True), strict=True
                )
            )
        )
        width = CHANNELS[-1] * (bands // 128)
        self.lstm = None if variant == "dense" else nn.LSTM(width, hidden, batch_first=True)
        self.dense = nn.Sequential()
        if variant == "dense":
            self.dense = nn.Sequential(nn.Linear(width * steps, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU())
        self.classify = nn.Linear(hidden, classes)
        draw_as_keras(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]` to logits `[batch, classes]`."""
        images = clips_of_length(features, lengths, starts, self.frames).transpose(1, 2)[:, None]
        images = self.blocks(images)  # [batch, 128, bands // 128, steps]
        steps = images.permute(0, 3, 1, 2).flatten(2)
        if self.lstm is None:
            logits: Tensor = self.classify(self.dense(steps.flatten(1)))
            return logits
        return classify_last(steps, self.lstm, self.classify)


class Zhao1d(nn.Module):
    """Four local feature learning blocks on the raw waveform, pooled by 4 each, and an LSTM.

    Parameters
    ----------
    hidden : int
        Units of the LSTM.
    samples : int
        Samples that every clip is cut or lengthened to, at least 256; 128,000 are the source's 8 s at 16 kHz.
    keras_batch_norm : bool
        As in `Zhao2d`.
    """

    def __init__(
        self,
        classes: int,
        bands: int = 1,
        *,
        hidden: int = 256,
        samples: int = 128_000,
        keras_batch_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_sizes("zhao-1d", classes, bands, fits=bands == 1, wanted="a waveform (features 'waveform', 1 band)")
        steps_left("zhao-1d", samples, (WAVE_POOL,) * 4, hidden, "samples")
        self.samples = samples
        self.blocks = nn.Sequential(
            *(
                LocalFeatureBlock(
                    *pair, (3,), (WAVE_POOL,), padding=(1,), activation=F.elu, norm=NORMS[keras_batch_norm]
                )
                for pair in pairwise(CHANNELS)
            )
        )
        self.lstm = nn.LSTM(CHANNELS[-1], hidden, batch_first=True)
        self.classify = nn.Linear(hidden, classes)
        draw_as_keras(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map waveforms `[batch, samples, 1]` to logits `[batch, classes]`."""
        waves = clips_of_length(features, lengths, starts, self.samples, silence=0.0).transpose(1, 2)
        steps = self.blocks(waves).transpose(1, 2)  # [batch, samples // 256, 128]
        return classify_last(steps, self.lstm, self.classify)


def classify_last(steps: Tensor, lstm: nn.LSTM, classify: nn.Linear) -> Tensor:
    """Map `steps [batch, steps, features]` by the LSTM's last state to `[batch, classes]`."""
    with without_autocast(steps.device):
        outputs, _ = lstm(steps.float())
    logits: Tensor = classify(outputs[:, -1])
    return logits


def steps_left(name: str, length: int, pools: tuple[int, ...], hidden: int, unit: str = "frames") -> int:
    """Return the steps that pooling leaves of a clip; `SpecError` if it leaves none, or nothing is to read them."""
    if hidden < 1:
        raise SpecError(f"{name} needs at least 1 hidden unit, not {hidden}.")
    steps, needed = length, 1
    for pool in pools:
        steps, needed = steps // pool, needed * pool
    if not steps:
        raise SpecError(f"{name} needs {needed} {unit} or more, not {length}.")
    return steps


CARD = ModelCard(
    Zhao2d,
    input="zhao: log-mel rows [251, 128]",
    source="2D CNN LSTM for SER implementation, 2021, after Zhao, Mao and Chen 2019",
    parameters=656_839,
    settings=("hidden", "frames", "keras_batch_norm"),
)
NETWORKS = {
    "zhao-2d": CARD,
    "zhao-2d-dense": replace(CARD, builder=partial(Zhao2d, variant="dense"), parameters=360_391),
    "zhao-2d-modified": replace(CARD, builder=partial(Zhao2d, variant="modified")),
    "zhao-1d": ModelCard(
        Zhao1d,
        input="waveform: samples [128000, 1]",
        source="Zhao, Mao and Chen, Speech emotion recognition using deep 1D & 2D CNN LSTM networks, 2019",
        parameters=484_423,
        bands=1,
        settings=("hidden", "samples", "keras_batch_norm"),
    ),
}
