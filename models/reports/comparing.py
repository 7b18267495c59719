"""Pages about several runs on the same items: how much they differ, and what they say together."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.pages.template import render_part
from models.figures import metrics
from models.figures.intervals import intervals, intervals_in_words
from models.figures.predictions import Predictions
from models.reports.items import item_parts
from models.reports.parts import Changed, class_table, measure_table, number, page, paragraph, table
from models.reports.provenance import conditions, model_rows
from models.reports.remarks import remarks
from models.runs.folders import RunFolder
from models.runs.run import read_config

LIKELY = 0.05
"""Corrected p-values below it are drawn in full colour."""


def render_comparison(
    names: Sequence[str], side: str, runs: Sequence[Sequence[Predictions]], pairs: Sequence[Mapping[str, Any]]
) -> str:
    """Return the page of a comparison as HTML.

    Parameters
    ----------
    names : sequence of str
        What the runs are called: their folders or files.
    side : str
        Its name.
    runs : sequence of sequence of Predictions
        Of one run each, or of several seeds on the same items.
    pairs : sequence of mapping
        As `models.figures.comparison.compare_pairs` returns them.
    """
    first, figures = pairs[0], [_figures(one) for one in runs]
    over = intervals_in_words(figures[0]["interval_over"])
    parts = (
        paragraph(_lead(pairs), "lead"),
        table(
            ("run", *(metrics.DISPLAY[name] for name in metrics.TRACKED)),
            [
                (f"{place}: {name}", *(_with_interval(one, measure) for measure in metrics.TRACKED))
                for place, (name, one) in enumerate(zip(names, figures, strict=True), start=1)
            ],
        ),
        paragraph(f"{side.capitalize()} side, {first['items']:,} items. 95 % intervals {over}.", "note"),
        *(_differences(measure, names, pairs) for measure in ("uar", "accuracy")),
        "<h2>How it was tested</h2>",
        paragraph(_how(pairs)),
        *_what_differs(names),
    )
    return page(f"Comparison of {len(names)} runs", parts)


def render_ensemble(
    members: Sequence[Mapping[str, Any]], side: str, figures: Mapping[str, Any], together: Predictions
) -> str:
    """Return the page of an ensemble as HTML.

    Parameters
    ----------
    members : sequence of mapping
        `run` and the tracked measures of each.
    side : str
        Its name.
    figures : mapping
        All metrics of the ensemble, with intervals.
    together : Predictions
        What it says of each item.
    """
    best = max((one["uar"] for one in members if one["uar"] is not None), default=None)
    beside = "" if best is None else f"; the best member alone {number(best)}"
    rows = [(one["run"], *(number(one[name]) for name in metrics.TRACKED)) for one in members]
    parts = (
        paragraph(
            f"The mean of the probabilities of {len(members)} members: accuracy (WA) {number(figures['accuracy'])}, "
            f"unweighted average recall, UAR (UA), {number(figures['uar'])}{beside}.",
            "lead",
        ),
        table(("member", *(metrics.DISPLAY[name] for name in metrics.TRACKED)), rows),
        *remarks(figures),
        f"<h2>{side.capitalize()} side</h2>",
        measure_table(figures, figures),
        class_table(figures),
        item_parts(figures, side, f"Confusion on the {side} side", together),
    )
    return page(f"Ensemble of {len(members)} members", parts)


def _figures(seeds: Sequence[Predictions]) -> dict[str, Any]:
    """Return the tracked measures of a run, the mean over its seeds, with their intervals."""
    order = [run.take(sorted(range(len(run)), key=run.items.__getitem__)) for run in seeds]
    mean = metrics.measures(np.stack([run.confusion for run in order])).mean(axis=0)
    return {**dict(zip(metrics.MEASURES, mean.tolist(), strict=True)), **intervals(order)}


def _lead(pairs: Sequence[Mapping[str, Any]]) -> str:
    differing = sum(pair["uar"]["p_holm"] < LIKELY for pair in pairs)
    if len(pairs) == 1:
        said = "differ" if differing else "cannot be told apart"
        return f"In UAR (UA) the two {said} (p {pairs[0]['uar']['p_value']:.4f})."
    return f"In UAR (UA) {differing} of {len(pairs)} pairs differ (p below {LIKELY} after Holm's correction)."


def _with_interval(figures: Mapping[str, Any], measure: str) -> tuple[str, ...]:
    bounds = figures["interval"][measure]
    return (number(figures[measure]), *([f"{bounds[0]:.3f} to {bounds[1]:.3f}"] if bounds else []))


def _differences(measure: str, names: Sequence[str], pairs: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each pair: its difference with interval, drawn on one scale about zero, and its p-values."""
    ends = [abs(end) for pair in pairs for end in (pair[measure]["interval"] or [pair[measure]["difference"]])]
    most = max((*ends, *(abs(pair[measure]["difference"]) for pair in pairs), 0.01)) * 1.05
    rows = []
    for (one, other), pair in zip(combinations(range(1, 1 + len(names)), 2), pairs, strict=True):
        found = pair[measure]
        low, high = found["interval"] or [found["difference"]] * 2
        rows.append(
            {
                "first": one,
                "second": other,
                "difference": _signed(found["difference"]),
                "interval": f"{_signed(low)} to {_signed(high)}" if found["interval"] else "–",
                "p": f"{found['p_value']:.4f}",
                "p_holm": f"{found['p_holm']:.4f}",
                "likely": found["p_holm"] < LIKELY,
                "left": 50 + 50 * low / most,
                "width": 50 * (high - low) / most,
                "dot": 50 + 50 * found["difference"] / most,
            }
        )
    return render_part(
        "differences.html",
        measure=metrics.DISPLAY[measure],
        name=measure,
        rows=rows,
        most=f"{most:.2f}",
        several=len(pairs) > 1,
        csv=b64encode(_csv(measure, pairs).encode()).decode(),
    )


def _signed(value: float) -> str:
    """Return a difference with its sign, a minus and not a hyphen."""
    return f"{value:+.3f}".replace("-", "−")


def _csv(measure: str, pairs: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("first", "second", "difference", "low", "high", "p", "p_holm"))
    for pair in pairs:
        found = pair[measure]
        ends = found["interval"] or [None, None]
        values = (found["difference"], *ends, found["p_value"], found["p_holm"])
        writer.writerow((pair["first_run"], pair["second_run"], *values))
    return text.getvalue()


def _how(pairs: Sequence[Mapping[str, Any]]) -> str:
    first = pairs[0]
    drawn = "all exchanges" if all(pair["exact"] for pair in pairs) else f"{first['permutations']:,} exchanges"
    speakers = f"for all items of a speaker ({first['clusters']:,} speakers)"
    whole = "for each item" if first["unit"] == "items" else speakers
    told = [
        f"A paired permutation test: the answers of two runs are exchanged {whole}, and the p-value is the share of "
        f"{drawn} after which the difference is at least as large."
    ]
    if first["ignores_speakers"]:
        told.append("Items are exchanged as if clips of one speaker were not alike: p-values are too small.")
    if len(pairs) > 1:
        told.append(f"Holm's method corrects for {len(pairs)} pairs, for each measure alone.")
    told.append(f"Intervals of differences {intervals_in_words(first['interval_over'])}.")
    return " ".join(told)


def _what_differs(names: Sequence[str]) -> Iterator[str]:
    """Say in which settings the runs differ, where all of them are run folders."""
    if any(Path(name).is_file() for name in names):
        return
    configs = [read_config(RunFolder.of(name).runs()[0]) for name in names]
    described = [dict([("split", one.split), *conditions(one), *model_rows(one)]) for one in configs]
    lines = []
    for topic in dict.fromkeys(topic for one in described for topic in one):
        values = [_as_lines(one.get(topic, ())) for one in described]
        if topic != "rows" and any(value != values[0] for value in values):
            lines.append((topic, *_differing(values)))
    if lines:
        yield "<h2 id='making'>In what they differ</h2>"
        yield paragraph("Of folds and seeds, the first counts.", "note")
        yield table(("", *map(str, range(1, len(names) + 1))), lines, "left")


def _as_lines(value: Any) -> tuple[str, ...]:  # noqa: ANN401 (text or lines)
    return value if isinstance(value, tuple) else (str(value),)


def _differing(values: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the lines of each run that not all have; of settings that not all have, those that were changed."""
    common = set.intersection(*map(set, values))
    everywhere = set.intersection(*({line.partition(" = ")[0] for line in value} for value in values))
    changed = any(isinstance(line, Changed) for value in values for line in value)
    kept = [
        [
            line
            for line in value
            if line not in common
            and (not changed or isinstance(line, Changed) or line.partition(" = ")[0] in everywhere)
        ]
        for value in values
    ]
    return [
        tuple(line.rpartition(" (default")[0] if isinstance(line, Changed) else line for line in lines)
        for lines in kept
    ]
