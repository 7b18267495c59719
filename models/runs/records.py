"""What a run folder records: its history, its result, and its CSV tables, which spreadsheets and pandas read.

A folder may be damaged or edited by hand, so everything is checked as it is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featurestore.checksummed_json import parsed
from featurestore.files import write_atomically
from featurestore.typed_values import typed
from models.batches.loader import FeatureView
from models.errors import CheckpointError
from models.figures.estimates import Estimates
from models.figures.metrics import tracked_in
from models.figures.predictions import Predictions
from models.runs.checkpoint import read_json, regular

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

ESTIMATE_COLUMNS = ("path", "copy", "speaker", "content")
"""Columns of such a file about dimensions before the numbers: for each, `NAME` is the truth, `estimated(NAME)` not."""

SideRecordings = Mapping[str, Mapping[str, Recording]]
"""Every recording of each side, by path."""


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read the epochs of `metrics.jsonl`, none if there is no such file; `CheckpointError` if a line is not one."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        return [check_epoch(parsed(line)) for line in regular(path).read_bytes().splitlines()]
    except (OSError, ValueError, RecursionError, CheckpointError) as error:
        raise CheckpointError(
            f"{path}: a line is not that of an epoch ({error!s:.200}). Restore or train again."
        ) from error


def check_epoch(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an epoch if it has the metrics of both sides; `CheckpointError` otherwise."""
    typed(record.get("epoch"), int, "epoch", CheckpointError)
    for side in ("train", "validation"):
        figures = typed(record.get(side), dict, side, CheckpointError)
        for name in ("loss", *tracked_in(figures)):
            typed(figures.get(name), float | None, f"{name} of {side}", CheckpointError)
    return record


def read_result(folder: Path) -> dict[str, Any]:
    """Return the result of a finished run; `CheckpointError` if it lacks the metrics of its test side."""
    path = folder / "summary.json"
    result: dict[str, Any] = typed(read_json(path).get("result"), dict, f"{path}: result", CheckpointError)
    test = typed(result.get("test"), dict, f"{path}: test", CheckpointError)
    for name in tracked_in(test):
        if test.get(name, "") is not None:  # there was no test side
            typed(test.get(name), float, f"{path}: {name} of the test side", CheckpointError)
    return result


def read_side(folder: Path, side: str) -> dict[str, Any]:
    """Return the metrics of a side of a finished run: `classes`, `confusion` and what follows from them.

    Raises
    ------
    CheckpointError
        If `summary.json` cannot be read or has no confusion matrix of the side.
    """
    path = folder / "summary.json"
    figures: dict[str, Any] = typed(read_json(path).get(side), dict, f"{path}: {side}", CheckpointError)
    classes = typed(figures.get("classes"), tuple[str, ...], f"{path}: classes", CheckpointError)
    confusion = typed(figures.get("confusion"), tuple[tuple[int, ...], ...], f"{path}: confusion", CheckpointError)
    if {len(classes)} != {len(confusion), *map(len, confusion)}:
        raise CheckpointError(f"{path}: the confusion matrix of the {side} side does not fit its classes. Train again.")
    return figures


def recordings_of(view: FeatureView) -> dict[str, Recording]:
    """Return what identifies every recording of a view, by its path; sounds are known only for datasets in a store."""
    sounds: Mapping[str, str] = getattr(view, "sounds", {})
    return {
        path: Recording(content, sounds.get(content, ""), speaker or "")
        for path, content, speaker in zip(view.paths, view.contents, view.speakers, strict=True)
    }


def write_sides(folder: Path, sides: Mapping[str, FeatureView]) -> None:
    """Write `sides.csv`: which recordings were on which side, in the order of their paths."""
    lines = (
        (path, side, *recording)
        for side, view in sides.items()
        for path, recording in sorted(recordings_of(view).items())
    )
    _write(folder / SIDES_FILE, [COLUMNS, *lines])


def read_sides(folder: Path) -> SideRecordings | None:
    """Read `sides.csv`; None for a run from before it was kept, `CheckpointError` if it is not such a table."""
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
    """Return the name of the file with the predictions for a side."""
    return f"predictions-{side}.csv"


def write_predictions(path: Path, predictions: Predictions | Estimates) -> None:
    """Write a line for each item: path, copy, speaker, label, predicted, content and probabilities.

    Of dimensions: path, copy, speaker, content and, for each, the truth and the estimate.
    """
    if isinstance(predictions, Estimates):
        _write_estimates(path, predictions)
        return
    names = predictions.classes
    lines: list[Sequence[str | int]] = [[*PREDICTION_COLUMNS, *(f"p({name})" for name in names)]]
    for place, (file, copy, content, label) in enumerate(predictions.items):
        shares = [f"{share:.6f}" for share in predictions.probabilities[place].tolist()]
        predicted = names[int(predictions.predicted[place])]
        lines.append([file, copy, predictions.speakers[place] or "", label, predicted, content, *shares])
    _write(path, lines)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; `CheckpointError` if the file is not such a table."""
    before = len(PREDICTION_COLUMNS)
    try:
        head, *rows = _read(path)
        if tuple(head[: len(ESTIMATE_COLUMNS)]) == ESTIMATE_COLUMNS:
            raise ValueError("it holds estimates of dimensions, and no classes")
        if tuple(head[:before]) != PREDICTION_COLUMNS:
            raise ValueError(f"its columns are {', '.join(head[:before])}")
        classes = tuple(name[2:-1] for name in head[before:])
        number = {name: place for place, name in enumerate(classes)}
        columns = list(zip(*rows, strict=True)) if rows else [()] * (before + len(classes))
        paths, copies, speakers, labels, predicted, contents, *shares = columns
        return Predictions(
            classes,
            tuple(paths),
            np.array([int(copy) for copy in copies], np.int64),
            tuple(speaker or None for speaker in speakers),
            tuple(contents),
            np.array([number[name] for name in labels], np.int64),
            np.array([number[name] for name in predicted], np.int64),
            np.array(shares, np.float64).reshape(len(classes), len(rows)).T,
        )
    except (OSError, ValueError, IndexError, KeyError, csv.Error) as error:
        raise CheckpointError(f"{path}: no readable table of predictions ({error}).") from error


def _write_estimates(path: Path, estimates: Estimates) -> None:
    head = (part for name in estimates.dimensions for part in (name, f"estimated({name})"))
    lines: list[Sequence[str | int]] = [[*ESTIMATE_COLUMNS, *head]]
    values = np.stack([estimates.truth, estimates.estimated], axis=2).reshape(len(estimates), -1).tolist()
    for place, (file, copy, content, _) in enumerate(estimates.items):
        lines.append([file, copy, estimates.speakers[place] or "", content, *map(repr, values[place])])
    _write(path, lines)


def holds_estimates(path: Path) -> bool:
    """Tell a file of estimates from one of predicted classes, by its columns; one that cannot be read is neither."""
    with suppress(OSError), regular(path).open("rb") as file:
        return file.read(4096).startswith(",".join(ESTIMATE_COLUMNS).encode())
    return False


def read_estimates(path: Path) -> Estimates:
    """Read what `write_predictions` wrote of dimensions; `CheckpointError` if the file is not such a table."""
    before = len(ESTIMATE_COLUMNS)
    try:
        head, *rows = _read(path)
        dimensions = tuple(head[before::2])
        if head != [*ESTIMATE_COLUMNS, *(part for name in dimensions for part in (name, f"estimated({name})"))]:
            raise ValueError(f"its columns are {', '.join(head)}")
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(head)
        paths, copies, speakers, contents, *values = columns
        numbers = np.array(values, np.float64).reshape(len(dimensions), 2, len(rows))
        if not np.isfinite(numbers).all():
            raise ValueError("a number is not finite")
        return Estimates(
            dimensions,
            tuple(paths),
            np.array([int(copy) for copy in copies], np.int64),
            tuple(speaker or None for speaker in speakers),
            tuple(contents),
            *(numbers[:, place].T for place in (0, 1)),
        )
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise CheckpointError(f"{path}: no readable table of estimates ({error}).") from error


def _write(path: Path, lines: Iterable[Sequence[str | int]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _read(path: Path) -> list[list[str]]:
    text = regular(path).read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.reader(io.StringIO(text, newline="")))
