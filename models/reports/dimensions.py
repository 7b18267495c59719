"""What a report shows of estimated dimensions: measures, estimates over the truth, and the largest errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from models.figures.concordance import DISPLAY, MEASURES
from models.figures.estimates import Estimates
from models.figures.intervals import intervals_in_words
from models.reports.parts import drawing, number, paragraph, table
from models.reports.plots import estimates_figure, figure_svg

LISTED = 8
"""Items with the largest errors that are listed."""


def lead_of_dimensions(figures: Mapping[str, Any], split: str) -> str:
    """Return the first sentence about the figures of a test side."""
    each = ", ".join(f"{name} {number(one['ccc'])}" for name, one in figures["dimensions"].items())
    return (
        f"Concordance correlation (CCC) {number(figures['ccc'])}, the mean over dimensions ({each}), over "
        f"{figures['items']} test clips. Split: {split or 'not named'}."
    )


def dimension_parts(
    figures: Mapping[str, Any], estimates: Estimates | None, side: str, note: str = ""
) -> Iterator[str]:
    """Yield what is known of the items of a side, as HTML.

    Parameters
    ----------
    figures : mapping
        As `models.figures.concordance.summary` returns them.
    estimates : Estimates, optional
        Of each item, where they are at hand.
    side : str
        Its name.
    note : str
        What the items are, where that needs saying.
    """
    yield paragraph(note) if note else ""
    yield dimension_table(figures)
    if estimates is None or not len(estimates):
        return
    figure = estimates_figure(estimates, side)
    said = "; ".join(f"{name}: CCC {number(one['ccc'])}" for name, one in figures["dimensions"].items())
    title = f"Estimates over the truth on the {side} side"
    yield drawing(f"<div class='wide'>{figure_svg(figure, title, said)}</div>", f"{title}; the line: equal")
    yield from _largest_errors(estimates)


def dimension_table(figures: Mapping[str, Any]) -> str:
    """Return a line for each dimension and one for the mean CCC, with intervals, and how those were found."""
    bounds = figures["interval"]
    rows = [
        (name, *(number(one[measure]) for measure in MEASURES), _between(bounds.get(name)))
        for name, one in figures["dimensions"].items()
    ]
    rows.append(("mean", number(figures["ccc"]), "", "", _between(bounds.get("ccc"))))
    words = intervals_in_words(figures["interval_over"], {"ccc": DISPLAY["ccc"]})
    head = ("dimension", *(DISPLAY[measure] for measure in MEASURES), "CCC, 95 % interval")
    return table(head, rows) + paragraph(f"95 % intervals {words}.", "note")


def _between(bounds: Any) -> str:  # noqa: ANN401 (two numbers, or None)
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "–"


def _largest_errors(estimates: Estimates) -> Iterator[str]:
    """List the items that are farthest from the truth, each dimension in deviations of its truth."""
    deviation = estimates.truth.std(axis=0)
    errors = (np.abs(estimates.estimated - estimates.truth) / np.where(deviation > 0, deviation, 1)).max(axis=1)
    rows = []
    for place in np.argsort(-errors, kind="stable")[:LISTED].tolist():
        pairs = zip(estimates.truth[place], estimates.estimated[place], strict=True)
        values = (f"{truth:.2f} / {found:.2f}" for truth, found in pairs)
        rows.append((estimates.paths[place], estimates.speakers[place] or "unknown", *values))
    yield "<h3>Largest errors</h3>" + table(
        ("recording", "speaker", *(f"{name}: true / estimated" for name in estimates.dimensions)), rows
    )


def latex_of_dimensions(figures: Mapping[str, Any]) -> str:
    """Return the measures of a test side as a LaTeX table."""
    lines = [r"\begin{tabular}{lrrr}", r"\hline", r"dimension & CCC & Pearson $r$ & RMSE \\", r"\hline"]
    for name, one in figures["dimensions"].items():
        interval = _tex_interval(figures["interval"].get(name))
        cells = (_tex_number(one[measure]) for measure in MEASURES[1:])
        called = name.replace("_", r"\_")
        lines.append(rf"{called} & {_tex_number(one['ccc'])}{interval} & {' & '.join(cells)} \\")
    mean = f"{_tex_number(figures['ccc'])}{_tex_interval(figures['interval'].get('ccc'))}"
    return "\n".join([*lines, r"\hline", rf"mean & {mean} & & \\", r"\hline", r"\end{tabular}"])


def _tex_number(value: float | None) -> str:
    return "--" if value is None else f"{value:.3f}"


def _tex_interval(bounds: Any) -> str:  # noqa: ANN401 (two numbers, or None)
    return f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
