"""What a training learns, and how its answers are judged: classes, or numbers on dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from featurestore.corpus.splits.leakage import class_notes
from models.batches.loader import FeatureView, Sides, ViewDataset
from models.estimation import Dimensions, Estimation, estimate, measure_concordance
from models.evaluation import Evaluation, class_dataset, evaluate_model, has_copies, measure_view
from models.execution import Execution
from models.figures.running_metrics import RunningConcordance, RunningMetrics
from models.optimisation.losses import ConcordanceLoss, Losses, class_numbers, make_loss
from models.reports.plots import estimates_figure, write_confusion, write_figure
from models.runs.run import RunConfig
from models.training_spec import TrainingSpec


class Objective(Protocol):
    """What a model learns."""

    def dataset(self, view: FeatureView) -> ViewDataset:
        """Return a view with the targets of its rows."""

    def loss(self, spec: TrainingSpec, data: ViewDataset) -> nn.Module:
        """Return the loss of a training on some data, called with outputs and targets of a batch."""

    def running(self, device: torch.device) -> RunningMetrics | RunningConcordance:
        """Return what sums up the measures of a pass."""

    def count(self, running: Any, losses: Losses, outputs: Tensor, targets: Tensor) -> None:  # noqa: ANN401 (as of `running`)
        """Count a batch of a pass."""

    def notes(self, sides: Sides) -> list[str]:
        """Return what there is to say about the targets of the sides."""

    def measure(self, model: nn.Module, view: FeatureView, execution: Execution) -> dict[str, float | None]:
        """Return the tracked figures of a model on a view."""

    def judge(self, model: nn.Module, view: FeatureView, execution: Execution) -> Evaluation | Estimation:
        """Let a model answer all rows of a view."""

    def draw(self, judged: Any, side: str, folder: Path) -> None:  # noqa: ANN401 (what `judge` returned)
        """Draw the answers to a side into a run folder."""


def objective_of(config: RunConfig) -> Objective:
    """Return what a run learns."""
    if config.dimensions:
        return Regression(Dimensions(config.dimensions))
    return Classification(config.classes, config.training.target)


@dataclass(frozen=True)
class Classification:
    """One class for each clip, by cross entropy with labels or soft labels; copies of an utterance vote."""

    classes: tuple[str, ...]
    target: str
    """`label` or `votes`."""

    def dataset(self, view: FeatureView) -> ViewDataset:
        """Return a view with class numbers or soft labels."""
        return class_dataset(view, self.classes, self.target)

    def loss(self, spec: TrainingSpec, data: ViewDataset) -> nn.Module:
        """Return the cross entropy."""
        return make_loss(spec, self.classes, data.targets)

    def running(self, device: torch.device) -> RunningMetrics:
        """Return what sums up loss and confusion."""
        return RunningMetrics(len(self.classes), device)

    def count(self, running: RunningMetrics, losses: Losses, outputs: Tensor, targets: Tensor) -> None:
        """Count loss and answers of a batch."""
        running.add(losses.plain, outputs, class_numbers(targets))

    def notes(self, sides: Sides) -> list[str]:
        """Name the classes that a side lacks."""
        return class_notes({side: set(view.labels.tolist()) for side, view in sides._asdict().items()}, self.classes)

    def measure(self, model: nn.Module, view: FeatureView, execution: Execution) -> dict[str, float | None]:
        """Return loss, accuracy and UAR."""
        return measure_view(model, self.dataset(view), execution).figures()

    def judge(self, model: nn.Module, view: FeatureView, execution: Execution) -> Evaluation:
        """Let a model label all rows of a view."""
        return evaluate_model(model, self.dataset(view), execution, vote=has_copies(view))

    def draw(self, judged: Evaluation, side: str, folder: Path) -> None:
        """Draw the confusion matrix."""
        write_confusion(judged.confusion, self.classes, side, folder / f"confusion-{side}")


@dataclass(frozen=True)
class Regression:
    """Numbers on dimensions, by 1 - CCC."""

    dimensions: Dimensions

    def dataset(self, view: FeatureView) -> ViewDataset:
        """Return a view with standardised numbers."""
        return self.dimensions.dataset(view)

    def loss(self, spec: TrainingSpec, data: ViewDataset) -> nn.Module:
        """Return 1 - CCC."""
        return ConcordanceLoss()

    def running(self, device: torch.device) -> RunningConcordance:
        """Return what sums up the CCC."""
        return RunningConcordance(len(self.dimensions.names), device)

    def count(self, running: RunningConcordance, losses: Losses, outputs: Tensor, targets: Tensor) -> None:
        """Count the estimates of a batch; the loss of all batches follows from their sums."""
        running.add(outputs, targets)

    def notes(self, sides: Sides) -> list[str]:
        """Return nothing: there are no classes that a side could lack."""
        return []

    def measure(self, model: nn.Module, view: FeatureView, execution: Execution) -> dict[str, float | None]:
        """Return loss and mean CCC."""
        return measure_concordance(model, view, self.dimensions, execution).figures()

    def judge(self, model: nn.Module, view: FeatureView, execution: Execution) -> Estimation:
        """Let a model estimate the numbers of all rows of a view."""
        return estimate(model, view, self.dimensions, execution)

    def draw(self, judged: Estimation, side: str, folder: Path) -> None:
        """Draw estimates over the truth."""
        write_figure(estimates_figure(judged.predictions, side), folder / f"estimates-{side}")
