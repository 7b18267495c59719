"""95 % intervals over speakers that hold for few of them: the jackknife with Student's quantiles.

Clips of one speaker are alike, so clips are no independent draws, and an interval that takes them as such is far too
narrow. Here each speaker in turn is left out with all clips; how far that moves a figure says what other speakers of
the same kind would have given. Resampling speakers (the bootstrap) cannot do this for few: with three it covers the
truth in 70 of 100 trials (`benchmarks/interval_coverage.py`, docs/training.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from models.figures.metrics import DISPLAY, MEASURES, measures
from models.figures.predictions import Predictions

CONFIDENCE = 0.95
FEWEST_SPEAKERS = 3
FEWEST_SEEDS = 3
"""With two, the spread of seeds is known with one degree of freedom, which is as good as not at all."""
SAME = 1e-12
"""Variances below this come from rounding."""


@dataclass(frozen=True)
class Clusters:
    """What is left out or exchanged as a whole."""

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


@dataclass(frozen=True)
class Spread:
    """How far a figure of the mean over runs would move with other speakers and, if there are enough, other seeds."""

    value: float
    variance: float
    freedom: float
    """Degrees of freedom of the variance."""

    @property
    def half_width(self) -> float:
        """Student's quantile times the standard error."""
        return float(stdtrit(self.freedom, (1 + CONFIDENCE) / 2) * np.sqrt(self.variance))


def jackknife(confusions: NDArray[np.float64], groups: Sequence[slice], signs: Sequence[int]) -> list[Spread]:
    """Return the spread of a signed sum of means over groups of runs, a `Spread` for each of `MEASURES`.

    Speakers are left out one at a time; for UAR and macro F1 the degrees of freedom are those of the class with the
    fewest speakers. The variance over seeds is added to that over speakers, with the degrees of freedom of
    Satterthwaite, where every group has `FEWEST_SEEDS` runs. What both contain counts twice, so intervals are rather
    too wide than too narrow.

    Parameters
    ----------
    confusions : array [speakers, runs, true, predicted]
        There is no interval for UAR and macro F1 where a class has a single speaker, see `spreads_of`.
    groups : sequence of slice
        Runs that differ in their seed alone.
    signs : sequence of int
        1 or -1 for each group.

    References
    ----------
    B. Efron and C. Stein, The jackknife estimate of variance, Annals of Statistics 9 (1981).
    F. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946).
    """
    whole = confusions.sum(axis=0)
    fewest = max(2, fewest_speakers(confusions)[0])  # of a class of one speaker only accuracy has an interval
    freedom = np.array([len(confusions) - 1, *[fewest - 1] * (len(MEASURES) - 1)], np.float64)
    return spreads_of_figures(measures(whole), measures(whole - confusions), groups, signs, freedom)


def spreads_of_figures(
    figures: NDArray[np.float64],
    left_out: NDArray[np.float64],
    groups: Sequence[slice],
    signs: Sequence[int],
    freedom: NDArray[np.float64],
) -> list[Spread]:
    """Return the `jackknife` spread of each of some figures.

    Parameters
    ----------
    figures : array [runs, figures]
        Of all items.
    left_out : array [speakers, runs, figures]
        Without each speaker.
    groups, signs
        As `jackknife` takes them.
    freedom : array [figures]
        Degrees of freedom of the variance over speakers.
    """

    def signed(figures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map `[..., runs, figures]` to the signed sum of the means over groups, `[..., figures]`."""
        means = [sign * figures[..., group, :].mean(axis=-2) for group, sign in zip(groups, signs, strict=True)]
        total: NDArray[np.float64] = np.sum(means, axis=0)
        return total

    speakers, without = len(left_out), signed(left_out)
    variance = (speakers - 1) / speakers * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    runs = [figures[group] for group in groups]
    if min(map(len, runs)) >= FEWEST_SEEDS:
        parts = [(variance, freedom), *((one.var(axis=0, ddof=1) / len(one), len(one) - 1) for one in runs)]
        variance = np.sum([part for part, _ in parts], axis=0)
        shares = np.sum([part**2 / degrees for part, degrees in parts], axis=0)
        freedom = np.divide(variance**2, shares, out=np.ones_like(variance), where=shares > 0)
    return [Spread(*map(float, found)) for found in zip(signed(figures), variance, freedom, strict=True)]


def fewest_speakers(confusions: NDArray[np.float64]) -> tuple[int, int]:
    """Return how many speakers the class with the fewest has, of those that occur, and the number of that class."""
    spoken = (confusions[:, 0].sum(axis=-1) > 0).sum(axis=0)
    places = np.flatnonzero(spoken)
    fewest = int(places[np.argmin(spoken[places])])
    return int(spoken[fewest]), fewest


def spreads_of(
    runs: Sequence[Predictions],
    clusters: Clusters,
    groups: Sequence[slice],
    signs: Sequence[int],
    names: Sequence[str] = MEASURES,
) -> tuple[dict[str, Spread], dict[str, str]]:
    """Return the `jackknife` spread of each measure that can have an interval, and why each of the others has none."""
    if not len(runs[0]):
        return {}, dict.fromkeys(names, "there are no items")
    if clusters.unit == "items":
        return {}, dict.fromkeys(names, clusters.reason)
    none = {}
    confusions = cluster_confusions(runs, clusters)
    speakers, place = fewest_speakers(confusions)
    if speakers < FEWEST_SPEAKERS:
        of_class = f"class {runs[0].classes[place]!r} has only {speakers} of the {FEWEST_SPEAKERS} speakers"
        none = {name: f"{of_class} that are needed" for name in names if name != "accuracy"}
    found = {}
    for name, spread in zip(MEASURES, jackknife(confusions, groups, signs), strict=True):
        if name in names and name not in none:
            if spread.variance < SAME:
                none[name] = "it is the same whichever speaker is left out"
            else:
                found[name] = spread
    return found, none


def described(runs: Sequence[Sequence[object]], clusters: Clusters, none: dict[str, str]) -> dict[str, Any]:
    """Return what intervals of groups of runs are over, as JSON values."""
    seeds = min(map(len, runs))
    return {
        "unit": "speakers",
        "count": len(clusters) if clusters.unit == "speakers" else 0,
        "seeds": seeds,
        "covers": "other speakers and other seeds" if seeds >= FEWEST_SEEDS else "other speakers",
        "confidence": CONFIDENCE,
        "none": none,
    }


def interval_of(spread: Spread) -> list[float]:
    """Return the interval of a share, `[low, high]`; it is symmetric on the scale of log odds, so within 0 and 1."""
    middle, half = logit(spread.value), spread.half_width / (spread.value * (1 - spread.value))
    return [float(expit(middle - half)), float(expit(middle + half))]


def intervals(runs: Sequence[Predictions]) -> dict[str, Any]:
    """Return the 95 % intervals of accuracy, UAR and macro F1 of a run, or of the mean over seeds on the same items.

    Parameters
    ----------
    runs : sequence of Predictions
        The same items in the same order.

    Returns
    -------
    dict
        `interval` (`[low, high]` by measure, or None) and `interval_over`: the number (`count`) of speakers, that of
        `seeds`, what the interval `covers` (other speakers and, from three seeds up, other seeds), `confidence`, and
        `none`, the reason by measure where there is no interval.
    """
    clusters = clusters_of(runs[0].speakers)
    spreads, none = spreads_of(runs, clusters, [slice(len(runs))], [1])
    found: dict[str, list[float] | None] = dict.fromkeys(MEASURES)
    for name, spread in spreads.items():
        found[name] = interval_of(spread)
    return {"interval": found, "interval_over": described([runs], clusters, none)}


def intervals_in_words(over: Mapping[str, Any], called: Mapping[str, str] = DISPLAY) -> str:
    """Say what intervals are over, and why a measure has none, from `interval_over`; `called` names the measures."""
    none = over["none"]
    why = "; ".join(
        f"none for {' and '.join(called[name] for name in none if none[name] == reason)}: {reason}"
        for reason in dict.fromkeys(none.values())
    )
    if len(none) == len(called) and len(set(none.values())) == 1:
        return f"not given: {next(iter(none.values()))}"
    seeds = f" and {over['seeds']} seeds" if over["seeds"] >= FEWEST_SEEDS else ""
    method = f"by the jackknife over {over['count']} speakers{seeds}: what {over['covers']} would give"
    return f"{method}; {why}" if why else method
