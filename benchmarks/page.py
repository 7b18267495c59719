"""docs/performance.md from the figures of a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Figures = Mapping[str, Any]
NOTES = Path(__file__).with_name("notes.md")
"""What no program can measure: explanations, kept beside the benchmarks."""


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Divide round by round."""
    return [a / b for a, b in zip(above, below, strict=False)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median and, of several values, the smallest and largest."""
    text = format(statistics.median(values), form)
    return text if len(values) == 1 else f"{text} ({format(min(values), form)} to {format(max(values), form)})"


def targets(figures: Figures) -> list[tuple[str, str, str, str]]:
    """Return (what, figure, at least, aim) for each promise that was measured."""
    lines: list[tuple[str, str, str, str]] = []
    if build := figures.get("build"):
        two, one = build["featurestore, 2 workers"], build["featurestore, 1 worker"]
        named = [("librosa, 2 processes", "6.5", "10"), ("prototype, 2 processes, warm", "0.7", "1.0")]
        for name, least, aim in named:
            if name in build:
                lines.append((f"whole build against {name}", spread(ratios(build[name], two)), least, aim))
        lines.append(("two workers against one", spread(ratios(one, two)), "1.8", "1.95"))
    if reading := figures.get("reading"):
        ours, plain = reading["featurestore"], reading["memory map"]
        lines += [
            ("random batches against zarr-python", spread(ratios(ours, reading["zarr-python"]), ".0f"), "100", "200"),
            ("against a memory-map loop, later passes", spread(ratios(ours, plain)), "0.9", "1.0"),
            ("first pass, with checksums", spread(ratios(reading["first pass"], plain)), "0.5", "0.8"),
        ]
    if training := figures.get("training"):
        percent = [100 * share for share in training["loader"]]
        lines += [
            ("loader's share of a training step, percent", spread(percent), "2", "1"),
            ("training against the plain loop", spread(ratios(training["featurestore"], training["plain"])), "3", "4"),
        ]
    if commands := figures.get("commands"):
        lines += [
            ("no-op build, seconds with imports", spread(commands["no-op build"]), "1 beyond imports", "0.3"),
            ("--help, seconds", spread(commands["--help"]), "0.3", "0.15"),
            ("75 -> 100 against 25 copies alone", spread(commands["growth"]), "1.15", "1.0"),
            ("peak memory of a worker, MB", spread(commands["peak memory"], ".0f"), "600", "400"),
        ]
    return lines


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_page(figures: Figures, path: Path) -> None:
    """Write the page."""
    about = figures["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    parts = [
        "# Performance\n",
        f"Measured by `make bench` on {about['date']}: {about['processor']} with {about['vectors']}, {about['cores']} "
        f"cores, Python {about['python']}, {libraries}. Medians of interleaved rounds, smallest and largest in "
        "brackets; only ratios within a round are compared. This page is written by `benchmarks/run.py`.\n",
        "## What is promised\n",
        table(("what", "measured", "floor", "aim"), targets(figures)),
    ]
    titles = {
        "build": ("The whole job, seconds", "27,825 augmented rows of Emo-DB (peers: scaled from a part)", ".1f"),
        "reading": ("Reading, rows a second", "random padded batches of 32", ",.0f"),
        "training": ("Training, clips a second", "`loader` is a share of the step", ".3g"),
        "stages": ("Stages, microseconds a row", "a recording of middle length", ".1f"),
        "scaling": ("Rows a second of one process", "by length of recordings and number of copies", ",.0f"),
    }
    for section, (title, subtitle, form) in titles.items():
        if section in figures:
            body = [(name, spread(values, form)) for name, values in figures[section].items()]
            parts += [f"## {title}\n", table((subtitle, "measured"), body)]
    path.write_text("\n".join([*parts, NOTES.read_text()]))
