"""One answer for an utterance from several copies of it: the majority vote at test time of Etienne et al. (2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from models.figures.predictions import Predictions, softmax


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


def vote(paths: Sequence[str], logits: NDArray[Any]) -> Vote:
    """Let the copies of each utterance vote for its class.

    Each copy votes for its likeliest class. A tie is broken by the mean probability over all copies of the utterance,
    among the classes that tie; where that is equal too, the class of the lowest number wins. The order of the rows
    changes nothing.

    Parameters
    ----------
    paths : sequence of str
        Utterance of each row; rows of one utterance need not stand together.
    logits : array [rows, classes]

    Examples
    --------
    >>> vote(["a", "a", "a"], np.array([[2.0, 1.0], [2.0, 1.0], [0.0, 9.0]])).predicted.tolist()
    [0]
    """
    return vote_shares(paths, softmax(np.asarray(logits, np.float64)))


def vote_shares(paths: Sequence[str], probabilities: NDArray[np.float64]) -> Vote:
    """Let copies vote by their probabilities `[rows, classes]`; see `vote`."""
    names, first, place = np.unique(np.array(paths, dtype=object), return_index=True, return_inverse=True)
    counts = np.zeros((len(names), probabilities.shape[1]), np.int64)
    np.add.at(counts, (place, probabilities.argmax(axis=1)), 1)
    means = _exact_sums(place, probabilities, len(names)) / np.bincount(place, minlength=len(names))[:, None]
    leading = counts == counts.max(axis=1, keepdims=True, initial=0)
    predicted = np.where(leading, means, -1.0).argmax(axis=1)
    return Vote(tuple(names.tolist()), first, predicted, means, counts)


def _exact_sums(place: NDArray[np.int64], probabilities: NDArray[np.float64], utterances: int) -> NDArray[np.float64]:
    """Add up the rows of each utterance, `[utterances, classes]`, rounded once, so that no order of them matters."""
    groups: list[list[list[float]]] = [[] for _ in range(utterances)]
    for utterance, shares in zip(place.tolist(), probabilities.tolist(), strict=True):
        groups[utterance].append(shares)
    sums = [[fsum(column) for column in zip(*rows, strict=True)] for rows in groups]
    return np.array(sums, np.float64).reshape(utterances, probabilities.shape[1])


def voted(predictions: Predictions) -> tuple[Predictions, int]:
    """Return one prediction for each utterance, as copy 0, and the number of ties.

    Raises
    ------
    TrainingError
        If no utterance has more than one copy, or the copies of one have different labels.
    """
    outcome = vote_shares(predictions.paths, predictions.probabilities)
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
    answers = Predictions(
        one.classes, one.paths, copies, one.speakers, one.contents, one.labels, outcome.predicted, outcome.probabilities
    )
    return answers, outcome.ties
