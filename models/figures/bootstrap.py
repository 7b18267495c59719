"""Confidence intervals by resampling speakers.

Clips of one speaker are alike, so clips are not independent draws, and an interval that takes them as such is far too
narrow. Here whole speakers are drawn with replacement, with all their clips: the interval says what other speakers of
the same kind would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from models.figures.metrics import MEASURES, measures
from models.figures.predictions import Predictions

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST_SPEAKERS = 3
"""With fewer, hardly any two resamples differ, and items are drawn instead."""
CHUNK = 4_000_000
"""Most drawn numbers held at a time."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Maps confusion matrices `[resamples, runs, true, predicted]` to figures `[resamples, figures]`."""


@dataclass(frozen=True)
class Clusters:
    """What is drawn as a whole."""

    numbers: NDArray[np.int64]
    """Cluster of each item."""
    count: int
    unit: str
    """`speakers` or `items`."""
    reason: str = ""
    """Why it is items."""

    def __len__(self) -> int:
        return self.count


def clusters_of(speakers: Sequence[str | None], fewest: int = FEWEST_SPEAKERS) -> Clusters:
    """Return the speakers as clusters; single items, and the reason, if some are unknown or there are too few."""
    unknown = sum(speaker is None for speaker in speakers)
    names = sorted({speaker for speaker in speakers if speaker is not None})
    if unknown or len(names) < fewest:
        few = f"only {len(names)} speaker{'s' if len(names) > 1 else ''} where {fewest} are needed"
        reason = f"{unknown} items have no speaker" if unknown else few
        return Clusters(np.arange(len(speakers)), len(speakers), "items", reason)
    number = {name: place for place, name in enumerate(names)}
    return Clusters(np.array([number[str(speaker)] for speaker in speakers], np.int64), len(names), "speakers")


def cluster_confusions(runs: Sequence[Predictions], clusters: Clusters) -> NDArray[np.float64]:
    """Count the confusion matrix of each cluster in each run: `array [clusters, runs, true, predicted]`."""
    classes = len(runs[0].classes)
    shape = (len(clusters), classes, classes)
    counted = [
        np.bincount(
            np.ravel_multi_index((clusters.numbers, run.labels, run.predicted), shape), minlength=np.prod(shape)
        )
        for run in runs
    ]
    return np.stack([cells.reshape(shape) for cells in counted], axis=1).astype(np.float64)


def resample(
    confusions: NDArray[np.float64], statistic: Statistic, *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Return figures of resamples of clusters, `array [resamples, figures]`; equal seeds give equal ones.

    Parameters
    ----------
    confusions : array [clusters, runs, true, predicted]
        All runs see the same clusters in a resample, so that differences between them are paired.
    statistic : callable
    """
    flat = confusions.reshape(len(confusions), -1)
    drawn = [
        statistic((counts @ flat).reshape(len(counts), *confusions.shape[1:]))
        for counts in _draws(len(flat), resamples, seed)
    ]
    return np.concatenate(drawn)


def _draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each cluster is drawn, `array [some resamples, clusters]`."""
    generator, chunk = np.random.default_rng(seed), max(1, CHUNK // max(clusters, 1))
    for first in range(0, resamples, chunk):
        rows = min(chunk, resamples - first)
        drawn = generator.integers(0, clusters, (rows, clusters)) + clusters * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


def percentile_interval(values: NDArray[np.float64], clusters: int) -> list[float] | None:
    """Return the 95 % interval from resampled values `[resamples]`; None if there are none.

    The plain percentiles are too narrow for few clusters, by about the ratio of the normal to Student's quantile and
    by sqrt((n - 1)/n). Their levels are moved outwards by both (the expanded percentile interval), which needs no
    assumption about the sides' symmetry.

    References
    ----------
    T. Hesterberg, What teachers should know about the bootstrap, The American Statistician 69 (2015), 371-386.
    """
    real = values[~np.isnan(values)]
    if not len(real) or clusters < 2:
        return None
    quantile = float(stdtrit(clusters - 1, (1 + CONFIDENCE) / 2)) * np.sqrt(clusters / (clusters - 1))
    tail = float(ndtr(-quantile))
    low, high = np.quantile(real, (tail, 1 - tail))
    return [float(low), float(high)]


def mean_of_runs(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means over runs: `[resamples, runs, true, predicted]` to accuracy, UAR, macro F1 `[resamples, 3]`."""
    averages: NDArray[np.float64] = measures(confusions).mean(axis=1)
    return averages


def intervals(runs: Sequence[Predictions], *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """Return the 95 % intervals of accuracy, UAR and macro F1 of a run, or of the mean over runs on the same items.

    Parameters
    ----------
    runs : sequence of Predictions
        The same items in the same order.
    resamples : int
    seed : int
        Draws the resamples; results are equal for equal seeds.

    Returns
    -------
    dict
        `interval` (`[low, high]` by measure, or None) and `interval_over` (`unit`: speakers or items, `count`,
        `resamples`, `confidence` and the `reason` if it is items).
    """
    clusters = clusters_of(runs[0].speakers)
    over = {"unit": clusters.unit, "count": len(clusters), "resamples": resamples, "confidence": CONFIDENCE}
    if not len(clusters):
        return {"interval": dict.fromkeys(MEASURES), "interval_over": {**over, "reason": "there are no items"}}
    values = resample(cluster_confusions(runs, clusters), mean_of_runs, resamples=resamples, seed=seed)
    found = {name: percentile_interval(values[:, place], len(clusters)) for place, name in enumerate(MEASURES)}
    return {"interval": found, "interval_over": {**over, "reason": clusters.reason}}
