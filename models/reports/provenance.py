"""How runs were made, as rows of a report's table: who and when, on what, with which settings, at what cost."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.perturbations.policy_tables import briefly
from models.networks import MODELS
from models.reports.items import Sounds
from models.reports.parts import beside_defaults, settings
from models.runs.run import BaselineRun, Run, RunConfig
from models.training_spec import TrainingSpec

Rows = list[tuple[str, Any]]
RECORDED = {"command": "command", "date": "begun", "commit": "commit of featurestore"}
"""What `RunConfig.made` records, and its name on a page."""


def origin(config: RunConfig) -> Rows:
    """Return command, date and commit of a run; nothing for those that it does not record, as older runs."""
    return [(shown, config.made[name]) for name, shown in RECORDED.items() if config.made.get(name)]


def terms(config: RunConfig, sounds: Sounds | None) -> Rows:
    """Return licence and citation of the corpus, as the run records them, else as the dataset at hand has them."""
    found = []
    for name in ("licence", "citation"):
        known = config.made.get(name) or (getattr(sounds.view.table, name) if sounds else "")
        if known:
            found.append((f"{name} of the corpus", known))
    return found


def conditions(config: RunConfig) -> Rows:
    """Return what runs of one experiment have in common: dataset, rows, features, normalisation, training."""
    dataset, normalisation = config.dataset, config.normalisation
    labels = f", labels {dataset['table'][:12]}" if dataset.get("table") else ""
    normalised = normalisation.get("kind", "none")
    if normalised != "none":
        normalised += f", fitted on {normalisation.get('fitted_on')}; leakage: {normalisation.get('leakage')}"
    return [
        ("dataset", f"{dataset['name']}, digest {dataset['digest']}{labels}"),
        ("rows", ", ".join(f"{side} {count}" for side, count in config.rows.items())),
        ("features", settings(dataset["features"])),
        ("augmentation", settings(briefly(dataset["augmentation"] or {})) or "none"),
        ("normalisation", normalised),
        ("training", beside_defaults(config.to_dict()["training"], TrainingSpec().to_dict())),
    ]


def model_rows(config: RunConfig, parameters: int | None = None) -> Rows:
    """Return the model with its own settings, also those that nobody gave."""
    size = "" if parameters is None else f", {parameters:,} parameters"
    rows: Rows = [("model", f"{config.model}{size}")]
    defaults = {}
    if config.model in MODELS:
        card = MODELS[config.model]
        known = inspect.signature(card.builder).parameters
        defaults = {name: known[name].default for name in card.settings if name in known}
    own = {**defaults, **config.settings}
    return [*rows, ("model settings", beside_defaults(own, defaults))] if own else rows


def model_and_cost(run: Run | BaselineRun) -> Rows:
    """Return model, cost and weights of a run."""
    config, result = run.config, run.summary["result"]
    if config.is_baseline:
        inner = result["inner_uar"]
        by = "given" if inner is None else f"chosen by inner folds over training speakers, their UAR (UA) {inner:.3f}"
        return [
            *model_rows(config),
            ("regularisation", f"C = {result['regularisation']:g}, {by}"),
            ("time", f"{result['seconds']:.0f} s on {result['device']}"),
        ]
    return [
        *model_rows(config, result["parameters"]),
        ("epochs", f"{result['epochs']}, best on validation: {result['best_epoch']}"),
        ("time", f"{result['seconds']:.0f} s, {result['clips_per_second']:.0f} clips/s on {result['device']}"),
        ("weights", f"sha256 {run.summary['model_sha256']}"),
    ]


def cost(results: Sequence[Mapping[str, Any]]) -> Rows:
    """Return the time of several runs together, their speed and their devices; nothing if none records them."""
    timed = [one for one in results if one.get("seconds") and one.get("device")]
    if not timed:
        return []
    seconds, devices = sum(one["seconds"] for one in timed), sorted({one["device"] for one in timed})
    speeds = sorted(one["clips_per_second"] for one in timed if one.get("clips_per_second"))
    speed = f", {speeds[0]:.0f} to {speeds[-1]:.0f} clips/s" if speeds else ""
    return [("time", f"{seconds:,.0f} s in all{speed} on {', '.join(devices)}")]
