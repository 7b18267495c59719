"""What a pass over batches sums up on the device: loss, confusion matrix, gradient norms.

They are read once, at the end: nothing in `add` waits for the device, so a GPU never idles between steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from models.figures import concordance, metrics


class RunningMetrics:
    """Sums over the batches of a pass."""

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

    def figures(self) -> dict[str, float | None]:
        """Return loss, accuracy and UAR; None where there were no rows."""
        confusion = self.confusion
        return metrics.tracked(confusion, float(self.loss) / max(int(confusion.sum()), 1))

    def cleared(self) -> RunningMetrics:
        """Return new sums of the same kind, with nothing counted."""
        return RunningMetrics(self.classes, self.loss.device)

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums, for a checkpoint."""
        return {"loss": self.loss, "cells": self.cells}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up the sums of a checkpoint."""
        self.loss.copy_(tensors["loss"].reshape(()))
        self.cells.copy_(tensors["cells"].reshape(self.cells.shape))


class RunningConcordance:
    """Sums over the batches of a pass in which dimensions are estimated, float64: their moments."""

    def __init__(self, dimensions: int, device: torch.device) -> None:
        self.sums = torch.zeros(dimensions, 6, dtype=torch.float64, device=device)

    def add(self, outputs: Tensor, truth: Tensor) -> None:
        """Count a batch: outputs and truth `[batch, dimensions]`."""
        x, y = truth.double(), outputs.detach().double()
        self.sums += torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], 2).sum(0)

    def figures(self) -> dict[str, float | None]:
        """Return the CCC of all rows, the mean over dimensions, and the loss, 1 - CCC; None where there is none."""
        sums = self.sums.cpu().numpy()
        ccc = float(concordance.measures(sums)[:, 0].mean())
        if np.isnan(ccc) and np.isfinite(sums).all():
            return {"loss": None, "ccc": None}
        return {"loss": 1 - ccc, "ccc": ccc}  # not finite where an answer is not, which ends a training

    def cleared(self) -> RunningConcordance:
        """Return new sums of the same kind, with nothing counted."""
        return RunningConcordance(len(self.sums), self.sums.device)

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums, for a checkpoint."""
        return {"sums": self.sums}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up the sums of a checkpoint."""
        self.sums.copy_(tensors["sums"].reshape(self.sums.shape))


def layer_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the learnable parameters of each layer, by its name: of each module that has some of its own."""
    layers = {
        name or "model": [weights for weights in module.parameters(recurse=False) if weights.requires_grad]
        for name, module in model.named_modules()
    }
    return {name: parameters for name, parameters in layers.items() if parameters}


class GradientNorms:
    """Euclidean norms of the gradient with respect to each layer's parameters, gathered over the steps of an epoch.

    They are taken before clipping and before L2 is added.

    References
    ----------
    Etienne et al., "CNN+LSTM architecture for speech emotion recognition with data augmentation", 2018, figure 3.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = layer_parameters(model)
        device = next(model.parameters()).device
        self.sums = torch.zeros(len(self.layers), dtype=torch.float64, device=device)
        self.steps = 0
        self.last = self.sums.clone()

    @torch.no_grad()
    def add(self) -> None:
        """Count the gradients as they are now."""
        norms = []
        for parameters in self.layers.values():
            gradients = [weights.grad for weights in parameters if weights.grad is not None]
            norms.append(get_total_norm(gradients) if gradients else parameters[0].new_zeros(()))
        self.last = torch.stack(norms).double()
        self.sums += self.last
        self.steps += 1

    def latest(self) -> list[float]:
        """Return each layer's norm in the last step."""
        values: list[float] = self.last.tolist()
        return values

    def means(self) -> dict[str, float]:
        """Return each layer's mean over the steps."""
        return dict(zip(self.layers, (self.sums / max(self.steps, 1)).tolist(), strict=True))

    def clear(self) -> None:
        """Begin a new epoch."""
        self.sums.zero_()
        self.steps = 0

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums, for a checkpoint."""
        return {"sums": self.sums, "steps": torch.tensor(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the sums of a checkpoint."""
        self.sums.copy_(tensors["sums"].reshape(self.sums.shape))
        self.steps = int(tensors["steps"])
