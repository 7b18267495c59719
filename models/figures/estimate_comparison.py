"""A paired permutation test between two runs that estimated the dimensions of the same items.

As `models.figures.comparison` does for classes: were two models equally good, each estimate could as well be the
other's. A CCC is no sum over items, so nothing but the exchange itself will do; since all that it needs are sums over
clusters (`models.figures.concordance.moments`), an exchange is a choice between two sums for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RunError
from models.figures.comparison import CHUNK, MOST_EXACT, exchanged, holm
from models.figures.concordance import centred, known, measures, spreads, with_mean
from models.figures.estimates import Estimates, on_same_items


def compare_estimates(
    first: Sequence[Estimates],
    second: Sequence[Estimates],
    *,
    unit: str = "auto",
    permutations: int = 10_000,
    seed: int = 0,
    names: tuple[str, str] = ("the first", "the second"),
) -> dict[str, Any]:
    """Test whether two runs differ in CCC.

    Parameters
    ----------
    first, second : sequence of Estimates
        Of one run each, or of as many seeds each, whose CCCs are averaged; each seed is exchanged with its counterpart.
    unit, permutations, seed, names
        As `models.figures.comparison.compare` takes them.

    Returns
    -------
    dict
        What `models.figures.comparison.compare` returns, with `ccc`, the mean over dimensions, in place of `accuracy`
        and `uar`, and `dimensions`: the same for each.

    Raises
    ------
    RunError
        If items, dimensions or numbers of seeds differ, or a run has no CCC.
    """
    if len(first) != len(second):
        raise RunError(
            f"{names[0]} has {len(first)} seeds and {names[1]} {len(second)}: estimates are exchanged seed by seed. "
            "Compare as many of each."
        )
    runs = on_same_items([*first, *second], [*[names[0]] * len(first), *[names[1]] * len(second)])
    if not len(runs[0]):
        raise RunError(f"{names[0]} has no items on this side: there is nothing to compare.")
    clusters = exchanged(runs[0].speakers, unit)
    sums = np.zeros((len(clusters), len(runs), len(runs[0].dimensions), 6))
    for place, items in enumerate(centred(runs)):
        np.add.at(sums[:, place], clusters.numbers, items)
    ours, theirs = sums[:, : len(first)], sums[:, len(first) :]
    one, other = _mean_cccs(ours.sum(axis=0)), _mean_cccs(theirs.sum(axis=0))
    if np.isnan([one, other]).any():
        raise RunError(f"{names[0]} or {names[1]} has no CCC, since all its numbers are one: nothing can be compared.")
    p_values, exchanges, exact = _exchange(ours, theirs, one - other, permutations, seed)
    groups = [slice(len(first)), slice(len(first), len(runs))]
    found, over = spreads(runs, groups, [1, -1])
    bounds = [None] * len(one) if found is None else [[s.value - s.half_width, s.value + s.half_width] for s in found]
    each = [
        {
            "first": known(one[place]),
            "second": known(other[place]),
            "difference": known(one[place] - other[place]),
            "interval": bounds[place],
            "p_value": float(p_values[place]),
        }
        for place in range(len(one))
    ]
    return {
        "items": len(runs[0]),
        "unit": clusters.unit,
        "clusters": len(clusters),
        "reason": clusters.reason,
        "permutations": exchanges,
        "exact": exact,
        "ignores_speakers": clusters.unit == "items",
        "interval_over": over,
        "ccc": each[0],
        "dimensions": dict(zip(runs[0].dimensions, each[1:], strict=True)),
    }


def compare_estimated_pairs(
    runs: Sequence[Sequence[Estimates]],
    names: Sequence[str],
    **how: Any,  # noqa: ANN401 (as `compare_estimates` takes it)
) -> list[dict[str, Any]]:
    """Compare each run with each later one; p-values are corrected for the number of pairs, as `p_holm`."""
    found = [
        {
            "first_run": names[one],
            "second_run": names[other],
            **compare_estimates(runs[one], runs[other], names=(names[one], names[other]), **how),
        }
        for one, other in combinations(range(len(runs)), 2)
    ]
    for measure in ("ccc", *found[0]["dimensions"]):
        figures = [pair["ccc"] if measure == "ccc" else pair["dimensions"][measure] for pair in found]
        for figure, p_value in zip(figures, holm([one["p_value"] for one in figures]), strict=True):
            figure["p_holm"] = p_value
    return found


def _mean_cccs(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map moments `[..., runs, dimensions, 6]` to the mean CCC and that of each dimension, meant over runs."""
    means: NDArray[np.float64] = with_mean(measures(sums)[..., 0]).mean(axis=-2)
    return means


def _exchange(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    difference: NDArray[np.float64],
    permutations: int,
    seed: int,
) -> tuple[NDArray[np.float64], int, bool]:
    """Return two-sided p-values, the number of exchanges, and whether all were counted.

    Drawn exchanges count the one that was found among them, as in `models.figures.comparison.sign_flip_test`.
    """
    differing = (ours != theirs).any(axis=(1, 2, 3))
    middle, half = (ours + theirs).sum(axis=0) / 2, (ours - theirs)[differing] / 2
    found, as_large, clusters = np.abs(difference) - 1e-12, np.zeros(len(difference)), len(half)
    exact = clusters <= MOST_EXACT
    exchanges = 2**clusters if exact else permutations
    flat = half.reshape(clusters, middle.size)
    for signs in _signs(clusters, exchanges, seed, exact=exact):
        moved = (signs @ flat).reshape(-1, *half.shape[1:])
        as_large += (np.abs(_mean_cccs(middle + moved) - _mean_cccs(middle - moved)) >= found).sum(axis=0)
    return (as_large / exchanges if exact else (1 + as_large) / (1 + exchanges)), exchanges, exact


def _signs(clusters: int, exchanges: int, seed: int, *, exact: bool) -> Iterator[NDArray[np.float64]]:
    """Yield signs of clusters, `[some, clusters]`: all there are, or drawn ones."""
    if exact:
        yield np.asarray(1.0 - 2.0 * (np.arange(exchanges)[:, None] >> np.arange(clusters) & 1), np.float64)
        return
    generator, chunk = np.random.default_rng(seed), max(1, CHUNK // clusters)
    for first in range(0, exchanges, chunk):
        drawn = generator.integers(0, 2, (min(chunk, exchanges - first), clusters), dtype=np.int8)
        yield np.asarray(1.0 - 2.0 * drawn, np.float64)
