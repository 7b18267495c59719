"""How well numbers are estimated: concordance correlation (CCC), Pearson's correlation, root mean square error.

    CCC = 2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2)

Variances and the covariance are divided by the number of items, as Lin does. It is 1 only where every estimate is the
truth: it falls with a correlation below 1, and with another mean or deviation than those of the truth.

All three follow from six sums over items (`moments`), so speakers can be left out or exchanged by adding sums.

References
----------
L. I-K. Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 45 (1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.figures.estimates import Estimates
from models.figures.intervals import Spread, clusters_of, described, spreads_of_figures

MEASURES = ("ccc", "pearson", "rmse")
DISPLAY: Mapping[str, str] = {"ccc": "CCC", "pearson": "Pearson r", "rmse": "RMSE"}
"""What a measure is called wherever people read it."""
Moments = NDArray[np.float64]
"""`[..., 6]`: items, sums of truth, estimate, their squares, and their product."""
RANGE = 1 - 1e-12
"""A CCC beyond it has no finite z."""


def moments(truth: NDArray[np.float64], estimate: NDArray[np.float64]) -> Moments:
    """Return the sums of each item, `array [..., 6]`, of numbers `[...]`."""
    one = np.ones_like(truth)
    return np.stack([one, truth, estimate, truth**2, estimate**2, truth * estimate], axis=-1)


def measures(sums: Moments) -> NDArray[np.float64]:
    """Return CCC, Pearson's correlation and RMSE of summed moments.

    NaN without items; a CCC is 0 where truth or estimate is constant, and NaN where both are and agree.

    Parameters
    ----------
    sums : array [..., 6]

    Returns
    -------
    array [..., 3]
        In the order of `MEASURES`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_t, mean_e, square_t, square_e, product = np.moveaxis(sums[..., 1:] / sums[..., :1], -1, 0)
        var_t, var_e = np.maximum(square_t - mean_t**2, 0), np.maximum(square_e - mean_e**2, 0)
        covariance, error = product - mean_t * mean_e, np.maximum(square_t - 2 * product + square_e, 0)
        ccc = 2 * covariance / (var_t + var_e + (mean_t - mean_e) ** 2)
        return np.stack([ccc, covariance / np.sqrt(var_t * var_e), np.sqrt(error)], axis=-1)


def centred(runs: Sequence[Estimates]) -> list[Moments]:
    """Return the moments of each item in each run, `[items, dimensions, 6]`, of numbers about the mean of the truth."""
    middle = runs[0].truth.mean(axis=0) if len(runs[0]) else 0.0
    return [moments(run.truth - middle, run.estimated - middle) for run in runs]


def figures(estimates: Estimates) -> dict[str, Any]:
    """Return `items`, `ccc`, the mean over dimensions, and for each dimension `ccc`, `pearson` and `rmse`, or None."""
    found = measures(centred([estimates])[0].sum(axis=0))
    return {
        "items": len(estimates),
        "ccc": known(found[:, 0].mean()),
        "dimensions": {
            name: dict(zip(MEASURES, map(known, found[place]), strict=True))
            for place, name in enumerate(estimates.dimensions)
        },
    }


def known(value: Any) -> float | None:  # noqa: ANN401 (a number of numpy's)
    """Return a number; None for NaN."""
    return None if np.isnan(value) else float(value)


def with_mean(cccs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the mean over dimensions before the CCC of each, `[..., dimensions]` to `[..., 1 + dimensions]`."""
    return np.concatenate([cccs.mean(axis=-1, keepdims=True), cccs], axis=-1)


def spreads(
    runs: Sequence[Estimates], groups: Sequence[slice], signs: Sequence[int]
) -> tuple[list[Spread] | None, dict[str, Any]]:
    """Return the jackknife's spread of the mean CCC and that of each dimension, or None, and what they are over.

    Parameters
    ----------
    runs : sequence of Estimates
        Of the same items in the same order.
    groups, signs
        As `models.figures.intervals.spreads_of_figures` takes them.
    """
    clusters, found = clusters_of(runs[0].speakers), None
    reason = clusters.reason if len(runs[0]) else "there are no items"
    if not reason:
        each = np.zeros((len(clusters), len(runs), len(runs[0].dimensions), 6))
        for place, items in enumerate(centred(runs)):
            np.add.at(each[:, place], clusters.numbers, items)
        whole, freedom = each.sum(axis=0), np.full(1 + len(runs[0].dimensions), len(clusters) - 1.0)
        left_out = with_mean(measures(whole - each)[..., 0])
        found = spreads_of_figures(with_mean(measures(whole)[..., 0]), left_out, groups, signs, freedom)
        if not all(np.isfinite([spread.half_width, spread.value]).all() for spread in found):
            found, reason = None, "there is no CCC without one of the speakers"
    return found, described([runs[group] for group in groups], clusters, {"ccc": reason} if reason else {})


def intervals(runs: Sequence[Estimates]) -> dict[str, Any]:
    """Return 95 % intervals of the CCC over speakers, of a run or of the mean over seeds on the same items.

    They are symmetric on the scale of Fisher's z, in which Lin has the CCC nearly normal, so within -1 and 1.

    Returns
    -------
    dict
        `interval`: `[low, high]` or None by `ccc`, the mean, and by the name of each dimension; `interval_over`, as
        `models.figures.intervals.intervals` returns it.
    """
    names = ("ccc", *runs[0].dimensions)
    found, over = spreads(runs, [slice(len(runs))], [1])
    bounds = [None] * len(names) if found is None else [interval_of(spread) for spread in found]
    return {"interval": dict(zip(names, bounds, strict=True)), "interval_over": over}


def interval_of(spread: Spread) -> list[float]:
    """Return the interval of a CCC, `[low, high]`, symmetric in z = artanh(CCC)."""
    value = float(np.clip(spread.value, -RANGE, RANGE))
    middle, half = np.arctanh(value), spread.half_width / (1 - value**2)
    return [float(np.tanh(middle - half)), float(np.tanh(middle + half))]


def summary(estimates: Estimates) -> dict[str, Any]:
    """Return `figures` of estimates with their `intervals`, as JSON values."""
    return {**figures(estimates), **intervals([estimates])}
