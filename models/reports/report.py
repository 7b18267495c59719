"""A run as one page: a single HTML file without scripts or references, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.typed_values import typed
from models.errors import CheckpointError
from models.figures import metrics
from models.figures.intervals import intervals
from models.reports.parts import (
    class_table,
    confusion_drawing,
    drawing,
    leak_verdict,
    measure_table,
    number,
    page,
    paragraph,
    settings,
    shared_conditions,
    table,
)
from models.reports.plots import figure_svg, figures_of
from models.runs.checkpoint import write_atomically
from models.runs.records import predictions_name, read_predictions
from models.runs.run import Run, RunConfig, load_run


def write_report(run: Run, out: Path) -> Path:
    """Write the report of a run; return its path.

    Everything that is text is escaped: labels and names come from corpora.
    """
    write_atomically(out, render_report(run).encode())
    return out


def write_any_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of a run, of a cross-validation or of several seeds; return its path.

    Parameters
    ----------
    folder : Path
        A run folder, or one with folders `fold-01` or `seed-0`.
    out : Path, optional
        Default: `report.html` in the folder.

    Raises
    ------
    RunError
        If the folder holds no run, or none that is finished.
    CheckpointError
        If its files lack what a run writes.
    """
    from models.reports.folder import render_folder
    from models.runs.folders import RunFolder

    path = out or folder / "report.html"
    single = folder.is_file() or (folder / "config.json").is_file()  # of a file, loading says what is wrong with it
    try:  # summary and history are free-form JSON of any age, and all that drawing does is read them
        text = render_report(load_run(folder)) if single else render_folder(RunFolder.of(folder))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error!s:.100}"
        raise CheckpointError(
            f"{folder}: its config.json, summary.json or metrics.jsonl is not as a run writes it ({reason}). "
            "Restore it or train again."
        ) from error
    write_atomically(path, text.encode())
    return path


def render_report(run: Run) -> str:
    """Return the report of a run as HTML."""
    sides = [side for side in ("test", "validation") if run.config.rows.get(side)]
    parts = (
        paragraph(_sentence(run), "lead"),
        table(("", "loss", *metrics.DISPLAY.values()), _side_rows(run)),
        *(paragraph(f"Note: {note}", "note") for note in _notes(run)),
        leak_verdict(run.config.leaks),
        "<h2>Training</h2>",
        *_training_drawings(run),
        *(_side(run, side) for side in sides),
        "<h2>How it was made</h2>",
        table(("", ""), _conditions(run)),
    )
    return page(f"{run.config.model} on {run.config.dataset['name']}", parts)


def side_figures(config: RunConfig, summary: Mapping[str, Any], side: str) -> dict[str, Any]:
    """Return all figures of a side from its confusion matrix; a run of any age has that."""
    classes = len(config.classes)
    confusion = np.array(summary[side]["confusion"], dtype=np.int64).reshape(classes, classes)
    return metrics.summary(confusion, config.classes)


def _notes(run: Run) -> tuple[str, ...]:
    """Return what was noted before the training; runs from before notes have none."""
    found: tuple[str, ...] = typed(run.summary.get("notes", ()), tuple[str, ...], "notes", CheckpointError)
    return found


def _sentence(run: Run) -> str:
    figures = side_figures(run.config, run.summary, "test")
    items = figures["macro_avg"]["support"]
    if not items:
        return "There is no test side."
    right = int(np.trace(np.array(figures["confusion"])))
    return (
        f"{right} of {items} test clips labelled right: accuracy (WA) {number(figures['accuracy'])}, unweighted "
        f"average recall, UAR (UA), {number(figures['uar'])}. Split: {run.config.split or 'not named'}."
    )


def _side_rows(run: Run) -> Iterable[tuple[Any, ...]]:
    for side in ("train", "validation", "test"):
        figures = run.summary["result"][side]
        macro_f1 = run.summary.get(side, {}).get("macro_f1")
        yield side, *(number(figures[name]) for name in ("loss", "accuracy", "uar")), number(macro_f1)


def _training_drawings(run: Run) -> Iterable[str]:
    history = run.history
    for one in figures_of(history):
        if one.panels:
            yield drawing([figure_svg(panel) for panel in one.panels(history)], one.caption)
        else:
            yield drawing(f"<div class='wide'>{figure_svg(one.draw(history))}</div>", one.caption)


def _side(run: Run, side: str) -> str:
    figures, kept = side_figures(run.config, run.summary, side), run.folder / predictions_name(side)
    parts = [
        f"<h2>{side.capitalize()} side</h2>",
        measure_table(figures, intervals([read_predictions(kept)]) if kept.is_file() else {}),
        class_table(figures),
        confusion_drawing(figures, f"the {side} side"),
    ]
    vote = run.summary[side].get("vote")
    if vote:
        text = f"Majority vote of {vote['copies']} copies of each recording; {vote['ties']} ties, by mean probability."
        parts.insert(1, paragraph(text))
    return "".join(parts)


def _conditions(run: Run) -> list[tuple[str, Any]]:
    result = run.summary["result"]
    return [
        *shared_conditions(run.config),
        ("model", f"{run.config.model}, {result['parameters']:,} parameters"),
        *([("model settings", settings(run.config.settings))] if run.config.settings else []),
        ("epochs", f"{result['epochs']}, best on validation: {result['best_epoch']}"),
        ("time", f"{result['seconds']:.0f} s, {result['clips_per_second']:.0f} clips/s on {result['device']}"),
        ("versions", settings(run.config.versions)),
        ("weights", f"sha256 {run.summary['model_sha256']}"),
    ]
