"""Metrics of a classification, all derived from its confusion matrix.

Speech emotion papers call the share of right predictions weighted accuracy (WA) and the mean of the class recalls
unweighted accuracy (UA) or unweighted average recall (UAR). `DISPLAY` has both names of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]
"""Counts `[true, predicted]`."""

MEASURES = ("accuracy", "uar", "macro_f1")
TRACKED = MEASURES[:2]
"""Measured after each epoch and in each fold."""
TRACKED_OF_DIMENSIONS = ("ccc",)
"""The same where dimensions are estimated: the mean over them, see `models.figures.concordance`."""
DISPLAY: Mapping[str, str] = {"accuracy": "accuracy (WA)", "uar": "UAR (UA)", "macro_f1": "macro F1"}
"""What a measure is called wherever people read it."""


def tracked_in(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the measures that the figures of a side have: those of classes or of dimensions."""
    return TRACKED_OF_DIMENSIONS if "ccc" in figures else TRACKED


def confusion_matrix(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Confusion:
    """Count how often class `true` was predicted as class `predicted`: `array [classes, classes]`."""
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def recalls(confusions: NDArray[Any]) -> NDArray[np.float64]:
    """Return the recall of each class, `array [..., classes]`; NaN for a class without items."""
    return _ratios(_right(confusions), confusions.sum(axis=-1))


def precisions(confusions: NDArray[Any]) -> NDArray[np.float64]:
    """Return the precision of each class, `array [..., classes]`; 0 for a class that is never predicted."""
    return np.nan_to_num(_ratios(_right(confusions), confusions.sum(axis=-2)))


def f1_scores(confusions: NDArray[Any]) -> NDArray[np.float64]:
    """Return the harmonic mean of precision and recall of each class; NaN for one without items or predictions."""
    return _ratios(2 * _right(confusions), confusions.sum(axis=-2) + confusions.sum(axis=-1))


def measures(confusions: NDArray[Any]) -> NDArray[np.float64]:
    """Return accuracy, UAR and macro F1 of one or many confusion matrices.

    UAR is over the classes that occur, macro F1 over those that occur or are predicted, as in scikit-learn.

    Parameters
    ----------
    confusions : array [..., true, predicted]

    Returns
    -------
    array [..., 3]
        In the order of `MEASURES`; NaN where there are no items.
    """
    right, items = _right(confusions).sum(axis=-1), confusions.sum(axis=(-2, -1))
    return np.stack([_ratios(right, items), _mean(recalls(confusions)), _mean(f1_scores(confusions))], axis=-1)


def tracked(confusion: Confusion, loss: float | None) -> dict[str, float | None]:
    """Return the loss of a side, a mean over its rows, with accuracy and UAR; None where there are no rows."""
    figures = dict(zip(TRACKED, map(_number, measures(confusion)), strict=False))
    return {"loss": loss if confusion.any() else None, **figures}


def summary(confusion: Confusion, classes: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, UAR, macro F1, the metrics of each class and the confusion matrix (rows: truth) as JSON values.

    `macro_avg` is the unweighted mean over classes that occur or are predicted (recall: over those that occur, so that
    it is the UAR), `weighted_avg` the mean weighted by their support. A metric that has no value, such as the recall of
    a class without items, is None.
    """
    support = confusion.sum(axis=1)
    columns = {"precision": precisions(confusion), "recall": recalls(confusion), "f1": f1_scores(confusion)}
    occurs, seen, items = support > 0, ~np.isnan(columns["f1"]), int(support.sum())
    macro = {name: _number(_mean(np.where(seen, column, np.nan))) for name, column in columns.items()}
    weighted = {
        name: _number(column[occurs] @ support[occurs] / items) if items else None for name, column in columns.items()
    }
    return {
        **dict(zip(MEASURES, map(_number, measures(confusion)), strict=True)),
        "per_class": {
            name: {**{key: _number(column[place]) for key, column in columns.items()}, "support": int(support[place])}
            for place, name in enumerate(classes)
        },
        "macro_avg": {**macro, "support": items},
        "weighted_avg": {**weighted, "support": items},
        "classes": list(classes),
        "confusion": confusion.tolist(),
    }


def chance(confusion: Confusion, classes: Sequence[str]) -> dict[str, Any]:
    """Return what answers that hear nothing reach: the `uar` of chance, and the `accuracy` of the `majority` class.

    The UAR is 1 / classes that occur, of answers at random and of any constant one. The accuracy is that of always
    answering the most frequent class of these items, the most that a constant answer can have. None without items.
    """
    support = confusion.sum(axis=1)
    if not support.any():
        return {"uar": None, "majority": None, "accuracy": None}
    place = int(support.argmax())
    return {
        "uar": 1 / int(np.count_nonzero(support)),
        "majority": classes[place],
        "accuracy": float(support[place] / support.sum()),
    }


def mean_and_deviation(figures: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, Any]]:
    """Return mean and standard deviation (n - 1) of each measure over runs or folds.

    They have no interval here: seeds differ for other reasons than speakers do, and folds share training data. See
    `models.figures.intervals`.
    """
    names = tracked_in(figures[0]) if figures else TRACKED
    columns = {name: [f[name] for f in figures if f[name] is not None] for name in names}
    values = {name: np.array(column, dtype=float) for name, column in columns.items() if column}
    return {
        "mean": {name: float(column.mean()) for name, column in values.items()},
        "deviation": {name: float(column.std(ddof=1)) if len(column) > 1 else None for name, column in values.items()},
    }


def _right(confusions: NDArray[Any]) -> NDArray[Any]:
    diagonal: NDArray[Any] = np.diagonal(confusions, axis1=-2, axis2=-1)
    return diagonal


def _ratios(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    quotients = np.full(np.shape(parts), np.nan)
    np.divide(parts, wholes, out=quotients, where=np.asarray(wholes) > 0)
    return quotients


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the last axis, without the values that are NaN; no warning where all are."""
    real = ~np.isnan(values)
    return _ratios(np.where(real, values, 0.0).sum(axis=-1), real.sum(axis=-1))


def _number(value: Any) -> float | None:  # noqa: ANN401 (a number of numpy's)
    return None if np.isnan(value) else float(value)
