"""Loss and confusion matrix gathered over batches on the device, read once at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.figures import metrics


class RunningMetrics:
    """Sums over the batches of a pass.

    Nothing in `add` waits for the device, so a GPU never idles between steps.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self.classes = classes
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.cells = torch.zeros(classes * classes, dtype=torch.int64, device=device)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: mean loss, logits `[batch, classes]`, labels `[batch]`."""
        self.loss += loss.detach() * len(labels)
        cells = labels * self.classes + logits.detach().argmax(1)
        self.cells.scatter_add_(0, cells, torch.ones_like(cells))

    @property
    def confusion(self) -> metrics.Confusion:
        """Counts `array [true, predicted]`."""
        counts: metrics.Confusion = self.cells.cpu().numpy().reshape(self.classes, self.classes).astype(np.int64)
        return counts

    def figures(self) -> dict[str, Any]:
        """Return loss, accuracy and UAR; None where there were no rows."""
        confusion = self.confusion
        rows = int(confusion.sum())
        if not rows:
            return {"loss": None, "accuracy": None, "uar": None}
        return {
            "loss": float(self.loss) / rows,
            "accuracy": metrics.accuracy(confusion),
            "uar": metrics.uar(confusion),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums, for a checkpoint."""
        return {"loss": self.loss, "cells": self.cells}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from the sums of a checkpoint."""
        self.loss.copy_(tensors["loss"].reshape(()))
        self.cells.copy_(tensors["cells"].reshape(self.cells.shape))
