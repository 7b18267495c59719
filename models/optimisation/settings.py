"""How a model's weights are moved: optimiser, schedule and loss, as the part of a training spec that has a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.typed_values import LARGEST_NUMBER, shown_value

LARGEST_COUNT = 2**31 - 1
"""The largest whole number of a setting; nobody trains so long, and sums of such numbers fit into 64 bits."""
MONITORS = ("loss", "accuracy", "uar")
"""Figures of the validation side that can be watched."""
MODULE_FIELDS = ("learning_rate", "momentum", "beta")
"""What a module can have of its own."""
TABLES = ("modules", "class_weights")
"""Fields that are, or can be, tables: `--set modules.recurrent.learning_rate=0.01` reaches into them."""
OPTIMISATION_CHOICES = {
    "optimiser": ("adam", "sgd", "sgd-beta"),
    "schedule": ("piecewise", "plateau", "cosine", "constant"),
    "keep_monitor": ("", *MONITORS),
}


@dataclass(frozen=True, slots=True)
class OptimisationSettings:
    """Optimiser, schedule, loss and what is recorded of the gradient.

    All of these came after the first runs, so `TrainingSpec.decisive` names them only where they are used.
    """

    optimiser: str = "adam"
    """`adam`, `sgd` (with `momentum`) or `sgd-beta`: Etienne et al. 2018, equation 6, with `momentum` and `beta`."""
    adam_beta1: float = 0.9
    """Adam's decay of the mean gradient."""
    adam_beta2: float = 0.999
    """Adam's decay of the mean squared gradient."""
    adam_eps: float = 1e-8
    """Added to the denominator of Adam's step."""
    momentum: float = 0.9
    """Of both SGDs; 0 is plain SGD."""
    nesterov: bool = False
    """Nesterov's form of `sgd`: the gradient counts once more on top of the velocity."""
    beta: float = 1.0
    """The `b` of equation 6, `w = w - b v`: a factor of the step that the velocity does not accumulate."""
    modules: dict[str, dict[str, float]] = field(default_factory=dict, hash=False)
    """`learning_rate`, `momentum` or `beta` of single modules, by their name in the model, such as `recurrent` or
    `blocks.0`; the innermost name counts. Schedules act on all rates in proportion."""
    schedule: str = "piecewise"
    """`piecewise` (`drop_factor` after every `drop_epochs`), `plateau` (`drop_factor` after `plateau_patience` epochs
    without a better `monitor`), `cosine` (a half wave down to `least_rate`) or `constant`."""
    plateau_patience: int = 3
    """`plateau` lowers the rate after this many epochs without a better `monitor`, and at the first for 0."""
    least_rate: float = 0.0
    """The schedule goes no lower."""
    warmup_epochs: int = 0
    """The rate rises in a straight line, step by step, over this many epochs first."""
    keep_monitor: str = ""
    """What `keep = "best"` goes by where that is not `monitor`, which then only stops: `loss`, `accuracy`, `uar`."""
    class_weights: str | dict[str, float] = field(default="none", hash=False)
    """Weights of the classes in the loss: `none`, `balanced` (inverse frequency over the training side) or a table of
    labels; one that it leaves out has weight 1."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    gradient_norms: bool = False
    """Record the norm of every layer's gradient. It changes no result."""


def check_optimisation(spec: OptimisationSettings) -> None:
    """Raise `SpecError` if a number makes no sense, `UnknownNameError` for an unknown field of a table."""
    decays = (spec.adam_beta1, spec.adam_beta2, spec.momentum)
    epochs = (spec.plateau_patience, spec.warmup_epochs)
    rules = (
        (min(decays) >= 0 and max(decays) < 1, "adam_beta1, adam_beta2 and momentum must lie within 0 and 1"),
        (spec.adam_eps > 0 and spec.beta > 0, "adam_eps and beta must be above 0"),
        (not spec.nesterov or spec.momentum > 0, "nesterov needs momentum"),
        (min(epochs) >= 0, "plateau_patience and warmup_epochs must not be negative"),
        (spec.least_rate >= 0, "least_rate must not be negative"),
        (0 <= spec.label_smoothing < 1, "label_smoothing must lie within 0 and 1"),
    )
    for holds, rule in rules:
        if not holds:
            raise SpecError(f"training: {rule}.")
    _check_modules(spec.modules, spec.optimiser)
    _check_class_weights(spec.class_weights)
    _settle_tables(spec)


def _settle_tables(spec: OptimisationSettings) -> None:
    """Copy the tables, all numbers as floats: `1` and `1.0` are one setting, and the caller's table may change."""
    modules = {name: {key: float(value) for key, value in own.items()} for name, own in spec.modules.items()}
    object.__setattr__(spec, "modules", modules)
    if not isinstance(spec.class_weights, str):
        weights = {label: float(weight) for label, weight in spec.class_weights.items()}
        object.__setattr__(spec, "class_weights", weights)


def _check_modules(modules: Any, optimiser: str) -> None:  # noqa: ANN401 (what a recipe may hold)
    if not isinstance(modules, Mapping):
        raise SpecError(f"training: modules must be a table of modules, not {shown_value(modules)}.")
    for name, own in modules.items():
        if not isinstance(own, Mapping):
            raise SpecError(
                f"training: modules.{name} must be a table such as {{learning_rate = 0.01}}, not {shown_value(own)}."
            )
        for key, value in own.items():
            if key not in MODULE_FIELDS:
                raise UnknownNameError(f"field of modules.{name}", key, MODULE_FIELDS)
            _check_module_value(f"modules.{name}.{key}", key, value)
        _check_used(name, own, optimiser)


def _check_module_value(place: str, key: str, value: Any) -> None:  # noqa: ANN401 (what a recipe may hold)
    upper = 1 if key == "momentum" else 100
    if not _is_number(value) or not 0 <= value < upper:
        raise SpecError(f"training: {place} must be a number from 0 to {upper}, not {shown_value(value)}.")


def _check_used(name: str, own: Mapping[str, float], optimiser: str) -> None:
    users = {"momentum": ("sgd", "sgd-beta"), "beta": ("sgd-beta",)}
    for key, optimisers in users.items():
        if key in own and optimiser not in optimisers:
            raise SpecError(
                f"training: modules.{name}.{key} needs optimiser {' or '.join(optimisers)}, not {optimiser}: "
                f"set optimiser or leave it out."
            )


def _check_class_weights(weights: Any) -> None:  # noqa: ANN401 (what a recipe may hold)
    if isinstance(weights, Mapping):
        for label, weight in weights.items():
            if not _is_number(weight) or weight <= 0:
                raise SpecError(f"training: class_weights.{label} must be a number above 0, not {shown_value(weight)}.")
    elif weights not in ("none", "balanced"):
        raise UnknownNameError("class_weights", str(weights), ("none", "balanced"), "Or give a table of labels.")


def _is_number(value: Any) -> bool:  # noqa: ANN401
    """Tell whether a value is a finite number that fits into 64 bits."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and (abs(value) <= LARGEST_NUMBER if isinstance(value, int) else math.isfinite(value))


def changed_fields(spec: OptimisationSettings) -> set[str]:
    """Return the fields of this part whose values are not the defaults."""
    plain = OptimisationSettings()
    return {item.name for item in dataclasses.fields(plain) if getattr(spec, item.name) != getattr(plain, item.name)}


def with_setting(training: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON value)
    """Return training fields with one changed; a dotted key reaches into a table.

    `modules.recurrent.layers.0.learning_rate` is the field `learning_rate` of the module `recurrent.layers.0`.
    """
    name, _, inner = key.partition(".")
    if not inner:
        return {**training, name: value}
    table = training.get(name)
    before: dict[str, Any] = dict(table) if isinstance(table, Mapping) else {}
    module, _, field_name = inner.rpartition(".")
    if name == "modules" and module:
        own = before.get(module)
        return {**training, name: {**before, module: {**(own if isinstance(own, Mapping) else {}), field_name: value}}}
    return {**training, name: {**before, inner: value}}
