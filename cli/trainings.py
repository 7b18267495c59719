"""The trainings of a prepared experiment: one, or one a fold; what has ended is read, what was interrupted goes on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cli.training_progress import TrainingProgress

if TYPE_CHECKING:
    from cli.prepared import Prepared


def train_prepared(
    prepared: Prepared, run: Path, title: str, *, seed: int | None = None, device: str = "auto", jobs: int = 1
) -> list[dict[str, Any]]:
    """Train into a folder and return the result of each training.

    Parameters
    ----------
    prepared : Prepared
    run : Path
        Folder of the training, or of its folds.
    title : str
        What its progress is shown under.
    seed : int, optional
        In place of the recipe's.
    jobs : int
        Folds at a time.
    """
    from models.crossval import cross_validate
    from models.runs.folders import has_begun
    from models.training import train

    how: dict[str, Any] = {"device": device, "progress": TrainingProgress(title)}
    if len(prepared.splits) > 1:
        found = cross_validate(
            prepared.all_sides, partial(prepared.describe, seed=seed), run, jobs=jobs, resume=run.exists(), **how
        )
        return list(found["folds"])
    sides = prepared.all_sides[0]
    return [train(sides, prepared.describe(sides, seed=seed), run, resume=has_begun(run), **how)]


def mean_figure(results: list[dict[str, Any]], metric: str) -> float:
    """Return the mean of a metric such as `validation uar` over trainings."""
    side, _, measure = metric.partition(" ")
    return fmean(result[side][measure] for result in results)
