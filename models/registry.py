"""The models by name: a new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from featurestore.errors import SpecError, UnknownNameError
from models.networks import etienne, mathworks
from models.networks.digits import DigitsBase, DigitsCrnn, DigitsParallel
from models.networks.etienne import EtienneCnnBlstm
from models.networks.keren import KerenNetwork
from models.networks.mathworks import MathworksCnnLstm
from models.networks.zhao import Zhao1d, Zhao2d

MATHWORKS = "MathWorks, Sequence Classification Using CNN-LSTM Network"
DIGITS = "Audio Classification with CNN-LSTM networks, 2023"
ETIENNE = "Etienne et al., CNN+LSTM Architecture for Speech Emotion Recognition with Data Augmentation, 2018"
ZHAO = "Zhao, Mao and Chen, Speech emotion recognition using deep 1D & 2D CNN LSTM networks, 2019"
ZHAO_AGAIN = "2D CNN LSTM for SER implementation, 2021, after Zhao, Mao and Chen 2019"
KEREN = "Keren and Schuller, Convolutional RNN, 2016"


@dataclass(frozen=True)
class ModelCard:
    """What is to be known about a model without building it."""

    builder: Callable[..., nn.Module]
    """Called with classes, bands, the model's own settings and `generator`."""
    input: str
    """The features it expects, in words, with the name of their preset."""
    source: str
    """Where it was published."""
    parameters: int
    """Learnable values of the published model; stated, so that listing the models builds none."""
    time_stride: int = 1
    """Frames for each step of the recurrent part; left padding is rounded up to multiples of it."""
    joins: bool = False
    """Whether it reads clips that are joined on one time axis."""
    classes: int = 7
    """Classes of the published model, for its number of parameters."""
    bands: int = 128
    """Bands of the published model."""
    other_bands: tuple[int, ...] = ()
    """Other numbers of bands that its source has."""
    settings: tuple[str, ...] = ()
    """Names of the model's own settings."""


MODELS: Mapping[str, ModelCard] = {
    "mathworks-cnn-lstm": ModelCard(
        builder=MathworksCnnLstm,
        input="mathworks: log-mel rows [frames, 128]",
        source=MATHWORKS,
        parameters=656_839,
        time_stride=mathworks.TIME_STRIDE,
        joins=True,
        settings=("plain_padding",),
    ),
    "digits-base": ModelCard(
        builder=DigitsBase,
        input="digits: log-mel rows [44, 128]",
        source=DIGITS,
        parameters=143_242,
        classes=10,
        settings=("softmax",),
    ),
    "digits-crnn": ModelCard(
        builder=DigitsCrnn,
        input="digits: log-mel rows [44, 128]",
        source=DIGITS,
        parameters=1_942_346,
        classes=10,
        settings=("softmax",),
    ),
    "digits-parallel": ModelCard(
        builder=DigitsParallel,
        input="digits: log-mel rows [44, 128]",
        source=DIGITS,
        parameters=260_042,
        classes=10,
        settings=("softmax",),
    ),
    "etienne-cnn-blstm": ModelCard(
        builder=EtienneCnnBlstm,
        input="etienne: spectrogram rows [frames, bins], 513 bins up to 8 kHz",
        source=ETIENNE,
        parameters=1_037_452,
        time_stride=etienne.TIME_STRIDE,
        classes=4,
        bands=513,
        settings=("convolutions", "recurrent", "hidden", "batch_norm"),
    ),
    "zhao-2d": ModelCard(
        builder=Zhao2d,
        input="zhao: log-mel rows [251, 128]",
        source=ZHAO_AGAIN,
        parameters=656_839,
        settings=("hidden", "frames"),
    ),
    "zhao-2d-dense": ModelCard(
        builder=partial(Zhao2d, variant="dense"),
        input="zhao: log-mel rows [251, 128]",
        source=ZHAO_AGAIN,
        parameters=360_391,
        settings=("hidden", "frames"),
    ),
    "zhao-2d-modified": ModelCard(
        builder=partial(Zhao2d, variant="modified"),
        input="zhao: log-mel rows [251, 128]",
        source=ZHAO_AGAIN,
        parameters=656_839,
        settings=("hidden", "frames"),
    ),
    "zhao-1d": ModelCard(
        builder=Zhao1d,
        input="waveform: samples [128000, 1]",
        source=ZHAO,
        parameters=484_423,
        bands=1,
        settings=("hidden", "samples"),
    ),
    "keren-baseline": ModelCard(
        builder=KerenNetwork,
        input="keren: log-mel rows [frames, 26], or egemaps: [frames, 25]",
        source=KEREN,
        parameters=395_365,
        classes=5,
        bands=26,
        other_bands=(25,),
        settings=("task",),
    ),
    "keren-standard": ModelCard(
        builder=partial(KerenNetwork, front_end="standard"),
        input="keren: log-mel rows [frames, 26], or egemaps: [frames, 25]",
        source=KEREN,
        parameters=534_341,
        time_stride=16,
        classes=5,
        bands=26,
        other_bands=(25,),
        settings=("task", "layers"),
    ),
    "keren-clstm": ModelCard(
        builder=partial(KerenNetwork, front_end="clstm"),
        input="keren: log-mel rows [frames, 26], or egemaps: [frames, 25]",
        source=KEREN,
        parameters=602_941,
        time_stride=16,
        classes=5,
        bands=26,
        other_bands=(25,),
        settings=("task", "layers", "sequence", "window", "output_of"),
    ),
    "keren-extended-clstm": ModelCard(
        builder=partial(KerenNetwork, front_end="extended-clstm"),
        input="keren: log-mel rows [frames, 26], or egemaps: [frames, 25]",
        source=KEREN,
        parameters=804_541,
        time_stride=16,
        classes=5,
        bands=26,
        other_bands=(25,),
        settings=("task", "layers", "sequence", "window", "output_of"),
    ),
    "keren-cblstm": ModelCard(
        builder=partial(KerenNetwork, front_end="cblstm", task="age-gender", sequence="output", output_of="cell"),
        input="keren: log-mel rows [frames, 26], or egemaps: [frames, 25]",
        source=KEREN,
        parameters=1_061_776,
        time_stride=4,
        classes=4,
        bands=26,
        other_bands=(25,),
        settings=("task", "layers", "sequence", "window", "output_of"),
    ),
}


def model_card(name: str) -> ModelCard:
    """Return the card of a model; `UnknownNameError` names the nearest one."""
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]


def bands_note(name: str, bands: int) -> str:
    """Say in one line that a model was not published for so many bands; nothing where it was.

    A model refuses bands that its layers cannot read; with others its first layer has another size than the published
    one, and so it has another number of parameters.
    """
    card = model_card(name)
    known = (card.bands, *card.other_bands)
    if bands in known:
        return ""
    return f"{name} was published for {' or '.join(map(str, known))} bands; with {bands} its first layer is another."


def build_model(
    name: str,
    classes: int,
    bands: int,
    *,
    seed: int = 0,
    **settings: Any,  # noqa: ANN401 (each model's own)
) -> nn.Module:
    """Build a model with weights drawn from `seed`.

    The same name, sizes, settings and seed give the same weights, those too that a network leaves to torch's own
    generator, whose state stays as it is.

    Raises
    ------
    UnknownNameError
        If there is no such model or setting.
    SpecError
        If the sizes or settings do not fit the model.
    """
    card = model_card(name)
    for setting in settings:
        if setting not in card.settings:
            raise UnknownNameError(f"setting of {name}", setting, card.settings)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(
            seed
        )  # layers draw weights when they are made; ours replace them afterwards
        try:
            return card.builder(classes, bands, generator=torch.Generator().manual_seed(seed), **settings)
        except (TypeError, ValueError) as error:
            raise SpecError(f"{name}: {error}") from error


def count_parameters(model: nn.Module) -> int:
    """Return the number of learnable values of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def models_table() -> list[dict[str, Any]]:
    """Return name, parameters, input and source of every model, at its published size."""
    return [
        {
            "name": name,
            "parameters": card.parameters,
            "input": card.input,
            "source": card.source,
        }
        for name, card in MODELS.items()
    ]
