"""What a report offers for a paper: a paragraph on methods and a table in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from models.figures import metrics
from models.reports.dimensions import latex_of_dimensions
from models.runs.run import RunConfig


def paper_parts(config: RunConfig, figures: Mapping[str, Any], found: Mapping[str, Any], runs: int = 1) -> str:
    """Return both as HTML.

    Parameters
    ----------
    config : RunConfig
        Of the run, or of the first of several folds.
    figures : mapping
        All metrics of the test side.
    found : mapping
        `interval` by measure, or nothing.
    runs : int
        Folds that are pooled.
    """
    shown = latex_of_dimensions(figures) if config.dimensions else latex(figures, found)
    return (
        f"<h2>For a paper</h2><p>{escape(methods(config, runs))}</p>"
        f"<details><summary>Table in LaTeX</summary><pre><code>{escape(shown)}</code></pre></details>"
    )


def methods(config: RunConfig, runs: int = 1) -> str:
    """Return a paragraph that says how a result was obtained, from what the run records."""
    dataset, training = config.dataset, config.training
    augmented = dataset.get("augmentation")
    drawn = [name.replace("_", " ") for name, rule in (augmented or {}).items() if isinstance(rule, Mapping)]
    copies = f"Training clips were augmented copies ({', '.join(drawn)}). " if drawn else ""
    features = dataset["features"]
    kind = features.get("kind", "logmel")
    bands = f"{config.bands} values a frame"
    rate = f" at {features['rate']:,} Hz" if features.get("rate") else ""
    split = repr(config.split.rpartition("/")[0] or config.split) if runs > 1 else repr(config.split)
    how = f"with {runs} folds of the split {split}" if runs > 1 else f"on the split {split}"
    normalised = config.normalisation.get("kind", "none")
    fit = f", normalised with statistics of {config.normalisation.get('fitted_on')}" if normalised != "none" else ""
    learning = (
        ""
        if config.is_baseline
        else f" for at most {training.epochs} epochs with {training.optimiser}, a learning rate of "
        f"{training.learning_rate:g} and batches of {training.batch_size}, seed {training.seed}"
    )
    leaks = ", ".join(config.leaks.get("declared") or [])
    shared = f" Sides share by declaration: {leaks}." if leaks else ""
    return (
        f"We trained {config.model}{learning} {how} of {dataset['name']} ({_learnt(config)}; dataset "
        f"digest {dataset['digest'][:16]}). Inputs were {kind} features{rate}, {bands}{fit}. {copies}"
        f"{_reported(config)}{shared} Features and training were done with featurestore."
    )


def _learnt(config: RunConfig) -> str:
    return ", ".join(config.dimensions) if config.dimensions else f"{len(config.classes)} classes"


def _reported(config: RunConfig) -> str:
    """Say what was minimised, where that is not the usual, and what is reported."""
    if config.training.target == "votes":
        return (
            "We minimised the cross entropy with the share of the raters' voices that each class got (soft labels), "
            "and report accuracy (WA) and unweighted average recall (UA) of the label."
        )
    if not config.dimensions:
        return "We report accuracy (WA) and unweighted average recall (UA)."
    return (
        "We minimised 1 - CCC of each batch, the mean over dimensions, and report the concordance correlation "
        "coefficient (CCC; Lin, 1989) over all test clips together."
    )


def latex(figures: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return the metrics of a test side as a LaTeX table."""
    lines = [r"\begin{tabular}{lrrrr}", r"\hline", r"class & precision & recall & F1 & clips \\", r"\hline"]
    for name, values in figures["per_class"].items():
        cells = (_number(values[column]) for column in ("precision", "recall", "f1"))
        lines.append(f"{_tex(name)} & {' & '.join(cells)} & {values['support']} \\\\")
    lines.append(r"\hline")
    for name, shown in metrics.DISPLAY.items():
        bounds = (found.get("interval") or {}).get(name)
        interval = f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
        lines.append(rf"\multicolumn{{4}}{{l}}{{{_tex(shown)}}} & {_number(figures[name])}{interval} \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"])


def _number(value: float | None) -> str:
    return "--" if value is None else f"{value:.3f}"


def _tex(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text.replace("\\", r"\textbackslash "))
