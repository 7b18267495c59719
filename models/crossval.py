"""Cross-validation: one run for each fold, resumable fold by fold and within a fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import stdtrit

from models.data import FeatureView
from models.errors import TrainingError
from models.progress import Progress
from models.runs import RunConfig
from models.training import Sides, train

MEASURES = ("accuracy", "uar")
CONFIDENCE = 0.95


def cross_validate(
    folds: Iterable[tuple[FeatureView, FeatureView, FeatureView]],
    describe: Callable[[Sides], RunConfig],
    folder: Path,
    *,
    device: str = "auto",
    jobs: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train and test on every fold, into `folder/fold-01`, `folder/fold-02` and so on.

    Parameters
    ----------
    folds : iterable of (train, validation, test)
    describe : callable
        Makes the configuration of a fold from its sides, such as a call of `models.training.configure`.
    folder : Path
    jobs : int
        Folds at a time; each has its own process if this is above 1, and `progress` then hears nothing.
    resume : bool
        Read finished folds, go on with the one that was interrupted.

    Returns
    -------
    dict
        `folds` (results of `train`), `mean`, `deviation` (of single folds) and `interval` (95 % confidence of the
        mean, by Student's t) of test accuracy and UAR.
    """
    sides = [Sides(*fold) for fold in folds]
    if not sides:
        raise TrainingError("cross-validation needs at least one fold.")
    heard = progress if jobs == 1 else None
    results = Parallel(n_jobs=jobs)(
        delayed(_train_fold)(fold, describe(fold), folder / f"fold-{number:02d}", device, resume, heard)
        for number, fold in enumerate(sides, start=1)
    )
    return {"folds": results, **spread([result["test"] for result in results])}


def _train_fold(
    sides: Sides, config: RunConfig, folder: Path, device: str, resume: bool, progress: Progress | None
) -> dict[str, Any]:
    return train(sides, config, folder, device=device, resume=resume and folder.exists(), progress=progress)


def spread(figures: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, Any]]:
    """Return mean, standard deviation (n - 1) and confidence interval of each measure over runs or folds.

    The interval takes the runs as independent, which folds that share training data are not quite: it is then
    somewhat too narrow.
    """
    columns = {name: [f[name] for f in figures if f[name] is not None] for name in MEASURES}
    values = {name: np.array(column, dtype=float) for name, column in columns.items() if column}
    return {
        "mean": {name: float(column.mean()) for name, column in values.items()},
        "deviation": {name: _deviation(column) for name, column in values.items()},
        "interval": {name: confidence_interval(column) for name, column in values.items()},
    }


def _deviation(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def confidence_interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float] | None:
    """Return the 95 % confidence interval of the mean of `values`; None for a single value."""
    if len(values) < 2:
        return None
    quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * float(values.std(ddof=1)) / np.sqrt(len(values))
    return [float(values.mean() - half), float(values.mean() + half)]
