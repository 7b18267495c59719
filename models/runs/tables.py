"""The CSV tables of a run folder, which spreadsheets and pandas read.

`sides.csv` says which recordings were on which side, so that nothing learnt is tested on; `predictions-SIDE.csv` holds
what the model predicts for each item.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.data import FeatureView
from models.errors import CheckpointError
from models.figures.predictions import Predictions
from models.runs.checkpoint import regular, write_atomically

SIDES_FILE = "sides.csv"
"""A table of sides as `--split` takes one, with what identifies each recording in further columns."""


class Recording(NamedTuple):
    """What identifies a recording of a training; unknown parts are empty."""

    content: str
    """The sha256 of its file; for a segment, with its place in the file."""
    sound: str = ""
    """The checksum of its clean row: the same sound in another container has the same."""
    speaker: str = ""


COLUMNS = ("path", "side", *Recording._fields)
FIRST_COLUMNS = COLUMNS[:3]
"""Of the tables of runs from before sounds and speakers were kept."""

PREDICTION_COLUMNS = ("path", "copy", "speaker", "label", "predicted", "content")
"""Columns of the file before the probabilities, which are called `p(class)`."""

SideRecordings = Mapping[str, Mapping[str, Recording]]
"""Of each side, every recording by its path."""


def recordings_of(view: FeatureView) -> dict[str, Recording]:
    """Return what identifies every recording of a view, by its path; sounds are known only for datasets in a store."""
    sounds: Mapping[str, str] = getattr(view, "sounds", {})
    return {
        path: Recording(content, sounds.get(content, ""), speaker or "")
        for path, content, speaker in zip(view.paths, view.contents, view.speakers, strict=True)
    }


def write_sides(folder: Path, sides: Mapping[str, FeatureView]) -> None:
    """Write `sides.csv`: a line for each recording of each side, in the order of their paths."""
    lines = (
        (path, side, *recording)
        for side, view in sides.items()
        for path, recording in sorted(recordings_of(view).items())
    )
    _write(folder / SIDES_FILE, [COLUMNS, *lines])


def read_sides(folder: Path) -> SideRecordings | None:
    """Read what `write_sides` wrote; None for a run from before it was kept.

    Raises
    ------
    CheckpointError
        If the file is not such a table.
    """
    path = folder / SIDES_FILE
    if not path.exists():
        return None
    found: dict[str, dict[str, Recording]] = {"train": {}, "validation": {}, "test": {}}
    try:
        head, *lines = _read(path)
        if tuple(head) not in (COLUMNS, FIRST_COLUMNS):
            raise ValueError(f"its columns are {', '.join(head)}")
        for name, side, *rest in lines:
            if len(rest) != len(head) - 2:
                raise ValueError(f"{name!r:.80} has {len(rest) + 2} columns and not {len(head)}")
            found[side][name] = Recording(*rest)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise CheckpointError(
            f"{path}: no readable table of sides ({error}). Restore the run folder or train again."
        ) from error
    return found


def predictions_name(side: str) -> str:
    """Return what the file of a side is called in a run folder."""
    return f"predictions-{side}.csv"


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a line for each item: path, copy, speaker, label, predicted, content and probabilities."""
    names = predictions.classes
    lines: list[Sequence[str | int]] = [[*PREDICTION_COLUMNS, *(f"p({name})" for name in names)]]
    for place, (file, copy, content, label) in enumerate(predictions.items):
        shares = [f"{share:.6f}" for share in predictions.probabilities[place].tolist()]
        predicted = names[int(predictions.predicted[place])]
        lines.append([file, copy, predictions.speakers[place] or "", label, predicted, content, *shares])
    _write(path, lines)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; `CheckpointError` if the file is not such a table."""
    try:
        head, *rows = _read(path)
        if tuple(head[: len(PREDICTION_COLUMNS)]) != PREDICTION_COLUMNS:
            raise ValueError(f"its columns are {', '.join(head[:6])}")
        return _parsed(tuple(name[2:-1] for name in head[len(PREDICTION_COLUMNS) :]), rows)
    except (OSError, ValueError, IndexError, KeyError, csv.Error) as error:
        raise CheckpointError(f"{path}: no readable table of predictions ({error}).") from error


def _parsed(classes: tuple[str, ...], rows: Sequence[Sequence[str]]) -> Predictions:
    number = {name: place for place, name in enumerate(classes)}
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(PREDICTION_COLUMNS) + len(classes))
    shares = np.array(columns[len(PREDICTION_COLUMNS) :], np.float64).reshape(len(classes), len(rows)).T
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


def _write(path: Path, lines: Iterable[Sequence[str | int]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _read(path: Path) -> list[list[str]]:
    text = regular(path).read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.reader(io.StringIO(text, newline="")))
