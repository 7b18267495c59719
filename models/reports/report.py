"""A run, or the folds or seeds of a folder, as one page: a single HTML file, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.files import write_atomically
from featurestore.typed_values import typed
from models.errors import CheckpointError, RunError
from models.figures import metrics
from models.figures.comparison import compare
from models.figures.intervals import intervals
from models.reports.dimensions import dimension_parts, lead_of_dimensions
from models.reports.folds import PAGE, ended_runs, render_folder
from models.reports.items import Sounds, item_parts
from models.reports.paper import paper_parts
from models.reports.parts import (
    class_table,
    drawing,
    leak_verdict,
    measure_table,
    number,
    page,
    paragraph,
    settings,
    table,
)
from models.reports.plots import axis_of, curves_in_words, figure_svg, figures_of
from models.reports.provenance import conditions, model_and_cost, origin, terms
from models.reports.remarks import remarks, tested_often
from models.runs.folders import RunFolder
from models.runs.records import predictions_name, read_estimates, read_predictions
from models.runs.run import BaselineRun, Run, RunConfig, load_baseline, load_run, read_config


def write_report(
    folder: Path,
    out: Path | None = None,
    *,
    baseline: Path | None = None,
    sounds: Sounds | None = None,
    folds: bool = False,
) -> Path:
    """Write the report of a run, of a cross-validation or of several seeds; return its path.

    Parameters
    ----------
    folder : Path
        A run folder, or one with folders `fold-01` or `seed-0`.
    out : Path, optional
        Default: `report.html` in the folder.
    baseline : Path, optional
        Run folder of a baseline on the same test items, which the report compares with.
    sounds : Sounds, optional
        The dataset that the runs were made with, for pictures and sounds of the worst mistakes and of cells.
    folds : bool
        Also write the page of each fold or seed that has ended, into its folder; the page of all links to them.

    Raises
    ------
    RunError
        If the folder holds no run, or none that is finished, or the baseline has other test items.
    CheckpointError
        If its files lack what a run writes.
    """
    path = out or folder / PAGE
    single = folder.is_file() or (folder / "config.json").is_file()  # loading a file raises the right error
    with reading(folder):
        against = () if baseline is None else (_beside(folder, baseline),)
        if single:
            text = render_report(_opened(folder), against, sounds)
        else:
            runs = RunFolder.of(folder)
            for run in ended_runs(runs) if folds else ():
                write_report(run, sounds=sounds)
            text = render_folder(runs, path, against, sounds)
    write_atomically(path, text.encode())
    return path


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what damaged files of a run lead to into a `CheckpointError`.

    Summary and history are free-form JSON of any age, and all that drawing does is read them.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error!s:.100}"
        raise CheckpointError(
            f"{folder}: its config.json, summary.json or metrics.jsonl is not as a run writes it ({reason}). "
            "Restore it or train again."
        ) from error


def _opened(folder: Path) -> Run | BaselineRun:
    """Open a run folder, of a network or of a baseline."""
    if (folder / "config.json").is_file() and read_config(folder).is_baseline:
        return load_baseline(folder)
    return load_run(folder)


def _beside(folder: Path, baseline: Path) -> str:
    """Return a paragraph that sets the test side beside that of a baseline."""
    parts = RunFolder.of(baseline)
    if read_config(RunFolder.of(folder).runs()[0]).dimensions:
        raise RunError(f"{folder} estimates dimensions, and baselines tell classes apart: leave out the baseline.")
    ours, theirs = RunFolder.of(folder).predictions("test"), parts.predictions("test")
    found = compare(ours, theirs, names=(str(folder), str(baseline)))
    config = read_config(parts.runs()[0])
    lines = []
    for name in metrics.TRACKED:
        one = found[name]
        bounds = one["interval"]
        within = f", 95 % interval {bounds[0]:+.3f} to {bounds[1]:+.3f}" if bounds else ""
        change = f"this {one['difference']:+.3f}{within}, p {one['p_value']:.4f}"
        lines.append(f"{metrics.DISPLAY[name]} {number(one['second'])}, {change}")
    normalised = config.normalisation.get("kind", "none")
    return paragraph(
        f"Baseline {config.model} (normalisation {normalised}): {'; '.join(lines)}. {found['clusters']:,} "
        f"{found['unit']} exchanged."
    )


def render_report(run: Run | BaselineRun, against: Sequence[str] = (), sounds: Sounds | None = None) -> str:
    """Return the report of a run as HTML; `against` are paragraphs that compare it with others."""
    config, result = run.config, run.summary["result"]
    test = _side_figures(run, "test")
    notes: tuple[str, ...] = typed(run.summary.get("notes", ()), tuple[str, ...], "notes", CheckpointError)
    items = test["items"] if config.dimensions else test["macro_avg"]["support"]
    parts = (
        paragraph(_lead(config, test) if items else "There is no test side.", "lead"),
        _side_table(run, result),
        *(paragraph(f"Note: {note}", "note") for note in notes),
        *([] if config.dimensions else remarks(test)),
        *tested_often([run.summary]),
        *against,
        leak_verdict(config.leaks),
        *([] if config.is_baseline else ["<h2>Training</h2>", *_training_drawings(run.history)]),
        *(part for side in ("test", "validation") if config.rows.get(side) for part in _side_parts(run, side, sounds)),
        *([paper_parts(config, test, test if config.dimensions else _found(run.folder))] if items else []),
        "<h2 id='making'>How it was made</h2>",
        table(
            ("", ""),
            [
                *origin(config),
                *conditions(config),
                *model_and_cost(run),
                ("versions", settings(config.versions)),
                *terms(config, sounds),
            ],
        ),
    )
    return page(f"{config.model} on {config.dataset['name']}", parts)


def _lead(config: RunConfig, test: Mapping[str, Any]) -> str:
    """Return the first sentence: how good the answers to the test side are."""
    if config.dimensions:
        return lead_of_dimensions(test, config.split)
    right = int(np.trace(np.array(test["confusion"])))
    return (
        f"{right} of {test['macro_avg']['support']} test clips labelled right: accuracy (WA) "
        f"{number(test['accuracy'])}, unweighted average recall, UAR (UA), {number(test['uar'])}. "
        f"Split: {config.split or 'not named'}."
    )


def _side_table(run: Run | BaselineRun, result: Mapping[str, Any]) -> str:
    """Return a line for each side with its loss and measures."""
    sides, summary = ("train", "validation", "test"), run.summary
    if run.config.dimensions:
        rows = [(side, *(number(result[side][name]) for name in ("loss", "ccc"))) for side in sides]
        return table(("", "loss (1 - CCC)", "CCC"), rows)
    rows = [
        (
            side,
            *(number(result[side][name]) for name in ("loss", *metrics.TRACKED)),
            number(summary.get(side, {}).get("macro_f1")),
        )
        for side in sides
    ]
    return table(("", "loss", *metrics.DISPLAY.values()), rows)


def _side_figures(run: Run | BaselineRun, side: str) -> dict[str, Any]:
    """Return all metrics of a side; of classes from the confusion matrix, which a run of any age has."""
    if run.config.dimensions:
        return dict(run.summary[side])
    classes = run.config.classes
    confusion = np.array(run.summary[side]["confusion"], dtype=np.int64).reshape(len(classes), len(classes))
    return metrics.summary(confusion, classes)


def _training_drawings(history: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    said = curves_in_words(history)
    for one in figures_of(history):
        if one.panels:
            panels = one.panels(history)
            yield drawing([figure_svg(panel, axis_of(panel), said) for panel in panels], one.caption)
        else:
            yield drawing(f"<div class='wide'>{figure_svg(one.draw(history), one.caption, said)}</div>", one.caption)


def _side_parts(run: Run | BaselineRun, side: str, sounds: Sounds | None) -> Iterable[str]:
    figures = _side_figures(run, side)
    yield f"<h2>{side.capitalize()} side</h2>"
    if run.config.dimensions:
        yield from dimension_parts(figures, read_estimates(run.folder / predictions_name(side)), side)
        return
    vote = run.summary[side].get("vote")
    if vote:
        yield paragraph(
            f"Majority vote of {vote['copies']} copies of each recording; {vote['ties']} ties, by mean probability."
        )
    kept = run.folder / predictions_name(side)
    yield measure_table(figures, _found(run.folder, side))
    yield class_table(figures)
    known = read_predictions(kept) if kept.is_file() and not vote else None
    yield item_parts(figures, side, f"Confusion on the {side} side", known, sounds, run.config.sexes)


def _found(folder: Path, side: str = "test") -> Mapping[str, Any]:
    """Return the intervals of a side; nothing for a run of before predictions were kept."""
    kept = folder / predictions_name(side)
    return intervals([read_predictions(kept)]) if kept.is_file() else {}
