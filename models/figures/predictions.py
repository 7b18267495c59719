"""What a model predicts for each item, and one answer for an utterance from several copies of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum

import numpy as np
from numpy.typing import NDArray

from models.batches.loader import FeatureView
from models.errors import CheckpointError, TrainingError
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
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return cls(
            tuple(classes),
            tuple(view.paths),
            np.asarray(view.copies, np.int64),
            tuple(view.speakers),
            tuple(view.contents),
            labels,
            logits.argmax(axis=1),
            powers / powers.sum(axis=1, keepdims=True),
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


@dataclass(frozen=True)
class Vote:
    """The answer for each utterance."""

    paths: tuple[str, ...]
    """Utterances, sorted."""
    first: NDArray[np.int64]
    """Position of the first copy of each utterance among the rows `[utterances]`."""
    predicted: NDArray[np.int64]
    """Class numbers `[utterances]`."""
    probabilities: NDArray[np.float64]
    """Mean over an utterance's copies, `[utterances, classes]`."""
    counts: NDArray[np.int64]
    """Votes `[utterances, classes]`."""

    @property
    def ties(self) -> int:
        """Utterances whose vote was a tie, which the mean probability broke."""
        highest = self.counts.max(axis=1, initial=0)[:, None]
        return int(((self.counts == highest).sum(axis=1) > 1).sum())


def vote(paths: Sequence[str], probabilities: NDArray[np.float64]) -> Vote:
    """Let the copies of each utterance vote for its class, as at test time of Etienne et al. (2018).

    Each copy votes for its likeliest class. A tie is broken by the mean probability over all copies of the utterance,
    among the classes that tie; where that is equal too, the class of the lowest number wins. The order of the rows
    changes nothing.

    Parameters
    ----------
    paths : sequence of str
        Utterance of each row; rows of one utterance need not be adjacent.
    probabilities : array [rows, classes]

    Examples
    --------
    >>> vote(["a", "a", "a"], np.array([[0.7, 0.3], [0.7, 0.3], [0.0, 1.0]])).predicted.tolist()
    [0]
    """
    names, first, place = np.unique(np.array(paths, dtype=object), return_index=True, return_inverse=True)
    counts = np.zeros((len(names), probabilities.shape[1]), np.int64)
    np.add.at(counts, (place, probabilities.argmax(axis=1)), 1)
    copies: list[list[list[float]]] = [[] for _ in names]
    for utterance, shares in zip(place.tolist(), probabilities.tolist(), strict=True):
        copies[utterance].append(shares)
    # fsum rounds once, so that no order of the copies can break a tie of their mean probabilities
    sums = np.array([[fsum(column) for column in zip(*rows, strict=True)] for rows in copies], np.float64)
    means = sums.reshape(counts.shape) / np.bincount(place, minlength=len(names))[:, None]
    leading = counts == counts.max(axis=1, keepdims=True, initial=0)
    predicted = np.where(leading, means, -1.0).argmax(axis=1)
    return Vote(tuple(names.tolist()), first, predicted, means, counts)


def voted(predictions: Predictions) -> tuple[Predictions, int]:
    """Return one prediction for each utterance, as copy 0, and the number of ties.

    Raises
    ------
    TrainingError
        If no utterance has more than one copy, or the copies of one have different labels.
    """
    outcome = vote(predictions.paths, predictions.probabilities)
    if len(outcome.paths) == len(predictions):
        raise TrainingError(
            "a vote needs several copies of each test item: build the dataset with '--augment N' and name it with "
            "'--dataset'."
        )
    one = predictions.take(outcome.first.tolist())
    position = {path: place for place, path in enumerate(outcome.paths)}
    places = np.array([position[path] for path in predictions.paths])
    if (one.labels[places] != predictions.labels).any():
        raise TrainingError("copies of one utterance have different labels: their votes cannot be counted.")
    copies = np.zeros(len(one), np.int64)
    return replace(one, copies=copies, predicted=outcome.predicted, probabilities=outcome.probabilities), outcome.ties
