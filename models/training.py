"""Training a model of the registry on three views, into a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import read_json
from models.devices import arithmetic, keep_freed_memory
from models.errors import TrainingError
from models.execution import Execution
from models.progress import Progress, Silence
from models.residence import settled_residence, settled_shuffle
from models.runs import RunConfig, describe_dataset, library_versions, start_run
from models.trainer import Sides, Trainer
from models.training_spec import TrainingSpec


def configure(
    sides: Sides,
    model: str,
    spec: TrainingSpec,
    *,
    settings: Mapping[str, Any] | None = None,
    split: str = "",
    leaks: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Describe a training completely.

    Raises
    ------
    TrainingError
        If there is nothing to train on.
    """
    if not len(sides.train):
        raise TrainingError(f"dataset {sides.train.name}: the training side of split {split!r} has no rows.")
    return RunConfig(
        model=model,
        settings=dict(settings or {}),
        training=replace(spec, shuffle=settled_shuffle(spec, sides.train)),
        classes=tuple(sides.train.classes),
        bands=sides.train.bands,
        dataset=describe_dataset(sides.train),
        split=split,
        rows={name: len(view) for name, view in zip(Sides._fields, sides, strict=True)},
        leaks=dict(leaks or {}),
        recipe=dict(recipe or {}),
        versions=library_versions(),
    )


def train(
    sides: Sides,
    config: RunConfig,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a model into a run folder and return its result.

    A run that was interrupted, even killed, goes on from its last checkpoint with `resume` and ends with the
    metrics of an undisturbed one on the same machine. Torch's own generator is left as it was.

    Returns
    -------
    dict
        `run, model, parameters, epochs, best_epoch, train, validation, test` (each with `loss, accuracy, uar`),
        `seconds, clips_per_second, device`.

    Raises
    ------
    RunError
        If the folder holds a run and `resume` was not asked for, or holds another run.
    TrainingError
        If labels do not fit, the loss is not finite, or rows do not fit where `residence` wants them.
    """
    execution = Execution.of(config.model, config.settings, config.training, device)
    if not resume:
        settled_residence(config.training, sides.train, execution.device)  # refused before a folder is made
    if start_run(folder, config, resume=resume):
        return read_json(folder / "summary.json")["result"]  # type: ignore[no-any-return]
    if execution.device.type == "cpu":
        keep_freed_memory()
    generators = torch.random.fork_rng(devices=[execution.device] if execution.device.type == "cuda" else [])
    with generators, arithmetic(execution.device, config.training.precision):
        torch.manual_seed(config.training.seed)
        return Trainer(sides, config, folder, execution, progress or Silence()).run()


def train_seeds(
    sides: Sides,
    config: RunConfig,
    folder: Path,
    seeds: list[int],
    *,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Train once for every seed, into `folder/seed-N`; with `resume`, finished seeds are read and not trained."""
    results = []
    for seed in seeds:
        seeded = replace(config, training=replace(config.training, seed=seed))
        run = folder / f"seed-{seed}"
        results.append(train(sides, seeded, run, device=device, resume=resume and run.exists(), progress=progress))
    return results


__all__ = ["Sides", "configure", "train", "train_seeds"]
