"""How figures of trained models are printed: always with both names of a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cli.output import figure, print_table, printable
from cli.wrapping import say

MEASURES = {"accuracy": "accuracy (WA)", "uar": "UAR (UA)", "macro_f1": "macro F1"}
"""As in `models.figures.metrics.DISPLAY`, which takes a second to import."""
TWO = ("accuracy", "uar")
PER_CLASS = ("precision", "recall", "f1", "support")


def print_sides(result: Mapping[str, Any]) -> None:
    """Print what a training says about its validation and test side."""
    columns = ("side", *(MEASURES[name] for name in TWO))
    rows = [[side, *(figure(result[side][name], ".4f") for name in TWO)] for side in ("validation", "test")]
    print_table(columns, rows, numbers=columns[1:])


def print_runs(runs: Sequence[Mapping[str, Any]], over: str, spread: Mapping[str, Any]) -> None:
    """Print the test figures of several trainings, with mean and deviation.

    Parameters
    ----------
    runs : sequence
        Results of trainings.
    over : str
        What they differ in: `folds` or `seeds`.
    spread : mapping
        `mean` and `deviation` by measure; of seeds also `interval`, over speakers and seeds, and `interval_over`.
    """
    columns = ("test side", *(MEASURES[name] for name in TWO))
    rows = [[Path(run["run"]).name, *(figure(run["test"][name], ".4f") for name in TWO)] for run in runs]
    if len(runs) > 1:
        rows.append([f"mean over {len(runs)} {over}", *(figure(spread["mean"].get(name), ".4f") for name in TWO)])
        rows.append(["deviation", *(figure(spread["deviation"].get(name), ".4f") for name in TWO)])
        if over == "seeds":
            rows.append(["95 % interval", *(between(spread["interval"].get(name)) for name in TWO)])
    print_table(columns, rows, numbers=columns[1:])
    if over == "seeds":
        from models.figures.intervals import intervals_in_words

        say(f"interval {intervals_in_words(spread['interval_over'])}")


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print accuracy, UAR and macro F1 with their intervals, then the figures of each class."""
    found = summary.get("interval") or {}
    columns = (f"{summary['items']} items", "figure", "95 % interval")
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
    _print_classes(summary)


def _print_classes(summary: Mapping[str, Any]) -> None:
    """Print precision, recall, F1 and support of each class, and their averages."""
    averages = {"macro avg": summary["macro_avg"], "weighted avg": summary["weighted_avg"]}
    rows = [
        [printable(name), *(figure(values[column]) for column in PER_CLASS[:3]), values["support"]]
        for name, values in {**summary["per_class"], **averages}.items()
    ]
    print_table(("class", *PER_CLASS), rows, numbers=PER_CLASS)


def between(bounds: Sequence[float] | None, form: str = ".3f") -> str:
    """Return an interval as text."""
    return "-" if bounds is None else f"{bounds[0]:{form}} to {bounds[1]:{form}}"
