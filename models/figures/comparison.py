"""A paired permutation test between two runs that labelled the same items.

If two models were equally good, it would not matter which of the two gave which prediction. So their predictions are
exchanged, for each item (or for all items of a speaker together) by the toss of a coin, and the difference that was
found is compared with those that arise. Accuracy and UAR are both sums over items of weighted differences of
correctness, and exchanging answers flips the sign of an item's difference, so both come from the same tosses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RunError
from models.figures.intervals import Clusters, clusters_of, described, spreads_of
from models.figures.metrics import TRACKED, measures
from models.figures.predictions import Predictions

CHUNK = 4_000_000
"""Most drawn numbers held at a time."""
FEWEST_SPEAKERS = 6
"""With fewer, no difference could reach a two-sided p-value of 0.05: the smallest is 2 / 2^speakers."""
MOST_EXACT = 13
"""With at most so many clusters that differ, all exchanges are counted instead of drawn."""
UNITS = ("auto", "speakers", "items")


def compare(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    *,
    unit: str = "auto",
    permutations: int = 10_000,
    seed: int = 0,
    names: tuple[str, str] = ("the first", "the second"),
) -> dict[str, Any]:
    """Test whether two runs differ in accuracy and UAR.

    Parameters
    ----------
    first, second : sequence of Predictions
        Of one run each, or of several seeds on the same items, whose correctness is averaged.
    unit : str
        What is exchanged as a whole: `speakers`, `items`, or `auto`, speakers if there are six or more.
    permutations, seed : int
        Random exchanges, and what draws them; if few clusters differ, all exchanges are counted instead.
    names : tuple of str
        What error messages call the two.

    Returns
    -------
    dict
        `items`, `unit`, `clusters`, `reason`, `ignores_speakers` (then p-values are too small, since clips of a speaker
        are alike), `permutations`, `exact`, `interval_over`, and for `accuracy` and `uar` each `first`, `second`,
        `difference` (first minus second), its 95 % `interval` over speakers or None, and the two-sided `p_value`.

    Raises
    ------
    RunError
        If the items or classes differ; the message names the difference.
    """
    ordered = [run.take(sorted(range(len(run)), key=run.items.__getitem__)) for run in (*first, *second)]
    for run, name in zip(ordered[1:], [*[names[0]] * (len(first) - 1), *[names[1]] * len(second)], strict=True):
        _check_same(ordered[0], run, names[0], name)
    if not len(ordered[0]):
        raise RunError(f"{names[0]} has no items on this side: there is nothing to compare.")
    ours, theirs = ordered[: len(first)], ordered[len(first) :]
    clusters = exchanged(ours[0].speakers, unit)
    differences = _weighted_differences(ours, theirs)
    sums = np.zeros((len(clusters), len(TRACKED)))
    np.add.at(sums, clusters.numbers, differences)
    p_values, exact = sign_flip_test(sums, permutations=permutations, seed=seed)
    bounds, over = _difference_intervals(ours, theirs)
    one, other = (measures(np.stack([run.confusion for run in runs])).mean(axis=0) for runs in (ours, theirs))
    return {
        "items": len(ours[0]),
        "unit": clusters.unit,
        "clusters": len(clusters),
        "reason": clusters.reason,
        "permutations": 2 ** int(sums.any(axis=1).sum()) if exact else permutations,
        "exact": exact,
        "ignores_speakers": clusters.unit == "items",
        "interval_over": over,
        **{
            name: {
                "first": float(one[place]),
                "second": float(other[place]),
                "difference": float(one[place] - other[place]),
                "interval": bounds.get(name),
                "p_value": float(p_values[place]),
            }
            for place, name in enumerate(TRACKED)
        },
    }


def compare_pairs(
    runs: Sequence[Sequence[Predictions]],
    names: Sequence[str],
    **how: Any,  # noqa: ANN401 (as `compare` takes it)
) -> list[dict[str, Any]]:
    """Compare each run with each later one, with p-values corrected for the number of pairs.

    Parameters
    ----------
    runs : sequence of sequence of Predictions
        Each as `compare` takes one.
    names : sequence of str
        Of the runs.
    **how
        `unit`, `permutations` and `seed`, as `compare` takes them.

    Returns
    -------
    list of dict
        What `compare` returns, with the names as `first_run` and `second_run`; each measure has `p_holm` too.
    """
    found = [
        {
            "first_run": names[one],
            "second_run": names[other],
            **compare(runs[one], runs[other], names=(names[one], names[other]), **how),
        }
        for one, other in combinations(range(len(runs)), 2)
    ]
    for measure in TRACKED:
        for pair, p_value in zip(found, holm([pair[measure]["p_value"] for pair in found]), strict=True):
            pair[measure]["p_holm"] = p_value
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order.

    Rejecting those below 0.05 rejects a true hypothesis, one or more, in at most 5 % of all cases.

    References
    ----------
    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    return [float(p_value) for p_value in corrected[np.argsort(order)]]


def ensemble(members: Sequence[Predictions], names: Sequence[str]) -> Predictions:
    """Return the class of the highest mean probability over several runs for each item, in the order of the items.

    Parameters
    ----------
    members : sequence of Predictions
        Of the same items, two at least; each counts alike.
    names : sequence of str
        What error messages call them.

    Raises
    ------
    RunError
        If there is only one member, or items or classes differ.
    """
    if len(members) < 2:
        raise RunError("an ensemble needs two members or more: name more runs, or one with several seeds.")
    ordered = [run.take(sorted(range(len(run)), key=run.items.__getitem__)) for run in members]
    for run, name in zip(ordered[1:], names[1:], strict=True):
        _check_same(ordered[0], run, names[0], name)
    mean = np.mean([run.probabilities for run in ordered], axis=0)
    return replace(ordered[0], predicted=mean.argmax(axis=1), probabilities=mean)


def _check_same(one: Predictions, other: Predictions, name: str, other_name: str) -> None:
    """Refuse predictions of other items or classes; both are in the order of their items."""
    if sorted(one.classes) != sorted(other.classes):
        raise RunError(
            f"{name} and {other_name} have different classes ({', '.join(one.classes)}; {', '.join(other.classes)}): "
            "only runs under one label scheme can be compared."
        )
    if one.classes != other.classes:
        raise RunError(f"{name} and {other_name} number their classes differently. Train one of them again.")
    if one.items == other.items:
        return
    ours, theirs = set(one.items), set(other.items)
    if {item[:3] for item in ours} == {item[:3] for item in theirs} and len(one) == len(other):
        path, *_, label = min(ours - theirs)
        their_label = next(item[3] for item in theirs if item[:3] == min(ours - theirs)[:3])
        difference = f"{path!r} is labelled {label} in one and {their_label} in the other"
    elif {item[0] for item in ours} == {item[0] for item in theirs}:
        difference = f"{len(one)} and {len(other)} rows of the same files, of different copies or recordings"
    else:
        difference = (
            f"{len(ours - theirs)} of {len(one)} are only in the first, {len(theirs - ours)} of {len(other)} only in "
            f"the second, such as {min(ours ^ theirs)[0]!r}"
        )
    raise RunError(
        f"{name} and {other_name} were not tested on the same items: {difference}. "
        "Compare runs of one dataset and split, or 'featurestore evaluate' both on one dataset."
    )


def exchanged(speakers: Sequence[str | None], unit: str) -> Clusters:
    """Return what a test exchanges as a whole; `RunError` if it cannot be what `unit` asks for."""
    if unit not in UNITS:
        raise RunError(f"the unit of a comparison is one of {', '.join(UNITS)}, not {unit!r}.")
    if unit == "items":
        return Clusters(np.arange(len(speakers)), len(speakers), "items", "as requested")
    clusters = clusters_of(speakers, 2 if unit == "speakers" else FEWEST_SPEAKERS)
    if unit == "speakers" and clusters.unit == "items":
        raise RunError(f"speakers cannot be exchanged ({clusters.reason}): use '--unit items'.")
    return clusters


def _weighted_differences(ours: Sequence[Predictions], theirs: Sequence[Predictions]) -> NDArray[np.float64]:
    """Return what each item adds to the difference in accuracy and in UAR, `array [items, 2]`."""
    labels = ours[0].labels
    right = [np.mean([run.predicted == run.labels for run in runs], axis=0) for runs in (ours, theirs)]
    difference = right[0] - right[1]
    support = np.bincount(labels, minlength=len(ours[0].classes))
    by_class = 1 / (support[labels] * np.count_nonzero(support))
    return np.stack([difference / len(labels), difference * by_class], axis=1)


def sign_flip_test(
    sums: NDArray[np.float64], *, permutations: int = 10_000, seed: int = 0
) -> tuple[NDArray[np.float64], bool]:
    """Return two-sided p-values of sums over clusters whose signs may be flipped, and whether all flips were counted.

    Drawn flips count the one that was found among them, `(1 + as large) / (1 + drawn)`, so that a p-value is never 0.

    Parameters
    ----------
    sums : array [clusters, figures]
        What each cluster adds to each difference.

    References
    ----------
    B. Phipson and G. Smyth, Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9 (2010).
    """
    differing = sums[sums.any(axis=1)]
    found = np.abs(differing.sum(axis=0)) * (1 - 1e-9)  # sums in another order differ in their last bits
    if len(differing) <= MOST_EXACT:
        patterns = np.arange(2 ** len(differing))[:, None] >> np.arange(len(differing)) & 1
        return (np.abs((1.0 - 2.0 * patterns) @ differing) >= found).mean(axis=0), True
    generator, chunk = np.random.default_rng(seed), max(1, CHUNK // len(differing))
    as_large = np.zeros(sums.shape[1])
    for first in range(0, permutations, chunk):
        shape = (min(chunk, permutations - first), len(differing))
        signs = 1.0 - 2.0 * generator.integers(0, 2, shape, dtype=np.int8)
        as_large += (np.abs(signs @ differing) >= found).sum(axis=0)
    return (1 + as_large) / (1 + permutations), False


def _difference_intervals(
    ours: Sequence[Predictions], theirs: Sequence[Predictions]
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return the interval of each difference over speakers, whatever the test exchanges, and what it is over."""
    runs = [*ours, *theirs]
    clusters = clusters_of(runs[0].speakers)
    groups = [slice(len(ours)), slice(len(ours), len(runs))]
    spreads, none = spreads_of(runs, clusters, groups, [1, -1], TRACKED)
    bounds = {
        name: [max(spread.value - spread.half_width, -1.0), min(spread.value + spread.half_width, 1.0)]
        for name, spread in spreads.items()
    }
    return bounds, described([ours, theirs], clusters, none)
