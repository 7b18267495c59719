"""The folds of a cross-validation, or the seeds of a run, as one page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from featurestore.pages.template import render_part
from models.errors import RunError
from models.figures import concordance, metrics
from models.figures.estimates import Estimates
from models.figures.intervals import intervals
from models.figures.predictions import Predictions
from models.reports.dimensions import dimension_parts
from models.reports.items import Sounds, item_parts
from models.reports.paper import paper_parts
from models.reports.parts import class_table, leak_verdict, measure_table, number, page, paragraph, settings, table
from models.reports.provenance import conditions, cost, model_rows, origin, terms
from models.reports.remarks import remarks, tested_often
from models.runs.checkpoint import read_json
from models.runs.folders import RunFolder, pooled_summary
from models.runs.records import holds_estimates, predictions_name, read_estimates, read_predictions, read_result
from models.runs.run import RunConfig, read_config

CALLED = {**metrics.DISPLAY, **concordance.DISPLAY}
WORDS = {"fold": "folds", "seed": "seeds"}
PAGE = "report.html"
"""The page of a run, in its folder."""
MOST_SPEAKERS = 12
"""Speakers of a fold that are named; the others are counted."""


def ended_runs(folder: RunFolder) -> list[Path]:
    """Return the folders of the runs that have ended; `RunError` if none has."""
    ended = [run for run in folder.runs() if (run / "summary.json").is_file()]
    if not ended:
        raise RunError(f"none of the {len(folder.runs())} runs in {folder.path} is finished: resume them first.")
    return ended


def render_folder(folder: RunFolder, out: Path, against: Sequence[str] = (), sounds: Sounds | None = None) -> str:
    """Return the page of a folder of folds or seeds as HTML; runs that have not ended are named and left out.

    Parameters
    ----------
    folder : RunFolder
    out : Path
        Where the page will be, which its links to the pages of the runs start from.
    against : sequence of str
        Paragraphs that compare it with others.
    sounds : Sounds, optional
        The dataset, where it is at hand.

    Raises
    ------
    RunError
        If no run has ended.
    """
    ended, word = ended_runs(folder), WORDS[folder.kind]
    configs, results = [read_config(run) for run in ended], [read_result(run) for run in ended]
    config, summary = configs[0], pooled_summary(ended)
    together = metrics.mean_and_deviation([result["test"] for result in results])
    lead = ", ".join(
        f"{CALLED[name]} {number(mean)}" + ("" if deviation is None else f" ± {number(deviation)}")
        for (name, mean), deviation in zip(together["mean"].items(), together["deviation"].values(), strict=True)
    )
    missing = ", ".join(str(run.relative_to(folder.path)) for run in folder.runs() if run not in ended)
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
        *([paragraph(f"Not finished: {lacking}.", "leak")] if (lacking := folder.unfinished()) else []),
        _run_table(folder, ended, results, together, out),
        *tested_often(read_json(run / "summary.json") for run in ended),
        *against,
        leak_verdict(_all_leaks(configs)),
        *_item_parts(folder, summary, sounds, {name: sex for one in configs for name, sex in one.sexes.items()}),
        *([paper_parts(config, summary, summary, len(ended))] if folder.kind == "fold" and summary["items"] else []),
        "<h2 id='making'>How they were made</h2>",
        paragraph(f"As the first of the {word}; times are of all.", "note"),
        table(("", ""), how),
    )
    return page(f"{config.model} on {config.dataset['name']}, {len(ended)} {word}", parts)


def _run_table(
    folder: RunFolder,
    ended: Sequence[Path],
    results: Sequence[Mapping[str, Any]],
    together: Mapping[str, Mapping[str, float | None]],
    out: Path,
) -> str:
    """Return a line for each run: whom it was tested on, its metrics, and a link to its page if it has one."""
    rows, names = [], metrics.tracked_in(results[0]["test"])
    for run, result in zip(ended, results, strict=True):
        kept, shown = run / predictions_name("test"), run / PAGE
        tested = _answers(kept) if kept.is_file() else None
        rows.append(
            {
                "name": str(run.relative_to(folder.path)),
                "link": quote(os.path.relpath(shown, out.absolute().parent)) if shown.is_file() else "",
                "speakers": "unknown" if tested is None else _named(tested.speakers),
                "clips": "–" if tested is None else len(tested),
                "values": [number(result["test"].get(name)) for name in names],
                "places": [_place(result["test"].get(name)) for name in names],
            }
        )
    averages = [
        {"name": name, "values": [number(together[name].get(measure)) for measure in names]}
        for name in ("mean", "deviation")
    ]
    return render_part(
        "folds.html",
        kind=folder.kind,
        measures=[CALLED[name] for name in names],
        rows=rows,
        averages=averages,
    )


def _place(value: float | None) -> float | None:
    """Return where a dot is drawn between 0 and 1; nowhere for a CCC below 0."""
    return None if value is None or value < 0 else value


def _answers(path: Path) -> Predictions | Estimates:
    return read_estimates(path) if holds_estimates(path) else read_predictions(path)


def _named(speakers: Sequence[str | None]) -> str:
    names = sorted({one or "unknown" for one in speakers})
    more = f" and {len(names) - MOST_SPEAKERS} more" if len(names) > MOST_SPEAKERS else ""
    return ", ".join(names[:MOST_SPEAKERS]) + more


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


def pooled_items(folder: RunFolder) -> Predictions | None:
    """Return the test items of all folds; None for seeds, where each is there several times, or if none were kept."""
    try:
        found = folder.predictions("test")
    except RunError:
        return None
    return found[0] if folder.kind == "fold" and len(found) == 1 else None


def _item_parts(
    folder: RunFolder, summary: Mapping[str, Any], sounds: Sounds | None, sexes: Mapping[str, str]
) -> Iterator[str]:
    """Describe the test items: of all folds put together, or of all seeds, which have the same."""
    if "dimensions" in summary:
        yield from _dimension_parts(folder, summary)
        return
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
        yield from remarks(summary)
        yield measure_table(summary, found)
        yield class_table(summary)
        caption = "Confusion on the test side, all put together"
        yield item_parts(summary, "test", caption, pooled_items(folder), sounds, sexes)


def _dimension_parts(folder: RunFolder, summary: Mapping[str, Any]) -> Iterator[str]:
    """Describe the estimates of all folds together; of seeds, those of the first with the interval of their mean."""
    tested = folder.estimates("test")
    if folder.kind == "seed":
        found = {**concordance.figures(tested[0]), **concordance.intervals([one.sorted() for one in tested])}
        yield "<h2>Test side, the first seed</h2>"
        yield from dimension_parts(found, tested[0], "test", "Intervals are those of the mean over seeds.")
    elif summary["items"]:
        yield "<h2>All test items together</h2>"
        yield from dimension_parts(
            summary, tested[0] if len(tested) == 1 else None, "test", "The folds' test items, pooled."
        )
