"""How commands print the metrics of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cli.console import figure, print_table, printable, say

MEASURES = {"accuracy": "accuracy (WA)", "uar": "UAR (UA)", "macro_f1": "macro F1"}
"""As in `models.figures.metrics.DISPLAY`, which takes a second to import."""

TWO = ("accuracy", "uar")
OF_DIMENSIONS = {"ccc": "CCC", "pearson": "Pearson r", "rmse": "RMSE"}
"""As in `models.figures.concordance.DISPLAY`."""
CALLED = {**MEASURES, **OF_DIMENSIONS}
PER_CLASS = ("precision", "recall", "f1", "support")


def print_sides(result: Mapping[str, Any]) -> None:
    """Print the metrics of a training's validation and test side."""
    names = tracked(result["test"])
    columns = ("side", *(CALLED[name] for name in names))
    rows = [[side, *(figure(result[side][name], ".4f") for name in names)] for side in ("validation", "test")]
    print_table(columns, rows, numbers=columns[1:])


def tracked(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the measures that the figures of a side have: of classes, or the mean CCC of dimensions."""
    return ("ccc",) if "ccc" in figures else TWO


def print_runs(runs: Sequence[Mapping[str, Any]], over: str, spread: Mapping[str, Any]) -> None:
    """Print the test metrics of several trainings, with mean and deviation.

    Parameters
    ----------
    runs : sequence
        Results of trainings.
    over : str
        What they differ in: `folds` or `seeds`.
    spread : mapping
        `mean` and `deviation` by measure; of seeds also `interval`, over speakers and seeds, and `interval_over`.
    """
    names = tracked(runs[0]["test"])
    columns = ("test side", *(CALLED[name] for name in names))
    rows = [[Path(run["run"]).name, *(figure(run["test"][name], ".4f") for name in names)] for run in runs]
    if len(runs) > 1:
        rows.append([f"mean over {len(runs)} {over}", *(figure(spread["mean"].get(name), ".4f") for name in names)])
        rows.append(["deviation", *(figure(spread["deviation"].get(name), ".4f") for name in names)])
        if over == "seeds":
            rows.append(["95 % interval", *(between(spread["interval"].get(name)) for name in names)])
    print_table(columns, rows, numbers=columns[1:])
    if over == "seeds":
        say_intervals("interval", spread["interval_over"], names)


def say_intervals(word: str, over: Mapping[str, Any], names: Sequence[str] = TWO) -> None:
    """Say what intervals are over."""
    from models.figures.intervals import intervals_in_words

    of_dimensions = {"ccc": CALLED["ccc"]} if "ccc" in names else MEASURES
    say(f"{word} {intervals_in_words(over, of_dimensions)}")


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print accuracy, UAR and macro F1 with their intervals, then the metrics of each class; or of each dimension."""
    if "dimensions" in summary:
        _print_dimensions(summary)
        return
    found = summary.get("interval") or {}
    columns = (f"{summary['items']} items", "value", "95 % interval")
    rows = [
        [shown, figure(summary[name], ".4f"), between(found.get(name)) if found else "-"]
        for name, shown in MEASURES.items()
    ]
    print_table(columns, rows, numbers=columns[1:])
    if summary.get("interval_over"):
        from models.figures.intervals import intervals_in_words

        say(f"intervals {intervals_in_words(summary['interval_over'])}")
    if summary.get("vote"):
        vote = summary["vote"]
        click.echo(f"majority vote of {vote['copies']} copies; {vote['ties']} ties, broken by mean probability")
    click.echo()
    averages = {"macro avg": summary["macro_avg"], "weighted avg": summary["weighted_avg"]}
    rows = [
        [printable(name), *(figure(values[column]) for column in PER_CLASS[:3]), values["support"]]
        for name, values in {**summary["per_class"], **averages}.items()
    ]
    print_table(("class", *PER_CLASS), rows, numbers=PER_CLASS)


def _print_dimensions(summary: Mapping[str, Any]) -> None:
    """Print CCC, correlation and error of each dimension, and the mean CCC, with intervals of the CCC."""
    columns = (f"{summary['items']} items", *OF_DIMENSIONS.values(), "CCC, 95 %")
    bounds = summary["interval"]
    rows = [
        [printable(name), *(figure(one[key], ".4f") for key in OF_DIMENSIONS), between(bounds[name])]
        for name, one in summary["dimensions"].items()
    ]
    rows.append(["mean", figure(summary["ccc"], ".4f"), "", "", between(bounds["ccc"])])
    print_table(columns, rows, numbers=columns[1:])
    say_intervals("intervals", summary["interval_over"], ("ccc",))


def print_chance(chance: Mapping[str, Any]) -> None:
    """Print what answers that hear nothing reach, as of `models.figures.metrics.chance`; nothing without items."""
    if chance["majority"] is None:
        return
    majority = printable(chance["majority"])
    click.echo(f"chance: UAR (UA) {chance['uar']:.4f}; always {majority}: accuracy (WA) {chance['accuracy']:.4f}")


def between(bounds: Sequence[float] | None, form: str = ".3f") -> str:
    """Return an interval as text."""
    return "-" if bounds is None else f"{bounds[0]:{form}} to {bounds[1]:{form}}"
