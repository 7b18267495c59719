"""The models by name: a new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from featurestore.errors import SpecError, UnknownNameError
from models.mathworks import TIME_STRIDE, MathworksCnnLstm


@dataclass(frozen=True)
class ModelCard:
    """What is to be known about a model without building it."""

    builder: Callable[..., nn.Module]
    """Called with classes, bands, the model's own settings and `generator`."""
    input: str
    """The features it expects, in words."""
    source: str
    """Where it was published."""
    time_stride: int = 1
    """Frames for each step of the recurrent part; left padding is rounded up to multiples of it."""
    classes: int = 7
    """Classes of the published model, for its parameter count."""
    bands: int = 128
    """Bands of the published model."""
    settings: tuple[str, ...] = ()
    """Names of the model's own settings."""


MODELS: Mapping[str, ModelCard] = {
    "mathworks-cnn-lstm": ModelCard(
        builder=MathworksCnnLstm,
        input="log-mel [frames, 128]",
        source="MathWorks, Sequence Classification Using CNN-LSTM Network",
        time_stride=TIME_STRIDE,
        settings=("plain_padding",),
    ),
}


def model_card(name: str) -> ModelCard:
    """Return the card of a model; `UnknownNameError` names the nearest one."""
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]


def build_model(
    name: str,
    classes: int,
    bands: int,
    *,
    seed: int = 0,
    **settings: Any,  # noqa: ANN401 (each model's own)
) -> nn.Module:
    """Build a model with weights drawn from `seed`.

    The same name, sizes, settings and seed give the same weights; the state of torch's own generator stays as it is.

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
    with torch.random.fork_rng(devices=[]):  # layers draw weights when they are made, before ours replace them
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
            "parameters": count_parameters(build_model(name, card.classes, card.bands)),
            "input": card.input,
            "source": card.source,
        }
        for name, card in MODELS.items()
    ]
