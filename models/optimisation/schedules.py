"""The learning rate over a training, and which epochs were better than all before.

A schedule has no state of its own: it reads the history of finished epochs, which is part of every checkpoint, so a
resumed training has the rates of one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from models.training_spec import TrainingSpec

RISES_FROM = 1 / 25
"""Share of the highest rate at which one cycle begins."""
ENDS_AT = RISES_FROM / 10_000
"""Share of the highest rate at which one cycle ends."""


def improvements(history: Sequence[Mapping[str, Any]], monitor: str) -> list[bool]:
    """Return for each finished epoch whether its validation metric is better than all before it.

    Lower is better for `loss`, higher for the others. A tie is not an improvement, and neither is an epoch without a
    value, which is every epoch if the validation side is empty.
    """
    best, found = None, []
    for record in history:
        value = record["validation"][monitor]
        worth = None if value is None else (-value if monitor == "loss" else value)
        found.append(worth is not None and (best is None or worth > best))
        best = worth if found[-1] else best
    return found


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Return the number of the best epoch, the first of equals; 0 if none has a value."""
    return max((number for number, better in enumerate(improvements(history, monitor), 1) if better), default=0)


def stale_epochs(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Return how many epochs passed since the best one."""
    return len(history) - best_epoch(history, monitor)


class ScheduleStep(NamedTuple):
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
        """Finished epochs, with the finished part of this one."""
        return self.epoch - 1 + self.step / max(self.steps, 1)


def constant(spec: TrainingSpec, at: ScheduleStep) -> float:
    """Return 1."""
    return 1.0


def piecewise(spec: TrainingSpec, at: ScheduleStep) -> float:
    """Return `drop_factor` to the power of the drops so far, one after every `drop_epochs` epochs."""
    every = spec.drop_epochs if isinstance(spec.drop_epochs, int) else max(round(spec.epochs * 2 / 3), 1)
    drops = (at.epoch - 1) // every if every else 0
    return float(spec.drop_factor**drops)


def plateau(spec: TrainingSpec, at: ScheduleStep) -> float:
    """Return `drop_factor` to the power of the drops so far: one after `plateau_patience` epochs that were no better.

    They are counted as `patience` counts them, anew after a drop; the best value is kept, as is usual.
    """
    drops = waited = 0
    for better in improvements(at.history, spec.monitor):
        waited = 0 if better else waited + 1
        if waited >= max(spec.plateau_patience, 1):
            drops, waited = drops + 1, 0
    return float(spec.drop_factor**drops)


def cosine(spec: TrainingSpec, at: ScheduleStep) -> float:
    """Return half a cosine wave from 1 after the warm-up down to `least_rate` at the last epoch's end, step by step.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5 without
    restarts.
    """
    least = min(spec.least_rate / spec.learning_rate, 1.0)
    span = max(spec.epochs - spec.warmup_epochs, 1e-9)
    share = min(max((at.epochs_done - spec.warmup_epochs) / span, 0.0), 1.0)
    return least + (1 - least) * (1 + math.cos(math.pi * share)) / 2


def one_cycle(spec: TrainingSpec, at: ScheduleStep) -> float:
    """Return half a cosine wave from 1/25 up to 1 over the first 30 % of all steps, and one down to 1/250,000.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2017, with
    the shape and the constants of `torch.optim.lr_scheduler.OneCycleLR`; momentum stays as it is.
    """
    last = spec.epochs * at.steps - 1
    step, peak = (at.epoch - 1) * at.steps + at.step, 0.3 * (last + 1) - 1
    begin, end, share = (
        (RISES_FROM, 1.0, step / peak) if step <= peak else (1.0, ENDS_AT, (step - peak) / (last - peak))
    )
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: Mapping[str, Callable[[TrainingSpec, ScheduleStep], float]] = {
    "constant": constant,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "piecewise": piecewise,
    "plateau": plateau,
}


DEAD = 0.005
"""Share of the first learning rate below which a training hardly learns."""


def rate_factor(spec: TrainingSpec, at: ScheduleStep) -> float:
    """Return what all first learning rates are multiplied by in a step, 1 at most; linear over the warm-up."""
    factor = SCHEDULES[spec.schedule](spec, at)
    if spec.least_rate:
        factor = max(factor, min(spec.least_rate / spec.learning_rate, 1.0))
    warm_up = spec.warmup_epochs * at.steps
    if warm_up:
        factor *= min(((at.epoch - 1) * at.steps + at.step + 1) / warm_up, 1.0)
    return factor


def rate_note(spec: TrainingSpec) -> str:
    """Return a line about a `piecewise` schedule that ends at a rate at which nothing is learnt; else nothing."""
    warm = replace(spec, warmup_epochs=0)
    factors = [rate_factor(warm, ScheduleStep(epoch, 0, 1)) for epoch in range(1, spec.epochs + 1)]
    if spec.schedule != "piecewise" or factors[-1] >= DEAD:
        return ""
    first = next(epoch for epoch, factor in enumerate(factors, 1) if factor < DEAD)
    return (
        f"the learning rate is {spec.learning_rate * factors[first - 1]:.2g} from epoch {first} of {spec.epochs} on: "
        f"{spec.drop_factor:g} times as much after every {spec.drop_epochs} epochs. drop_epochs = auto lowers it once."
    )
