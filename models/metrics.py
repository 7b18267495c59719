"""Figures of a classification, all derived from its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]
"""Counts `[true, predicted]`."""


def confusion_matrix(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Confusion:
    """Count how often class `true` was predicted as class `predicted`: `array [classes, classes]`."""
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def accuracy(confusion: Confusion) -> float:
    """Return the share of right predictions, also called weighted accuracy (WA); NaN without items."""
    return _ratio(np.trace(confusion), confusion.sum())


def recalls(confusion: Confusion) -> NDArray[np.float64]:
    """Return the recall of each class; NaN for a class without items."""
    return _ratios(np.diag(confusion), confusion.sum(axis=1))


def precisions(confusion: Confusion) -> NDArray[np.float64]:
    """Return the precision of each class; 0 for a class that is never predicted."""
    return np.nan_to_num(_ratios(np.diag(confusion), confusion.sum(axis=0)))


def f1_scores(confusion: Confusion) -> NDArray[np.float64]:
    """Return the harmonic mean of precision and recall of each class; NaN for one without items or predictions."""
    return _ratios(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


def uar(confusion: Confusion) -> float:
    """Return the unweighted average recall, also called unweighted accuracy (UA), over the classes that occur."""
    return _mean(recalls(confusion))


def macro_f1(confusion: Confusion) -> float:
    """Return the mean F1 over the classes that occur or are predicted, as scikit-learn does."""
    return _mean(f1_scores(confusion))


def summary(confusion: Confusion, classes: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, UAR, macro F1, the figures of each class and the confusion matrix (rows: truth) as JSON values.

    A figure that has no value, such as the recall of a class without items, is None.
    """
    columns = zip(classes, precisions(confusion), recalls(confusion), f1_scores(confusion), strict=True)
    support = confusion.sum(axis=1).tolist()
    return {
        "accuracy": _number(accuracy(confusion)),
        "uar": _number(uar(confusion)),
        "macro_f1": _number(macro_f1(confusion)),
        "per_class": {
            name: {"precision": _number(p), "recall": _number(r), "f1": _number(f), "support": count}
            for (name, p, r, f), count in zip(columns, support, strict=True)
        },
        "classes": list(classes),
        "confusion": confusion.tolist(),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _ratios(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    quotients = np.full(len(parts), np.nan)
    np.divide(parts, wholes, out=quotients, where=wholes > 0)
    return quotients


def _mean(values: NDArray[np.float64]) -> float:
    real = values[~np.isnan(values)]
    return float(real.mean()) if len(real) else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
