"""The pictures of docs/results.md, drawn from docs/results.json as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from models.reports.plots import TRAIN, VALIDATION, new_figure, plain_axes, write_figure
from pipelines.experiments.row_figures import Metric, row_names

PICTURES = Path(__file__).resolve().parent.parent / "docs/pictures/results"
COLUMNS = 4
"""Confusions side by side."""

Line = Mapping[str, Any]


def write_pictures(recipe: str, lines: Sequence[Line], parts: Sequence[Line]) -> None:
    """Write the pictures of a recipe for which something was measured."""
    pictures = {"": rows_figure(drawn_rows(lines)), "-confusions": confusions_figure(drawn_confusions(lines))}
    if parts:
        pictures["-parts"] = parts_figure(parts)
    for name, figure in pictures.items():
        if figure:
            write_figure(figure, PICTURES / f"{recipe}{name}")


def drawn_rows(lines: Iterable[Line]) -> list[Line]:
    """Return what was measured beside a published figure; of rows without one the UAR of the test side, if there is."""
    measured = [line for line in lines if line["runs"] and not Metric.read(line["metric"]).fold]
    beside = {_row(line) for line in measured if line["published"] is not None}
    tested = {_row(line) for line in measured if line["metric"].endswith("test uar")}
    return [
        line
        for line in measured
        if line["published"] is not None
        or (_row(line) not in beside and (line["metric"].endswith("test uar") or _row(line) not in tested))
    ]


def drawn_confusions(lines: Iterable[Line]) -> dict[str, Line]:
    """Return a line of each measured row whose answers are known, by what stands above them.

    The answers are those of all seeds and folds; of the ensemble where a row has no others.
    """
    known: dict[tuple[str, ...], Line] = {}
    for line in lines:
        of = Metric.read(line["metric"])
        if line["confusion"] and of.side == "test" and (of.of != "ensemble" or _row(line) not in known):
            known[_row(line)] = line
    return dict(zip(row_names(list(known.values()), "\n"), known.values(), strict=True))


def _row(line: Line) -> tuple[str, ...]:
    return line["row"], line["corpus"], line["protocol"], line["setting"]


def rows_figure(lines: Sequence[Line]) -> Figure | None:
    """Draw a line for each figure: ours with its interval or deviation, what is published, the baseline and chance."""
    if not lines:
        return None
    metrics = {line["metric"] for line in lines}
    names = row_names(lines)
    if len(metrics) > 1:
        names = [f"{name}, {_called(line['metric'])}" for name, line in zip(names, lines, strict=True)]
    figure = new_figure(7.6, 1.1 + 0.28 * len(lines))
    axes = figure.subplots()
    for place, line in enumerate(lines):
        if line["interval"]:
            axes.hlines(place, *line["interval"], color=TRAIN, linewidth=5, alpha=0.3)
        elif line["deviation"]:
            axes.errorbar(line["ours"], place, xerr=line["deviation"], color=TRAIN, linewidth=1, capsize=3)
    series = (
        ("chance", "|", "#999999", [line["chance"] for line in lines]),
        ("baseline", "s", "#777777", [(line["baseline"] or {}).get("figure") for line in lines]),
        ("published", "D", VALIDATION, [line["published"] for line in lines]),
        ("ours", "o", TRAIN, [line["ours"] for line in lines]),
    )
    for label, marker, colour, values in series:
        if any(value is not None for value in values):
            numbers = [np.nan if value is None else value for value in values]
            fill = "full" if label == "ours" else "none"
            axes.plot(numbers, range(len(lines)), marker, color=colour, markersize=6, fillstyle=fill, label=label)
    _name_lines(axes, names)
    axes.set_xlim(0, 1)
    plain_axes(axes, _called(metrics.pop()) if len(metrics) == 1 else "", "")
    figure.legend(frameon=False, loc="outside upper right", ncols=len(series))
    return figure


def confusions_figure(lines: Mapping[str, Line]) -> Figure | None:
    """Draw the share of each true class that was labelled as each class, in percent, for each row."""
    if not lines:
        return None
    columns = min(COLUMNS, len(lines))
    rows = -(-len(lines) // columns)
    classes = max(len(line["confusion"]["classes"]) for line in lines.values())
    size = 1.3 + 0.22 * classes
    figure = new_figure(size * columns + 0.6, (size + 0.5) * rows + 0.2)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, line) in zip(grid, lines.items(), strict=False):
        names, counts = line["confusion"]["classes"], np.array(line["confusion"]["counts"])
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        edges = np.arange(len(names) + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=100)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 55 else "#333333"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=6)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set_title(name, fontsize=8)
    for axes in grid[len(lines) :]:
        axes.set_axis_off()
    figure.supxlabel("labelled as, % of the true class", fontsize=8)
    figure.supylabel("true", fontsize=8)
    return figure


def parts_figure(parts: Sequence[Line]) -> Figure:
    """Draw the difference in UAR that each part makes, with its interval over speakers."""
    figure = new_figure(7.6, 0.9 + 0.28 * len(parts))
    axes = figure.subplots()
    axes.axvline(0, color="#999999", linewidth=0.8)
    for place, part in enumerate(parts):
        axes.hlines(place, *part["interval"], color=TRAIN, linewidth=5, alpha=0.3)
    axes.plot([part["difference"] for part in parts], range(len(parts)), "o", color=TRAIN, markersize=6)
    _name_lines(axes, [part["part"] for part in parts])
    plain_axes(axes, "difference in UAR to the whole", "")
    return figure


def _name_lines(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)


def _called(metric: str) -> str:
    return metric.replace("uar", "UAR")
