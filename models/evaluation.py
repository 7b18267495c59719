"""How well a trained model does on a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from models.batches.loader import FeatureView, ViewDataset
from models.errors import TrainingError
from models.execution import BATCH, Execution, by_length, view_logits
from models.figures import metrics
from models.figures.intervals import intervals
from models.figures.predictions import Predictions, voted
from models.figures.running_metrics import RunningMetrics
from models.optimisation.losses import class_numbers, cross_entropy
from models.runs.run import Run


def class_dataset(view: FeatureView, classes: Sequence[str], target: str = "label") -> ViewDataset:
    """Return a view with class numbers, int64 `[rows]`; for the target `votes` with soft labels (`cross_entropy`)."""
    dataset = ViewDataset(view, classes)
    if target == "votes":
        shares = torch.from_numpy(view.vote_shares(classes))
        return ViewDataset(view, classes, torch.cat([shares, dataset.targets[:, None].float()], dim=1))
    return dataset


def measure_view(model: nn.Module, dataset: ViewDataset, execution: Execution) -> RunningMetrics:
    """Count loss and confusion of a model on all rows of a `class_dataset`."""
    running = RunningMetrics(len(dataset.classes), execution.device)
    for logits, targets in view_logits(model, dataset, execution):
        running.add(cross_entropy(logits, targets), logits, class_numbers(targets))
    return running


@dataclass(frozen=True)
class Evaluation:
    """What a model predicts for each item of a view, and how good that is."""

    loss: float | None
    """Mean cross entropy over rows, with labels or soft labels, whichever were learnt; None without rows."""
    predictions: Predictions
    """One for each row, or for each utterance after a vote."""
    copies: int = 0
    """Copies of an utterance that voted; 0 without a vote."""
    ties: int = 0
    """Utterances whose vote was a tie, broken by the mean probability."""

    @property
    def confusion(self) -> metrics.Confusion:
        """Counts `array [true, predicted]`."""
        return self.predictions.confusion

    def figures(self) -> dict[str, float | None]:
        """Return loss, accuracy and UAR; None where there were no rows."""
        return metrics.tracked(self.confusion, self.loss)

    def summary(self) -> dict[str, Any]:
        """Return accuracy, UAR, macro F1 with their intervals, the metrics of each class and the confusion matrix."""
        vote = {"vote": {"copies": self.copies, "ties": self.ties}} if self.copies else {}
        figures = metrics.summary(self.confusion, self.predictions.classes)
        return {"items": len(self.predictions), **figures, **intervals([self.predictions]), **vote}


def has_copies(view: FeatureView) -> bool:
    """Tell whether a view holds several rows of one recording, which may then vote."""
    return len(set(view.paths)) < len(view)


def evaluate_model(model: nn.Module, dataset: ViewDataset, execution: Execution, *, vote: bool = False) -> Evaluation:
    """Let a model label all rows of a `class_dataset`; with `vote`, the copies of an utterance vote for its class.

    Raises
    ------
    TrainingError
        If an answer is no number, or a vote has one copy of each utterance only.
    """
    view, classes, labels = dataset.view, dataset.classes, class_numbers(dataset.targets)
    order = [row for batch in by_length(view.frames.tolist(), BATCH) for row in batch]
    found = [logits for logits, _ in view_logits(model, dataset, execution)]
    logits = torch.empty(len(order), len(classes), dtype=torch.float64)
    if found:
        logits[order] = torch.cat(found).double().cpu()
    loss = float(cross_entropy(logits, dataset.targets)) if found else None
    if not torch.isfinite(logits).all():
        raise TrainingError(f"dataset {view.name}: the model's answers are not numbers: its weights are too large.")
    rows = Predictions.of(view, classes, labels.numpy(), logits.numpy())
    if not vote:
        return Evaluation(loss, rows)
    answers, ties = voted(rows)
    return Evaluation(loss, answers, round(len(rows) / len(answers)), ties)


def evaluate_run(run: Run, view: FeatureView, device: str = "auto", *, vote: bool = False) -> Evaluation:
    """Let a finished run label all rows of a view.

    Raises
    ------
    TrainingError
        If the view has labels that the run does not know, or other features, or the run estimates dimensions.
    """
    if run.config.dimensions:
        raise TrainingError(f"run {run.folder} estimates {', '.join(run.config.dimensions)}, and labels nothing.")
    unknown = sorted(set(np.unique(view.labels).tolist()) - set(run.config.classes))
    if unknown:
        raise TrainingError(
            f"dataset {view.name} has labels that run {run.folder} does not know ({', '.join(unknown)}); "
            f"its classes are {', '.join(run.config.classes)}. Choose a label scheme that has those."
        )
    execution = run_execution(run, view, device)
    dataset = class_dataset(view, run.config.classes, run.config.training.target)
    return evaluate_model(execution.place(run.model), dataset, execution, vote=vote)


def run_execution(run: Run, view: FeatureView, device: str) -> Execution:
    """Return how a finished run's model is run on a view; `TrainingError` if that has other features."""
    if view.features != run.config.features:
        trained, found = run.config.features.to_dict(), view.features.to_dict()
        names = [name for name in {**trained, **found} if trained.get(name) != found.get(name)]
        difference = ", ".join(f"{name} {found.get(name)} in place of {trained.get(name)}" for name in names)
        raise TrainingError(
            f"dataset {view.name} has other features than run {run.folder} was trained on ({difference}). "
            "Build it with those."
        )
    execution = Execution.of(run.config.model, run.config.settings, run.config.training, device)
    return execution.normalising(run.normalisation)
