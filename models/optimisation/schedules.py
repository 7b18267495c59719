"""The learning rate over a training, as a function of the step and of what validation said so far.

A schedule has no state of its own: it reads the history of finished epochs, which stands in every checkpoint, so a
training that was interrupted goes on with the rates of an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from models.optimisation.monitoring import improvements
from models.training_spec import TrainingSpec


class Moment(NamedTuple):
    """When a rate is asked for."""

    epoch: int
    """The first is 1."""
    step: int
    """Steps done in this epoch."""
    steps: int
    """Steps of an epoch."""
    history: Sequence[Mapping[str, Any]] = ()
    """The line of each finished epoch."""

    @property
    def epochs_done(self) -> float:
        """Epochs that lie behind, with the part of this one."""
        return self.epoch - 1 + self.step / max(self.steps, 1)


def constant(spec: TrainingSpec, moment: Moment) -> float:
    """Return 1."""
    return 1.0


def piecewise(spec: TrainingSpec, moment: Moment) -> float:
    """Return `drop_factor` to the power of the drops so far, one after every `drop_epochs` epochs."""
    drops = (moment.epoch - 1) // spec.drop_epochs if spec.drop_epochs else 0
    return float(spec.drop_factor**drops)


def plateau(spec: TrainingSpec, moment: Moment) -> float:
    """Return `drop_factor` to the power of the drops so far: one when `monitor` was no better for long enough.

    The count of epochs begins anew after a drop, and the best value stands, as is usual.
    """
    drops = waited = 0
    for better in improvements(moment.history, spec.monitor):
        waited = 0 if better else waited + 1
        if waited > spec.plateau_patience:
            drops, waited = drops + 1, 0
    return float(spec.drop_factor**drops)


def cosine(spec: TrainingSpec, moment: Moment) -> float:
    """Return half a cosine wave from 1 after the warm-up down to `least_rate` at the last epoch's end, step by step.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5 without
    restarts.
    """
    least = min(spec.least_rate / spec.learning_rate, 1.0)
    span = max(spec.epochs - spec.warmup_epochs, 1e-9)
    share = min(max((moment.epochs_done - spec.warmup_epochs) / span, 0.0), 1.0)
    return least + (1 - least) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: Mapping[str, Callable[[TrainingSpec, Moment], float]] = {
    "constant": constant,
    "cosine": cosine,
    "piecewise": piecewise,
    "plateau": plateau,
}


def rate_factor(spec: TrainingSpec, moment: Moment) -> float:
    """Return what all first learning rates are multiplied by in a step; 1 at most."""
    factor = SCHEDULES[spec.schedule](spec, moment)
    if spec.least_rate:
        factor = max(factor, min(spec.least_rate / spec.learning_rate, 1.0))
    return factor * warm_up(spec, moment)


def warm_up(spec: TrainingSpec, moment: Moment) -> float:
    """Return the straight line up to 1 at the last step of the warm-up; 1 after it."""
    steps = spec.warmup_epochs * moment.steps
    done = (moment.epoch - 1) * moment.steps + moment.step
    return min((done + 1) / steps, 1.0) if steps else 1.0
