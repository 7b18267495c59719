"""Classifiers of functionals, by scikit-learn; their regularisation is chosen within the training side.

A linear and an RBF support vector machine and a logistic regression, with balanced class weights. The regularisation
`C` is the one of a fixed grid that has the best UAR over inner folds of whole training speakers; of equal ones the
smallest, which regularises most. The test side takes no part in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models.baselines.functionals import Matrix, of_each_utterance
from models.errors import TrainingError
from models.figures import metrics

GRIDS: Mapping[str, tuple[float, ...]] = {
    "svm-linear": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    "svm-rbf": (1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0),
    "logistic": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
}
"""The values of `C` that are tried, by the name of the classifier; features have deviation 1."""
INNER_FOLDS = 5
MOST_ROWS = 20_000
"""Training rows of a support vector machine, which holds a number for each pair of them: 3.2 GB."""
TOLERANCE, STEPS = 1e-3, 1000
"""Where a logistic regression stops: at this largest slope of its mean loss, or after as many iterations."""

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Rows of a side, as a classifier sees them."""

    values: Matrix
    """`[rows, features]`."""
    labels: Labels
    """Class numbers `[rows]`."""
    speakers: tuple[str | None, ...]


@dataclass(frozen=True)
class Choice:
    """The regularisation that was chosen, and by what."""

    regularisation: float
    inner_uar: float | None
    """UAR over the inner folds; None if the regularisation was given."""


def by_scope(found: Matrix, speakers: Sequence[str | None], scope: str) -> Matrix:
    """Apply the part of a normalisation that looks at no other speaker, before there are sides.

    Parameters
    ----------
    found : array [rows, functionals, bands]
    scope : str
        `speaker`: each functional has mean 0 and deviation 1 over all rows of its speaker. `utterance`: it is that of a
        row whose bands have mean 0 and deviation 1. `training` and `none` change nothing here.

    Returns
    -------
    array [rows, functionals * bands]
    """
    values = (of_each_utterance(found) if scope == "utterance" else found).reshape(len(found), -1)
    if scope == "speaker":
        values = values.copy()
        spoken = np.array(speakers)
        for speaker in np.unique(spoken):
            rows = spoken == speaker
            values[rows] = StandardScaler().fit_transform(values[rows])
    return values


def on_training(train: Matrix, others: Matrix, scope: str) -> tuple[Matrix, Matrix]:
    """Bring each feature to mean 0 and deviation 1 over the training rows, for `training` and `utterance`."""
    if scope not in ("training", "utterance"):
        return train, others
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(others)


def choose(model: str, train: Rows, classes: int, scope: str) -> Choice:
    """Choose the regularisation by inner folds, each of which leaves out some of the training speakers.

    Raises
    ------
    TrainingError
        If it is not known who speaks, or there is one speaker only.
    """
    speakers = set(train.speakers)
    if None in speakers or len(speakers) < 2:
        why = "who speaks is not known for all of it" if None in speakers else "that has one speaker only"
        raise TrainingError(
            f"the regularisation is chosen by inner folds over the speakers of the training side, and {why}: give "
            "'--regularisation C'."
        )
    folds = GroupKFold(min(INNER_FOLDS, len(speakers)))
    confusions = np.zeros((len(GRIDS[model]), classes, classes), np.int64)
    for inner, left_out in folds.split(train.values, train.labels, train.speakers):
        pair = on_training(train.values[inner], train.values[left_out], scope)
        for place, logits in enumerate(_logits(model, GRIDS[model], *pair, train.labels[inner], classes)):
            truth = train.labels[left_out]
            confusions[place] += metrics.confusion_matrix(truth, logits.argmax(axis=1), classes)
    figures = metrics.measures(confusions)[:, metrics.MEASURES.index("uar")]
    best = int(np.argmax(figures))
    return Choice(GRIDS[model][best], float(figures[best]))


def classify(
    model: str, train: Rows, others: Sequence[Rows], classes: int, scope: str, regularisation: float | None = None
) -> tuple[list[Matrix], Choice]:
    """Fit a classifier on the training rows; return logits `[rows, classes]` for the others, and the regularisation.

    The class with the largest logit is the answer. For a logistic regression their softmax is its probabilities; for a
    support vector machine they are its votes of pairs of classes, with their confidence as what breaks ties, and no
    probabilities. A class without training rows has -inf.

    Raises
    ------
    TrainingError
        If the training side has a single class, too many rows for the classifier, or no speakers to choose by.
    """
    if len(np.unique(train.labels)) < 2:
        raise TrainingError(
            "the training side has a single class: there is nothing to tell apart. Choose another split."
        )
    if model != "logistic" and len(train.labels) > MOST_ROWS:
        raise TrainingError(
            f"the training side has {len(train.labels):,} rows, and {model} holds a number for each pair of them, of "
            f"{MOST_ROWS:,} rows at most: use '--model logistic'."
        )
    chosen = choose(model, train, classes, scope) if regularisation is None else Choice(regularisation, None)
    values = np.concatenate([rows.values for rows in others])
    pair = on_training(train.values, values, scope)
    (logits,) = _logits(model, (chosen.regularisation,), *pair, train.labels, classes)
    ends = np.cumsum([len(rows.values) for rows in others])[:-1]
    return np.split(logits, ends), chosen


def _logits(
    model: str, grid: Sequence[float], train: Matrix, others: Matrix, labels: Labels, classes: int
) -> list[Matrix]:
    """Return the logits `[rows, classes]` of other rows for each regularisation; a kernel is computed once for all."""
    found = np.unique(labels)
    seen, asked = _kernels(model, train, others)
    results = []
    for regularisation in grid:
        logits = np.full((len(others), classes), -np.inf)
        if len(found) == 1:  # an inner fold whose speakers say one class
            logits[:, found] = 0.0
        elif len(others):
            values = _fitted(model, regularisation, seen, labels).decision_function(asked)
            logits[:, found] = np.stack([np.zeros(len(values)), values], axis=1) if values.ndim == 1 else values
        results.append(logits)
    return results


def _kernels(model: str, train: Matrix, others: Matrix) -> tuple[Matrix, Matrix]:
    """Return what is fitted and what is asked: for a support vector machine its kernel with the training rows."""
    if model == "svm-linear":
        return train @ train.T, others @ train.T
    if model == "svm-rbf":
        gamma = 1 / (train.shape[1] * (float(train.var()) or 1.0))  # scikit-learn's "scale"
        return rbf_kernel(train, gamma=gamma), rbf_kernel(others, train, gamma=gamma)
    return train, others


def _fitted(name: str, regularisation: float, values: Matrix, labels: Labels) -> Any:  # noqa: ANN401 (no types)
    if name != "logistic":
        return SVC(C=regularisation, kernel="precomputed", class_weight="balanced").fit(values, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where it stops is a fit too, and the same every time
        model = LogisticRegression(C=regularisation, class_weight="balanced", tol=TOLERANCE, max_iter=STEPS)
        return model.fit(values, labels)
