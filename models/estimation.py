"""Numbers on dimensions such as valence: how outputs of a network stand for them, and how well it estimates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.batches.loader import FeatureView, ViewDataset
from models.errors import TrainingError
from models.evaluation import run_execution
from models.execution import BATCH, Execution, by_length, view_logits
from models.figures import concordance
from models.figures.estimates import Estimates
from models.figures.running_metrics import RunningConcordance
from models.runs.run import Run


@dataclass(frozen=True)
class Dimensions:
    """The dimensions that a run learns, each in deviations from its mean on the training side.

    Mean and deviation are part of the run. A CCC is the same in the unit of the corpus; networks begin with outputs
    near 0.
    """

    described: Mapping[str, Mapping[str, Any]]
    """`mean` and `deviation` of each by its name, in the order of the outputs."""

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(self.described)

    def dataset(self, view: FeatureView) -> ViewDataset:
        """Return a view whose targets are outputs, float32 `[rows, dimensions]`."""
        mean, deviation = self._column("mean"), self._column("deviation")
        return ViewDataset(view, (), torch.from_numpy(((self.truth(view) - mean) / deviation).astype(np.float32)))

    def values(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return outputs `[..., dimensions]` in the unit of the corpus."""
        return outputs * self._column("deviation") + self._column("mean")

    def truth(self, view: FeatureView) -> NDArray[np.float64]:
        """Return the numbers of each row, `[rows, dimensions]`; `TrainingError` if a row lacks one."""
        found = np.stack([view.numbers(name) for name in self.names], axis=1)
        lacking = np.flatnonzero(np.isnan(found).any(axis=1))
        if len(lacking):
            raise TrainingError(
                f"dataset {view.name}: {view.paths[lacking[0]]!r:.120} lacks a number for {' or '.join(self.names)}. "
                "Leave it out."
            )
        return found

    def _column(self, name: str) -> NDArray[np.float64]:
        return np.array([one[name] for one in self.described.values()], np.float64)


def describe_dimensions(view: FeatureView, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return `mean` and `deviation` of each dimension over the rows of a training side.

    `TrainingError` if a row has no number, or all have one.
    """
    truth = Dimensions({name: {} for name in names}).truth(view)
    for name, column in zip(names, truth.T, strict=True):
        if np.ptp(column) == 0:
            raise TrainingError(f"dataset {view.name}: {name} is {column[0]:g} for every training clip.")
    found = {}
    for name, column in zip(names, truth.T, strict=True):
        mean = fsum(column) / len(column)  # exact sums: a run is known by them, on whatever machine
        found[name] = {"mean": mean, "deviation": sqrt(fsum((column - mean) ** 2) / len(column))}
    return found


@dataclass(frozen=True)
class Estimation:
    """What a model estimates of each item of a view, and how good that is."""

    predictions: Estimates

    def figures(self) -> dict[str, float | None]:
        """Return the loss, 1 - CCC, and the CCC, the mean over dimensions; None where there is none."""
        ccc = concordance.figures(self.predictions)["ccc"]
        return {"loss": None if ccc is None else 1 - ccc, "ccc": ccc}

    def summary(self) -> dict[str, Any]:
        """Return the measures of each dimension with their intervals."""
        return concordance.summary(self.predictions)


def estimate(model: nn.Module, view: FeatureView, dimensions: Dimensions, execution: Execution) -> Estimation:
    """Let a model estimate the numbers of all rows of a view; `TrainingError` if an answer is not finite."""
    dataset = dimensions.dataset(view)
    order = [row for batch in by_length(view.frames.tolist(), BATCH) for row in batch]
    found = [outputs for outputs, _ in view_logits(model, dataset, execution)]
    outputs = torch.empty(len(order), len(dimensions.names), dtype=torch.float64)
    if found:
        outputs[order] = torch.cat(found).double().cpu()
    if not torch.isfinite(outputs).all():
        raise TrainingError(f"dataset {view.name}: the model's answers are not numbers: its weights are too large.")
    values = dimensions.values(outputs.numpy())
    return Estimation(Estimates.of(view, dimensions.names, dimensions.truth(view), values))


def estimate_run(run: Run, view: FeatureView, device: str = "auto") -> Estimation:
    """Let a finished run estimate its dimensions for all rows of a view.

    `TrainingError` if the view has other features, or a row without a number to compare with.
    """
    execution = run_execution(run, view, device)
    return estimate(execution.place(run.model), view, Dimensions(run.config.dimensions), execution)


def measure_concordance(
    model: nn.Module, view: FeatureView, dimensions: Dimensions, execution: Execution
) -> RunningConcordance:
    """Sum up how well a model estimates the numbers of all rows of a view."""
    running = RunningConcordance(len(dimensions.names), execution.device)
    for outputs, truth in view_logits(model, dimensions.dataset(view), execution):
        running.add(outputs, truth)
    return running
