"""What a trained model is worth on a view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from models import metrics
from models.data import FeatureView, ViewDataset
from models.execution import Execution, by_length
from models.runs import Run
from models.tally import Tally

BATCH = 32


@torch.no_grad()
def view_logits(model: nn.Module, dataset: ViewDataset, execution: Execution) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits `[batch, classes]` and labels `[batch]` of all rows, shortest clips first."""
    model.eval()
    order = by_length(dataset.view.frames.tolist(), BATCH)
    with closing(execution.feed(dataset, order)) as feed:
        for batch in feed:
            yield execution.logits(model, batch), batch.labels


def tally_view(model: nn.Module, view: FeatureView, classes: Sequence[str], execution: Execution) -> Tally:
    """Count loss and confusion of a model on all rows of a view."""
    tally = Tally(len(classes), execution.device)
    for logits, labels in view_logits(model, ViewDataset(view, classes), execution):
        tally.add(F.cross_entropy(logits, labels), logits, labels)
    return tally


def evaluate(run: Run, view: FeatureView, device: str = "auto") -> dict[str, Any]:
    """Return loss, accuracy, UAR, macro F1, the figures of each class and the confusion matrix of a run on a view."""
    execution = Execution.of(run.config.model, run.config.settings, run.config.training, device)
    tally = tally_view(execution.place(run.model), view, run.config.classes, execution)
    return {"loss": tally.figures()["loss"], **metrics.summary(tally.confusion, run.config.classes)}
