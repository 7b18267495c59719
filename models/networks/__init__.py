"""The networks: each file lists under `NETWORKS` those that it holds, and `models.registry` finds them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ModelCard:
    """What there is to know about a model without building it."""

    builder: Callable[..., nn.Module]
    """Called with classes, bands, the model's own settings and `generator`."""
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
    """Names of the model's own settings."""
