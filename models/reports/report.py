"""A run, or the folds or seeds of a folder, as one page: a single HTML file, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from featurestore.typed_values import typed
from models.errors import CheckpointError, RunError
from models.figures import metrics
from models.figures.comparison import compare
from models.figures.intervals import intervals
from models.figures.predictions import Predictions
from models.reports.items import Sounds, item_parts
from models.reports.making import conditions, cost, making, model_rows, origin, terms
from models.reports.paper import collapsed, paper_parts
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
from models.runs.checkpoint import write_atomically
from models.runs.folders import RunFolder, pooled_summary
from models.runs.records import predictions_name, read_predictions, read_result
from models.runs.run import BaselineRun, Run, RunConfig, load_baseline, load_run, read_config

WORDS = {"fold": "folds", "seed": "seeds"}


def write_report(
    folder: Path, out: Path | None = None, *, baseline: Path | None = None, sounds: Sounds | None = None
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
        The dataset that the runs were made with, for pictures and sounds of the worst mistakes.

    Raises
    ------
    RunError
        If the folder holds no run, or none that is finished, or the baseline has other test items.
    CheckpointError
        If its files lack what a run writes.
    """
    path = out or folder / "report.html"
    single = folder.is_file() or (folder / "config.json").is_file()  # loading a file raises the right error
    try:  # summary and history are free-form JSON of any age, and all that drawing does is read them
        against = () if baseline is None else (_beside(folder, baseline),)
        if single:
            text = render_report(_opened(folder), against, sounds)
        else:
            text = render_folder(RunFolder.of(folder), against, sounds)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error!s:.100}"
        raise CheckpointError(
            f"{folder}: its config.json, summary.json or metrics.jsonl is not as a run writes it ({reason}). "
            "Restore it or train again."
        ) from error
    write_atomically(path, text.encode())
    return path


def _opened(folder: Path) -> Run | BaselineRun:
    """Open a run folder, of a network or of a baseline."""
    if (folder / "config.json").is_file() and read_config(folder).is_baseline:
        return load_baseline(folder)
    return load_run(folder)


def _beside(folder: Path, baseline: Path) -> str:
    """Return a paragraph that sets the test side beside that of a baseline."""
    parts = RunFolder.of(baseline)
    ours, theirs = RunFolder.of(folder).predictions("test"), parts.predictions("test")
    found = compare(ours, theirs, names=(str(folder), str(baseline)))
    config = read_config(parts.runs()[0])
    lines = []
    for name in metrics.TRACKED:
        one = found[name]
        bounds = one["interval"]
        within = f", 95 % interval {bounds[0]:+.3f} to {bounds[1]:+.3f}" if bounds else ""
        change = f"this {one['difference']:+.4f}{within}, p {one['p_value']:.4f}"
        lines.append(f"{metrics.DISPLAY[name]} {one['second']:.4f}, {change}")
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
    items, right = test["macro_avg"]["support"], int(np.trace(np.array(test["confusion"])))
    lead = "There is no test side."
    if items:
        lead = (
            f"{right} of {items} test clips labelled right: accuracy (WA) {number(test['accuracy'])}, unweighted "
            f"average recall, UAR (UA), {number(test['uar'])}. Split: {config.split or 'not named'}."
        )
    sides = [
        (
            side,
            *(number(result[side][name]) for name in ("loss", *metrics.TRACKED)),
            number(run.summary.get(side, {}).get("macro_f1")),
        )
        for side in ("train", "validation", "test")
    ]
    parts = (
        paragraph(lead, "lead"),
        table(("", "loss", *metrics.DISPLAY.values()), sides),
        *(paragraph(f"Note: {note}", "note") for note in notes),
        *_chance_parts(test),
        *_collapse_parts(test),
        *against,
        leak_verdict(config.leaks),
        *([] if config.is_baseline else ["<h2>Training</h2>", *_training_drawings(run.history)]),
        *(part for side in ("test", "validation") if config.rows.get(side) for part in _side_parts(run, side, sounds)),
        *([paper_parts(config, test, _found(run.folder))] if items else []),
        "<h2 id='making'>How it was made</h2>",
        table(
            ("", ""),
            [
                *origin(config),
                *conditions(config),
                *making(run),
                ("versions", settings(config.versions)),
                *terms(config, sounds),
            ],
        ),
    )
    return page(f"{config.model} on {config.dataset['name']}", parts)


def _chance_parts(figures: Mapping[str, Any]) -> Iterable[str]:
    """Say what answers that hear nothing reach on the same items."""
    found = metrics.chance(np.array(figures["confusion"], np.int64), figures["classes"])
    if found["uar"] is not None:
        yield paragraph(
            f"Chance: UAR (UA) {found['uar']:.4f}; always {found['majority']}: accuracy (WA) {found['accuracy']:.4f}.",
            "note",
        )


def _collapse_parts(figures: Mapping[str, Any]) -> Iterable[str]:
    remark = collapsed(figures["confusion"], figures["classes"])
    if remark:
        yield paragraph(remark, "leak")


def _side_figures(run: Run | BaselineRun, side: str) -> dict[str, Any]:
    """Return all metrics of a side from its confusion matrix, which a run of any age has."""
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
    vote = run.summary[side].get("vote")
    if vote:
        yield paragraph(
            f"Majority vote of {vote['copies']} copies of each recording; {vote['ties']} ties, by mean probability."
        )
    kept = run.folder / predictions_name(side)
    yield measure_table(figures, _found(run.folder, side))
    yield class_table(figures)
    known = read_predictions(kept) if kept.is_file() and not vote else None
    yield item_parts(figures, side, f"Confusion on the {side} side", known, sounds)


def _found(folder: Path, side: str = "test") -> Mapping[str, Any]:
    """Return the intervals of a side; nothing for a run of before predictions were kept."""
    kept = folder / predictions_name(side)
    return intervals([read_predictions(kept)]) if kept.is_file() else {}


def render_folder(folder: RunFolder, against: Sequence[str] = (), sounds: Sounds | None = None) -> str:
    """Return the report of a folder of folds or seeds as HTML; runs that have not ended are named and left out.

    `against` are paragraphs that compare it with others.

    Raises
    ------
    RunError
        If none has ended.
    """
    runs = folder.runs()
    ended = [run for run in runs if (run / "summary.json").is_file()]
    if not ended:
        raise RunError(f"none of the {len(runs)} runs in {folder.path} is finished: resume them first.")
    configs, word = [read_config(run) for run in ended], WORDS[folder.kind]
    config = configs[0]
    results = [read_result(run) for run in ended]
    tested = [result["test"] for result in results]
    together = metrics.spread(tested)
    lead = ", ".join(
        f"{metrics.DISPLAY[name]} {mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")
        for (name, mean), deviation in zip(together["mean"].items(), together["deviation"].values(), strict=True)
    )
    missing = ", ".join(str(run.relative_to(folder.path)) for run in runs if run not in ended)
    names = [str(run.relative_to(folder.path)) for run in ended]
    rows = [*zip(names, tested, strict=True), ("mean", together["mean"]), ("deviation", together["deviation"])]
    summary = pooled_summary(ended)
    how = [
        *origin(config),
        ("split", config.split),
        *(pair for pair in conditions(config) if pair[0] != "rows"),
        *model_rows(config),
        *cost(results),
        ("versions", settings(config.versions)),
        *terms(config, sounds),
    ]
    parts = (
        paragraph(f"Mean and deviation over {len(ended)} {word}: {lead or 'no test items'}.", "lead"),
        *([paragraph(f"Not finished, and not counted here: {missing}.", "leak")] if missing else []),
        table(
            ("test side", *(metrics.DISPLAY[name] for name in metrics.TRACKED)),
            [(shown, *(number(figures.get(name)) for name in metrics.TRACKED)) for shown, figures in rows],
        ),
        *_run_links(folder, ended),
        *against,
        leak_verdict(_all_leaks(configs)),
        *_item_parts(folder, summary, sounds),
        *([paper_parts(config, summary, summary, len(ended))] if folder.kind == "fold" and summary["items"] else []),
        "<h2 id='making'>How they were made</h2>",
        paragraph(f"As the first of the {word}; times are of all.", "note"),
        table(("", ""), how),
    )
    return page(f"{config.model} on {config.dataset['name']}, {len(ended)} {word}", parts)


def _run_links(folder: RunFolder, ended: Sequence[Path]) -> Iterable[str]:
    """Name the speakers whom each fold was tested on, and link to the pages that its runs have."""
    lines = []
    for run in ended:
        name, kept = str(run.relative_to(folder.path)), run / predictions_name("test")
        speakers = sorted({one or "unknown" for one in read_predictions(kept).speakers}) if kept.is_file() else []
        said = ", ".join(speakers[:12]) + (f" and {len(speakers) - 12} more" if len(speakers) > 12 else "")
        shown = f"<a href='{quote(name)}/report.html'>{escape(name)}</a>"
        lines.append(
            f"<li>{shown if (run / 'report.html').is_file() else escape(name)}: {escape(said or 'unknown')}</li>"
        )
    if folder.kind == "fold":
        yield f"<details><summary>Test speakers of each fold</summary><ul>{''.join(lines)}</ul></details>"


def _all_leaks(configs: Sequence[RunConfig]) -> dict[str, Any]:
    """Put the leaks of all runs together."""
    found: dict[str, dict[str, None]] = {}
    for config in configs:
        for kind, names in (config.leaks.get("found") or {}).items():
            listed = names if isinstance(names, (list, tuple)) else [names]
            found.setdefault(kind, {}).update(dict.fromkeys(map(str, listed)))
    declared = sorted({kind for config in configs for kind in config.leaks.get("declared") or []})
    looked = all("found" in config.leaks for config in configs)
    return {"declared": declared, **({"found": {kind: list(names) for kind, names in found.items()}} if looked else {})}


def _pooled(folder: RunFolder) -> Predictions | None:
    """Return the test items of all folds; None for seeds, where each is there several times, or if none were kept."""
    try:
        found = folder.predictions("test")
    except RunError:
        return None
    return found[0] if folder.kind == "fold" and len(found) == 1 else None


def _item_parts(folder: RunFolder, summary: Mapping[str, Any], sounds: Sounds | None) -> Iterable[str]:
    """Describe the test items: of all folds put together, or of all seeds, which have the same."""
    found: Mapping[str, Any] = summary
    heading, note = "All test items together", "The folds' test items, pooled."
    if folder.kind == "seed":
        heading = "Test side, all seeds"
        note = "Counts are summed over seeds; intervals are those of the mean over seeds."
        try:
            seeds = folder.predictions("test")
        except RunError:  # some runs have not ended, or were made before predictions were kept
            seeds = []
        found = intervals(seeds) if len({tuple(run.items) for run in seeds}) == 1 else {}
    if summary["items"]:
        yield f"<h2>{heading}</h2>" + paragraph(note)
        yield from _chance_parts(summary)
        yield from _collapse_parts(summary)
        yield measure_table(summary, found)
        yield class_table(summary)
        yield item_parts(summary, "test", "Confusion on the test side, all put together", _pooled(folder), sounds)
