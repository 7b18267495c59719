"""The figures of a run as files for papers and slides: PNG, SVG and PDF, and what they show as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from featurestore.errors import StorageError
from featurestore.files import write_atomically
from models.errors import RunError
from models.figures.metrics import DISPLAY, TRACKED, recalls
from models.figures.predictions import Predictions
from models.reports.folds import ended_runs, pooled_items
from models.reports.items import calibration_bins, confusion_csv, speaker_rows
from models.reports.plots import (
    FORMS,
    TRAIN,
    VALIDATION,
    figures_of,
    new_figure,
    plain_axes,
    write_confusion,
    write_figure,
)
from models.reports.report import reading
from models.runs.folders import RunFolder, pooled_summary
from models.runs.records import predictions_name, read_history, read_predictions, read_result, read_side
from models.runs.run import read_config

Rows = Sequence[Sequence[Any]]
EPOCH = ("loss", *TRACKED)
"""What a line of `training.csv` has of each side."""


def write_figures(folder: Path, out: Path) -> list[Path]:
    """Write every figure of a run, or of a folder of folds or seeds, as `NAME.png`, `.svg`, `.pdf` and `.csv`.

    Parameters
    ----------
    folder : Path
        A run folder, or one with folders `fold-01` or `seed-0`, of which the ended ones count.
    out : Path
        The folder to write into, which is made where there is none.

    Returns
    -------
    list of Path
        All files, sorted.

    Raises
    ------
    RunError, CheckpointError
        If the folder holds no run that has ended, or its files lack what a run writes.
    StorageError
        If the files cannot be written.
    """
    runs = RunFolder.of(folder)
    if read_config(runs.runs()[0]).dimensions:
        raise RunError(
            f"{folder} estimates dimensions: its figures are in the run folders (training, estimates-test), and on "
            "its page. Leave out 'figures'."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{out}: no folder can be made there ({error.strerror}). Name another one.") from error
    with reading(folder):
        names = list(_of_run(folder, out) if runs.kind == "run" else _of_folder(runs, out))
    return sorted(out / f"{name}.{form}" for name in names for form in (*FORMS, "csv"))


def _of_run(folder: Path, out: Path) -> Iterator[str]:
    """Draw the training and both sides of a run; yield the name of each figure."""
    config, history = read_config(folder), read_history(folder)
    for figure in figures_of(history) if history else ():
        write_figure(figure.draw(history), out / figure.file, forms=FORMS)
        _write_rows(out / figure.file, *(_norms(history) if figure.needs else _epochs(history)))
        yield figure.file
    for side in ("validation", "test"):
        kept = folder / predictions_name(side)
        if config.rows.get(side):
            summary = read_side(folder, side)
            known = read_predictions(kept) if kept.is_file() and not summary.get("vote") else None
            yield from _of_side(summary, side, known, out)


def _of_folder(runs: RunFolder, out: Path) -> Iterator[str]:
    """Draw the metrics of the runs, and their test items together; yield the name of each figure."""
    ended = ended_runs(runs)
    names = [str(run.relative_to(runs.path)) for run in ended]
    tested = [read_result(run)["test"] for run in ended]
    name = f"{runs.kind}s"
    series = {DISPLAY[measure]: [one.get(measure) for one in tested] for measure in TRACKED}
    write_figure(_dots(names, series, "value"), out / name, forms=FORMS)
    _write_rows(out / name, (runs.kind, *TRACKED), list(zip(names, *series.values(), strict=True)))
    yield name
    yield from _of_side(pooled_summary(ended), "test", pooled_items(runs), out)


def _of_side(summary: Mapping[str, Any], side: str, predictions: Predictions | None, out: Path) -> Iterator[str]:
    """Draw what is known of the items of a side."""
    classes, confusion = list(summary["classes"]), np.array(summary["confusion"], np.int64)
    name = f"confusion-{side}"
    write_confusion(confusion, classes, side, out / name, forms=FORMS)
    write_atomically((out / name).with_suffix(".csv"), confusion_csv(confusion, classes).encode())
    yield name
    shares = [None if np.isnan(share) else float(share) for share in recalls(confusion)]
    rows = list(zip(classes, confusion.sum(axis=1).tolist(), shares, strict=True))
    yield _dot_file(out / f"recall-{side}", "class", "recall", rows)
    if predictions is None or not len(predictions):
        return
    yield _dot_file(out / f"speakers-{side}", "speaker", "share of clips labelled right", speaker_rows(predictions))
    error, bins = calibration_bins(predictions)
    name = f"calibration-{side}"
    write_figure(_calibration(error, bins), out / name, forms=FORMS)
    _write_rows(out / name, ("clips", "mean probability", "share right"), bins)
    yield name


def _dot_file(path: Path, head: str, measure: str, rows: Rows) -> str:
    """Write one dot for each name, clips and value; return the name of the file."""
    names, _, values = zip(*rows, strict=True)
    write_figure(_dots(names, {measure: values}, measure), path, forms=FORMS)
    _write_rows(path, (head, "clips", measure), rows)
    return path.name


def _dots(names: Sequence[str], series: Mapping[str, Sequence[float | None]], measure: str) -> Figure:
    """Draw values between 0 and 1, a line for each name; several series get a legend."""
    figure = new_figure(5.0, 0.9 + 0.26 * len(names))
    axes = figure.subplots()
    places = np.arange(len(names))
    axes.hlines(places, 0, 1, color="#dddddd", linewidth=0.8)
    for (label, values), colour, marker in zip(series.items(), (TRAIN, VALIDATION), "oD", strict=False):
        known = [np.nan if value is None else value for value in values]
        axes.plot(known, places, marker, color=colour, markersize=5, label=label)
    for tick in axes.set_yticks(places, names):
        tick.label1.set(parse_math=False)  # a name may hold dollar signs
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    plain_axes(axes, measure, "")
    if len(series) > 1:
        figure.legend(frameon=False, loc="outside upper right", ncols=2)
    return figure


def _calibration(error: float, bins: Sequence[tuple[int, float, float]]) -> Figure:
    """Draw the share of right answers over their probability; the area of a dot is its number of clips."""
    figure = new_figure(3.6, 3.6)
    axes = figure.subplots()
    counts, probabilities, right = map(np.array, zip(*bins, strict=True))
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
    axes.plot(probabilities, right, color=TRAIN)
    axes.scatter(probabilities, right, 10 + 70 * counts / counts.max(), color=TRAIN)
    axes.set(xlim=(0, 1), ylim=(0, 1.05), aspect="equal")
    plain_axes(axes, "probability of the answer", "share right")
    axes.set_title(f"expected calibration error {error:.3f}", fontsize=10)
    return figure


def _epochs(history: Sequence[Mapping[str, Any]]) -> tuple[Sequence[str], Rows]:
    """Return what the curves of a training show after each epoch."""
    sides = ("train", "validation")
    head = ("epoch", *(f"{side} {measure}" for side in sides for measure in EPOCH), "learning rate")
    rows = [
        (
            record["epoch"],
            *(record[side].get(measure) for side in sides for measure in EPOCH),
            record.get("learning_rate"),
        )
        for record in history
    ]
    return head, rows


def _norms(history: Sequence[Mapping[str, Any]]) -> tuple[Sequence[str], Rows]:
    """Return the mean norm of each layer's gradient in each epoch that recorded it."""
    records = [record for record in history if record.get("gradient_norms")]
    layers = list(records[0]["gradient_norms"])
    return ("epoch", *layers), [(one["epoch"], *map(one["gradient_norms"].get, layers)) for one in records]


def _write_rows(path: Path, head: Sequence[str], rows: Rows) -> None:
    """Write numbers as CSV, those that are not known as nothing."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([head, *rows])
    write_atomically(path.with_suffix(".csv"), text.getvalue().encode())
