"""The loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import UnknownNameError
from models.training_spec import TrainingSpec


class Losses(NamedTuple):
    """What a batch costs; each is a scalar on the device."""

    objective: Tensor
    """The weighted mean over the batch that is minimised."""
    weight: Tensor
    """Sum of the class weights of the batch: what `objective` was divided by."""
    plain: Tensor
    """Mean cross entropy without weights and smoothing, detached: the loss that is reported, so that the figures of
    training, validation and test are of one measure."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy of logits `[batch, classes]` with class numbers `[batch]`, or with soft labels.

    Soft labels are `[batch, classes + 1]`: the share of the voices that each class got, and last the class number.
    """
    return F.cross_entropy(logits, targets if targets.ndim == 1 else targets[:, :-1].to(logits.dtype))


def class_numbers(targets: Tensor) -> Tensor:
    """Return the class numbers, int64 `[batch]`, of targets that `cross_entropy` takes."""
    return targets if targets.ndim == 1 else targets[:, -1].long()


class ClassificationLoss(nn.Module):
    """Cross entropy of logits.

    The mean is over class weights: `sum w[y] ce / sum w[y]`, so a batch of one class weighs as much as any other.

    Parameters
    ----------
    weights : Tensor or None
        Weight of each class `[classes]`; None weighs all alike.
    smoothing : float
        Share of the target that is spread over all classes.

    References
    ----------
    Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016, section 7, for label
    smoothing.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.smoothing = smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Losses:
        """Return the losses of logits `[batch, classes]` and class numbers `[batch]`; nothing waits for the device.

        Without weights and smoothing it takes soft labels too, see `cross_entropy`.
        """
        if self.weights is None and not self.smoothing:
            plain = cross_entropy(logits, labels)
            return Losses(plain, logits.new_full((), len(labels)), plain.detach())
        objective = F.cross_entropy(logits, labels, self.weights, label_smoothing=self.smoothing)
        weight = logits.new_full((), len(labels)) if self.weights is None else self.weights[labels].sum()
        return Losses(objective, weight, F.cross_entropy(logits.detach(), labels))


class ConcordanceLoss(nn.Module):
    """1 - CCC of a batch, the mean over dimensions; see `models.figures.concordance` for the formula and its source.

    Numbers may have any unit that both share: the CCC of `a x + b` and `a y + b` is that of x and y.
    """

    least = 1e-8
    """Added to the denominator, which is 0 where a batch has one number only and all of it is estimated right."""

    def forward(self, outputs: Tensor, truth: Tensor) -> Losses:
        """Return the losses of outputs and truth `[batch, dimensions]`; nothing waits for the device."""
        mean, true_mean = outputs.mean(0), truth.mean(0)
        covariance = ((outputs - mean) * (truth - true_mean)).mean(0)
        variances = (outputs - mean).square().mean(0) + (truth - true_mean).square().mean(0)
        objective = 1 - (2 * covariance / (variances + (mean - true_mean).square() + self.least)).mean()
        return Losses(objective, objective.new_full((), len(outputs)), objective.detach())


def make_loss(spec: TrainingSpec, classes: Sequence[str], targets: Tensor) -> ClassificationLoss:
    """Return the loss of a spec for a training side with the class numbers `targets`."""
    return ClassificationLoss(class_weights(spec, classes, targets), spec.label_smoothing)


def class_weights(spec: TrainingSpec, classes: Sequence[str], targets: Tensor) -> Tensor | None:
    """Return the weight of each class, float32 `[classes]`; None where all weigh alike.

    `balanced` weights are `rows / (classes that occur * rows of the class)`; 1 for a class that does not occur.

    Raises
    ------
    UnknownNameError
        If the table names a label that is none of the classes.
    """
    if spec.class_weights == "none":
        return None
    if spec.class_weights == "balanced":  # so the mean weight of a row is 1, and each class weighs the same in an epoch
        counts = torch.bincount(targets, minlength=len(classes)).double()
        balanced = counts.sum() / (counts > 0).sum() / counts
        return torch.where(counts > 0, balanced, 1.0).float()
    table: Mapping[str, float] = dict(spec.class_weights)  # type: ignore[arg-type]
    for label in table:
        if label not in classes:
            raise UnknownNameError("label in class_weights", label, classes)
    return torch.tensor([table.get(label, 1.0) for label in classes])
