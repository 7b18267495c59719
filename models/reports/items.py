"""The items of one side on a report's page: confusion, speakers, calibration and the worst mistakes."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import FeatureStoreError
from featurestore.pages.examples import Example, examples
from featurestore.pages.template import render_part
from models.figures.groups import by_sex, by_speaker
from models.figures.metrics import DISPLAY, TRACKED

if TYPE_CHECKING:
    from featurestore.view import DatasetView
    from models.figures.predictions import Predictions

LISTED = 60
"""Recordings that a cell of the confusion matrix lists; the others are counted."""
MOST_HEARD = 40
"""Recordings behind cells of the confusion matrix that get a picture and sound, beside the worst mistakes."""
BINS = 10
"""Of the calibration curve, as many as Guo et al. (2017) have for small test sets."""


@dataclass(frozen=True)
class Sounds:
    """Where the pictures and sounds of recordings come from."""

    view: DatasetView
    shown: int
    """Worst mistakes that get them; so does one recording of each cell of the confusion matrix."""
    audio: bool


def item_parts(
    figures: Mapping[str, Any],
    side: str,
    caption: str,
    predictions: Predictions | None = None,
    sounds: Sounds | None = None,
    sexes: Mapping[str, str] | None = None,
) -> str:
    """Return what is known of the items of a side as HTML.

    Parameters
    ----------
    figures : mapping
        `classes`, `confusion` and `per_class`, as in `summary.json`.
    side : str
        Its name.
    caption : str
        Of the confusion matrix.
    predictions : Predictions, optional
        Of each item; without them there is the confusion matrix alone.
    sounds : Sounds, optional
        The dataset, where it is at hand.
    sexes : mapping, optional
        Sex by speaker, where it is known.
    """
    classes, counts = list(figures["classes"]), np.array(figures["confusion"], np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    matrix = [
        {
            "name": name,
            "number": number,
            "cells": [
                {"count": int(n), "share": float(s)} for n, s in zip(counts[number], shares[number], strict=True)
            ],
        }
        for number, name in enumerate(classes)
    ]
    groups = None if predictions is None else by_sex(predictions, sexes or {})
    supports = {name: figures["per_class"][name] for name in classes}
    worst, heard = ([], []) if predictions is None else _shown_items(predictions, sounds)
    return render_part(
        "items.html",
        side=side,
        caption=caption,
        classes=classes,
        matrix=matrix,
        csv=base64.b64encode(confusion_csv(counts, classes).encode()).decode(),
        recalls=[
            (name, one["support"], one["recall"], None) for name, one in supports.items() if one["recall"] is not None
        ],
        listed=None if predictions is None else _listed(predictions, side),
        sexes=groups,
        sex_rows=[] if groups is None else sex_rows(groups),
        speakers=[] if predictions is None else _speaker_dots(predictions, sexes or {}),
        calibration=None if predictions is None else _calibration(predictions),
        worst=worst,
        heard=heard,
        worst_note="" if sounds else "Pictures and sounds are left out: the dataset is not in this store.",
    )


def confusion_csv(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return a confusion matrix as CSV: a line for each true class, a column for each answer."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["true", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, counts.tolist(), strict=True))
    return text.getvalue()


def speaker_rows(predictions: Predictions) -> list[tuple[str, int, float]]:
    """Return each speaker with the number of clips and the share of them that is labelled right, sorted by name."""
    return [(one["speaker"], one["items"], one["accuracy"]) for one in by_speaker(predictions, {})]


def _speaker_dots(predictions: Predictions, sexes: Mapping[str, str]) -> list[tuple[str, int, float, list[float]]]:
    """Return what `speaker_rows` does, with the sex in the name, and the interval of the share."""
    return [
        (one["speaker"] + (f" ({one['sex']})" if one["sex"] else ""), one["items"], one["accuracy"], one["interval"])
        for one in by_speaker(predictions, sexes)
    ]


def sex_rows(groups: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return UAR, accuracy and the recall of each class, each for both sexes and their difference."""
    columns = [*groups["sexes"].values(), *([groups["difference"]] if groups["difference"] else [])]
    classes = list(columns[0]["recall"]) if columns else []
    rows = [(DISPLAY[name], [column[name] for column in columns]) for name in TRACKED]
    return rows + [(f"recall of {name}", [column["recall"][name] for column in columns]) for name in classes]


def calibration_bins(predictions: Predictions) -> tuple[float, list[tuple[int, float, float]]]:
    """Return the expected calibration error and, for each bin with items, their number, mean probability and accuracy.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    answered = _of_answer(predictions)
    right = predictions.labels == predictions.predicted
    places = np.minimum((answered * BINS).astype(np.int64), BINS - 1)
    bins = [
        (int(inside.sum()), float(answered[inside].mean()), float(right[inside].mean()))
        for inside in (places == place for place in range(BINS))
        if inside.any()
    ]
    error = sum(count * abs(probability - accuracy) for count, probability, accuracy in bins) / max(len(right), 1)
    return float(error), bins


def _of_answer(predictions: Predictions) -> NDArray[np.float64]:
    """Return the probability of the answer to each item, array [items]."""
    return np.clip(predictions.probabilities[np.arange(len(predictions)), predictions.predicted], 0, 1)


def _calibration(predictions: Predictions) -> dict[str, Any] | None:
    if not len(predictions):
        return None
    error, bins = calibration_bins(predictions)
    x, y, size = 34, 6, 150
    points = [(x + size * p, y + size * (1 - a), n) for n, p, a in bins]
    line = " ".join(f"{'L' if place else 'M'}{px:.1f} {py:.1f}" for place, (px, py, _) in enumerate(points))
    most = max(n for _, _, n in points)
    dots = "".join(
        f"<circle cx='{px:.1f}' cy='{py:.1f}' r='{2 + 4 * (n / most) ** 0.5:.1f}'><title>{n} clips</title></circle>"
        for px, py, n in points
    )
    said = "; ".join(f"{n} clips with {p:.2f}: {a:.2f} right" for n, p, a in bins)
    svg = (
        "<svg class='curve' role='img' viewBox='0 0 200 200'><title>Calibration curve</title>"
        f"<desc>{escape(said)}</desc>"
        f"<path d='M{x} {y}V{y + size}H{x + size}M{x} {y + size}L{x + size} {y}'/>"
        f"<path class='answer' d='{line}'/>{dots}"
        f"<text x='{x + size / 2}' y='{y + size + 28}' text-anchor='middle'>probability of the answer</text>"
        f"<text x='12' y='{y + size / 2}' text-anchor='middle' transform='rotate(-90 12 {y + size / 2})'>"
        "share right</text>"
        f"<text x='{x}' y='{y + size + 14}' text-anchor='middle'>0</text>"
        f"<text x='{x + size}' y='{y + size + 14}' text-anchor='middle'>1</text></svg>"
    )
    return {"error": error, "bins": BINS, "drawing": svg}


def _listed(predictions: Predictions, side: str) -> dict[str, Any]:
    """Return the items of each cell, those with the highest probability first."""
    answered = _of_answer(predictions)
    cells: dict[str, list[dict[str, Any]]] = {}
    counts: dict[str, int] = {}
    for item in np.argsort(-answered, kind="stable").tolist():
        cell = f"{predictions.labels[item]}-{predictions.predicted[item]}"
        counts[cell] = counts.get(cell, 0) + 1
        if counts[cell] <= LISTED:
            one = {"number": item, "path": _called(predictions, item), "said": _probabilities(predictions, item)}
            cells.setdefault(cell, []).append({**one, "speaker": predictions.speakers[item] or "unknown"})
    return {"cells": cells, "counts": counts, "side": side}


def _called(predictions: Predictions, item: int) -> str:
    copy = int(predictions.copies[item])
    return predictions.paths[item] + (f", copy {copy}" if copy else "")


def _probabilities(predictions: Predictions, item: int) -> str:
    values = predictions.probabilities[item]
    order = np.argsort(-values, kind="stable")[:4]
    return ", ".join(f"{predictions.classes[place]} {values[place]:.2f}" for place in order.tolist())


def _shown_items(predictions: Predictions, sounds: Sounds | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the mistakes with the highest probability, and what else can be heard: one item of each cell.

    Both come with pictures and sounds where the dataset is at hand; without it there is nothing of the latter.
    """
    answered = _of_answer(predictions)
    likeliest = np.argsort(-answered, kind="stable")
    wrong = predictions.labels != predictions.predicted
    worst = likeliest[wrong[likeliest]][: sounds.shown if sounds else 8].tolist()
    heard: list[int] = []
    if sounds:
        cells = predictions.labels[likeliest] * len(predictions.classes) + predictions.predicted[likeliest]
        firsts = likeliest[np.unique(cells, return_index=True)[1]]
        by_need = firsts[np.argsort(~wrong[firsts], kind="stable")]  # mistakes before right answers
        heard = [item for item in by_need.tolist() if item not in worst][:MOST_HEARD]
    shown = _examples(sounds, [predictions.paths[item] for item in (*worst, *heard)]) if sounds else {}

    def described(item: int) -> dict[str, Any]:
        return {
            "number": item,
            "path": _called(predictions, item),
            "label": predictions.classes[predictions.labels[item]],
            "predicted": predictions.classes[predictions.predicted[item]],
            "probability": float(answered[item]),
            "probabilities": _probabilities(predictions, item),
            "speaker": predictions.speakers[item] or "unknown",
            "example": shown.get(predictions.paths[item]),
        }

    return [described(item) for item in worst], [described(item) for item in heard]


def _examples(sounds: Sounds, paths: Sequence[str]) -> dict[str, Example]:
    try:
        return {one.path: one for one in examples(sounds.view, paths, 0, audio=sounds.audio)}
    except FeatureStoreError:  # a page about a run does without a store that is damaged, which `verify` names
        return {}
