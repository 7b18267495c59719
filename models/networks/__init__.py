"""The networks by name: every file of this folder lists its own under `NETWORKS`.

A network is built from the number of `classes`, the `bands` of its features, settings of its own and a `generator` that
draws its first weights (None: one seeded with 0). Called with `features [batch, frames, bands]`, float32, and `lengths`
and `starts`, int64 `[batch]` on the CPU, which say how many frames of each clip are real and where they begin (None: at
0), it returns logits `[batch, classes]`. The values of padded frames do not matter. Its class describes its own
settings under `Parameters`, where `featurestore fields` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import torch
from torch import nn

from featurestore.errors import SpecError, UnknownNameError


@dataclass(frozen=True)
class ModelCard:
    """What there is to know about a model without building it."""

    builder: Callable[..., nn.Module]
    """Called with classes, bands, the network's own settings and `generator`."""
    input: str
    """The features it expects, in words, with the name of their preset."""
    source: str
    """Where it was published."""
    parameters: int
    """Learnable values of the published model; stated here, so that listing the models builds none."""
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
    """Names of the network's own settings."""
    probabilities: bool = False
    """Whether it answers with (log) probabilities, which no number on a dimension can be."""


def published() -> dict[str, ModelCard]:
    """Return the `NETWORKS` of every file of this folder; a file without is an error that names it."""
    files = [import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__)]
    return {name: card for file in files for name, card in file.NETWORKS.items()}


MODELS: Mapping[str, ModelCard] = published()


def model_card(name: str) -> ModelCard:
    """Return the card of a model; `UnknownNameError` names the nearest one."""
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    return MODELS[name]


def bands_note(name: str, bands: int) -> str:
    """Return a note on the bands that a model was published for; empty if this is one of those numbers.

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
    regression: bool = False,
    **settings: Any,  # noqa: ANN401 (each model's own)
) -> nn.Module:
    """Build a model with weights drawn from `seed`.

    With `regression`, its outputs are numbers and not the scores of classes, and one is enough.

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
    if regression and (card.probabilities or settings.get("softmax")):
        raise SpecError(f"{name} answers with probabilities of classes: choose another network to learn dimensions.")
    if classes < 2 and not regression:
        raise SpecError(f"{name} needs 2 classes or more to tell apart, not {classes}.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # layers draw weights when they are made; ours replace them later
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
        {"name": name, "parameters": card.parameters, "input": card.input, "source": card.source}
        for name, card in MODELS.items()
    ]
