"""What a model said about each item, in memory and as a CSV file that spreadsheets and pandas read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data import FeatureView
from models.errors import CheckpointError
from models.figures import metrics
from models.runs.checkpoint import regular, write_atomically

COLUMNS = ("path", "copy", "speaker", "label", "predicted", "content")
"""Columns of the file before the probabilities, which are called `p(class)`."""


@dataclass(frozen=True)
class Predictions:
    """Items with what they are and what a model said, in the order of a view."""

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    copies: NDArray[np.int64]
    """Copy index of each item."""
    speakers: tuple[str | None, ...]
    contents: tuple[str, ...]
    """The sha256 of each item's recording."""
    labels: NDArray[np.int64]
    """True class numbers `[items]`."""
    predicted: NDArray[np.int64]
    """Class numbers `[items]`."""
    probabilities: NDArray[np.float64]
    """`[items, classes]`."""

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, view: FeatureView, classes: Sequence[str], labels: NDArray[np.int64], logits: NDArray[np.float64]
    ) -> Predictions:
        """Put a view's items and a model's logits `[items, classes]` together."""
        return cls(
            tuple(classes),
            tuple(view.paths),
            np.asarray(view.copies, np.int64),
            tuple(view.speakers),
            tuple(view.contents),
            labels,
            logits.argmax(axis=1),
            softmax(logits),
        )

    @property
    def confusion(self) -> metrics.Confusion:
        """Counts `array [true, predicted]`."""
        return metrics.confusion_matrix(self.labels, self.predicted, len(self.classes))

    @property
    def items(self) -> list[tuple[str, int, str, str]]:
        """Path, copy, recording and true label of each item: what makes two items the same."""
        names = [self.classes[label] for label in self.labels.tolist()]
        return list(zip(self.paths, self.copies.tolist(), self.contents, names, strict=True))

    def take(self, places: Sequence[int]) -> Predictions:
        """Return some items, in the order given."""
        order = np.asarray(places, np.int64)
        return Predictions(
            self.classes,
            tuple(self.paths[place] for place in order),
            self.copies[order],
            tuple(self.speakers[place] for place in order),
            tuple(self.contents[place] for place in order),
            self.labels[order],
            self.predicted[order],
            self.probabilities[order],
        )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities `[items, classes]` of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Put the items of several folds into one; `CheckpointError` if their classes differ."""
    if len({part.classes for part in parts}) != 1:
        raise CheckpointError("the folds have different classes: their predictions cannot be pooled.")
    return Predictions(
        parts[0].classes,
        tuple(path for part in parts for path in part.paths),
        np.concatenate([part.copies for part in parts]),
        tuple(speaker for part in parts for speaker in part.speakers),
        tuple(content for part in parts for content in part.contents),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "predicted", "probabilities")),
    )


def predictions_name(side: str) -> str:
    """Return what the file of a side is called in a run folder."""
    return f"predictions-{side}.csv"


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a line for each item: path, copy, speaker, label, predicted, content and probabilities."""
    names, text = predictions.classes, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"p({name})" for name in names)])
    for place, (file, copy, content, label) in enumerate(predictions.items):
        shares = [f"{share:.6f}" for share in predictions.probabilities[place].tolist()]
        said = names[int(predictions.predicted[place])]
        writer.writerow([file, copy, predictions.speakers[place] or "", label, said, content, *shares])
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; `CheckpointError` if the file is not such a table."""
    try:
        lines = list(csv.reader(io.StringIO(regular(path).read_bytes().decode("utf-8", "surrogateescape"), newline="")))
        head, rows = lines[0], lines[1:]
        if tuple(head[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(head[:6])}")
        return _parsed(tuple(name[2:-1] for name in head[len(COLUMNS) :]), rows)
    except (OSError, ValueError, IndexError, KeyError, csv.Error) as error:
        raise CheckpointError(f"{path}: no readable table of predictions ({error}).") from error


def _parsed(classes: tuple[str, ...], rows: Sequence[Sequence[str]]) -> Predictions:
    number = {name: place for place, name in enumerate(classes)}
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(COLUMNS) + len(classes))
    shares = np.array(columns[len(COLUMNS) :], np.float64).reshape(len(classes), len(rows)).T
    return Predictions(
        classes,
        tuple(columns[0]),
        np.array([int(copy) for copy in columns[1]], np.int64),
        tuple(speaker or None for speaker in columns[2]),
        tuple(columns[5]),
        np.array([number[name] for name in columns[3]], np.int64),
        np.array([number[name] for name in columns[4]], np.int64),
        shares,
    )
