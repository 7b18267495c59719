"""Recall by sex and by speaker, with 95 % intervals: whom a model serves worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binomtest

from models.figures.intervals import CONFIDENCE, Spread, clusters_of, interval_of, spreads_of
from models.figures.metrics import TRACKED, measures
from models.figures.predictions import Predictions

Figure = dict[str, Any]
"""`value`, `interval` (`[low, high]` or None) and, where there is none, `none`, the reason."""


def by_sex(predictions: Predictions, sexes: Mapping[str, str]) -> dict[str, Any]:
    """Return accuracy, UAR and the recall of each class for the clips of each sex, and their difference.

    Intervals are by the jackknife over the speakers of a sex, as those of a whole side. That of a difference adds the
    variances of both, with the degrees of freedom of Welch and Satterthwaite, since nobody speaks in both groups.

    Parameters
    ----------
    predictions : Predictions
    sexes : mapping
        Sex by speaker; clips of other speakers are counted as `unknown` and left out.

    Returns
    -------
    dict
        `sexes`: for each `speakers`, `items`, `accuracy`, `uar` and `recall` by class, figures with `value`, `interval`
        and `none`; `difference`: of two sexes, `of` (`female - male`) and the same figures, else None; `unknown`.

    References
    ----------
    B. L. Welch, The generalization of "Student's" problem when several different population variances are involved,
    Biometrika 34 (1947).
    """
    of_items = np.array([sexes.get(speaker or "", "") for speaker in predictions.speakers], dtype=object)
    names = sorted(set(of_items) - {""})
    spreads = {name: _group(predictions.take(np.flatnonzero(of_items == name).tolist())) for name in names}
    found: dict[str, Any] = {
        "sexes": {
            name: {
                "speakers": len({one for one, sex in zip(predictions.speakers, of_items, strict=True) if sex == name}),
                "items": int((of_items == name).sum()),
                **_shaped(predictions.classes, {key: _figure(*one) for key, one in spreads[name].items()}),
            }
            for name in names
        },
        "difference": None,
        "unknown": int((of_items == "").sum()),
    }
    if len(names) == 2:
        first, second = (spreads[name] for name in names)
        both = {key: _difference(first[key], second[key]) for key in first}
        found["difference"] = {"of": " - ".join(names), **_shaped(predictions.classes, both)}
    return found


def by_speaker(predictions: Predictions, sexes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return `speaker`, `sex`, `items`, `accuracy`, its `interval` and `uar` of each speaker, sorted by name.

    The interval is Wilson's for a share: what other clips of the same speaker would give.

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    spoken = np.array([speaker or "unknown" for speaker in predictions.speakers], dtype=object)
    right = predictions.labels == predictions.predicted
    rows = []
    for name in sorted(set(spoken)):
        places = np.flatnonzero(spoken == name)
        count = int(right[places].sum())
        bounds = binomtest(count, len(places)).proportion_ci(CONFIDENCE, "wilson")
        rows.append(
            {
                "speaker": name,
                "sex": sexes.get(name),
                "items": len(places),
                "accuracy": count / len(places),
                "interval": [float(bounds.low), float(bounds.high)],
                "uar": float(measures(predictions.take(places.tolist()).confusion)[1]),
            }
        )
    return rows


Known = tuple[float | None, Spread | None, str]
"""A value, its spread or None, and why there is none."""


def _group(part: Predictions) -> dict[str, Known]:
    """Return accuracy, UAR and, under the class's number, recalls of the items of a sex."""
    found = {name: _known(part, name) for name in TRACKED}
    for number in range(len(part.classes)):  # the recall of a class is the accuracy over its items
        found[str(number)] = _known(part.take(np.flatnonzero(part.labels == number).tolist()), "accuracy")
    return found


def _known(part: Predictions, name: str) -> Known:
    if not len(part):
        return None, None, "there are no items"
    spreads, none = spreads_of([part], clusters_of(part.speakers), [slice(1)], [1], TRACKED)
    value = float(measures(part.confusion)[TRACKED.index(name)])
    return value, spreads.get(name), none.get(name, "")


def _figure(value: float | None, spread: Spread | None, none: str) -> Figure:
    return {"value": value, "interval": None if spread is None else interval_of(spread), "none": none or None}


def _difference(first: Known, second: Known) -> Figure:
    """Return a difference of independent groups."""
    if first[0] is None or second[0] is None:
        return {"value": None, "interval": None, "none": first[2] or second[2]}
    value, none = first[0] - second[0], first[2] or second[2]
    if first[1] is None or second[1] is None:
        return {"value": value, "interval": None, "none": none}
    variances = np.array([first[1].variance, second[1].variance])
    freedom = variances.sum() ** 2 / (variances**2 / [first[1].freedom, second[1].freedom]).sum()
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2) * np.sqrt(variances.sum()))
    return {"value": value, "interval": [value - half, value + half], "none": None}


def _shaped(classes: Sequence[str], figures: Mapping[str, Figure]) -> dict[str, Any]:
    recall = {name: figures[str(number)] for number, name in enumerate(classes)}
    return {**{name: figures[name] for name in TRACKED}, "recall": recall}
