"""What a model predicts for each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data import FeatureView
from models.errors import CheckpointError
from models.figures import metrics


@dataclass(frozen=True)
class Predictions:
    """Items with what they are and what a model said, in the order of a view."""

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    copies: NDArray[np.int64]
    """Copy index of each item."""
    speakers: tuple[str | None, ...]
    contents: tuple[str, ...]
    """The sha256 of each item's recording."""
    labels: NDArray[np.int64]
    """True class numbers `[items]`."""
    predicted: NDArray[np.int64]
    """Class numbers `[items]`."""
    probabilities: NDArray[np.float64]
    """`[items, classes]`."""

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, view: FeatureView, classes: Sequence[str], labels: NDArray[np.int64], logits: NDArray[np.float64]
    ) -> Predictions:
        """Put a view's items and a model's logits `[items, classes]` together."""
        return cls(
            tuple(classes),
            tuple(view.paths),
            np.asarray(view.copies, np.int64),
            tuple(view.speakers),
            tuple(view.contents),
            labels,
            logits.argmax(axis=1),
            softmax(logits),
        )

    @property
    def confusion(self) -> metrics.Confusion:
        """Counts `array [true, predicted]`."""
        return metrics.confusion_matrix(self.labels, self.predicted, len(self.classes))

    @property
    def items(self) -> list[tuple[str, int, str, str]]:
        """Path, copy, recording and true label of each item: what makes two items the same."""
        names = [self.classes[label] for label in self.labels.tolist()]
        return list(zip(self.paths, self.copies.tolist(), self.contents, names, strict=True))

    def take(self, places: Sequence[int]) -> Predictions:
        """Return some items, in the order given."""
        order = np.asarray(places, np.int64)
        return Predictions(
            self.classes,
            tuple(self.paths[place] for place in order),
            self.copies[order],
            tuple(self.speakers[place] for place in order),
            tuple(self.contents[place] for place in order),
            self.labels[order],
            self.predicted[order],
            self.probabilities[order],
        )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities `[items, classes]` of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Put the items of several folds into one; `CheckpointError` if their classes differ."""
    if len({part.classes for part in parts}) != 1:
        raise CheckpointError("the folds have different classes: their predictions cannot be pooled.")
    return Predictions(
        parts[0].classes,
        tuple(path for part in parts for path in part.paths),
        np.concatenate([part.copies for part in parts]),
        tuple(speaker for part in parts for speaker in part.speakers),
        tuple(content for part in parts for content in part.contents),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "predicted", "probabilities")),
    )
