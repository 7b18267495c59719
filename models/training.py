"""Training a network on the views of a split, into a run folder; once, or once for each seed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from featurestore.errors import UnknownNameError
from models.batches.loader import Sides
from models.batches.normalisation import describe_normalisation, speakers_of
from models.batches.residence import resolve_residence, resolve_shuffle
from models.errors import TrainingError
from models.estimation import Dimensions, describe_dimensions
from models.execution import Execution, arithmetic, check_padding, keep_freed_memory
from models.networks import build_model, model_card
from models.optimisation.distributed import ALONE, Ranks, refuse_ranks
from models.optimisation.losses import class_weights
from models.optimisation.optimisers import check_modules
from models.runs.description import describe_dataset, describe_items, library_versions
from models.runs.folders import has_begun, hold_run
from models.runs.provenance import describe_provenance
from models.runs.records import read_result
from models.runs.run import RunConfig, start_run
from models.training_loop import SilentTraining, Trainer, TrainingProgress
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
        If there is nothing to train on, rows lack what a setting needs, or the model cannot read joined clips.
    UnknownNameError
        If `repeat` or `class_weights` names an unknown label, or `modules` a module that the model does not have.
    """
    if not len(sides.train):
        raise TrainingError(f"dataset {sides.train.name}: the training side of split {split!r} has no rows.")
    _check_rows(sides, spec)
    names = spec.dimensions
    classes = () if names else tuple(sides.train.classes)
    check_model(model, settings or {}, spec, len(classes or names), sides.train.bands)
    return RunConfig(
        model=model,
        settings=dict(settings or {}),
        training=replace(spec, shuffle=resolve_shuffle(spec, sides.train)),
        classes=classes,
        bands=sides.train.bands,
        dataset=describe_dataset(sides.train),
        split=split,
        rows={name: len(view) for name, view in zip(Sides._fields, sides, strict=True)},
        items={name: describe_items(view, spec) for name, view in zip(Sides._fields, sides, strict=True)},
        trained_on={"frames": [int(sides.train.frames.min()), int(sides.train.frames.max())]},
        leaks=dict(leaks or {}),
        normalisation=describe_normalisation(spec),
        recipe=dict(recipe or {}),
        versions=library_versions(),
        made=describe_provenance(sides.train),
        dimensions=describe_dimensions(sides.train, names) if names else {},
        sexes=dict(getattr(sides.train, "sexes", {})),
    )


def check_model(
    model: str, settings: Mapping[str, Any], spec: TrainingSpec, classes: int | None = None, bands: int | None = None
) -> None:
    """Check a spec against a model, by default at its published size.

    Raises
    ------
    UnknownNameError
        If the spec has settings for a module that the model does not have.
    TrainingError
        If padding is `joined` and the model would mix the clips up.
    """
    check_padding(model, settings, spec)
    if spec.modules or spec.dimensions:
        card = model_card(model)
        outputs, regression = classes or len(spec.dimensions) or card.classes, bool(spec.dimensions)
        check_modules(build_model(model, outputs, bands or card.bands, regression=regression, **settings), spec)


def _check_rows(sides: Sides, spec: TrainingSpec) -> None:
    """Raise an error if the rows lack what the settings need."""
    if spec.deciding and not len(sides.validation):
        raise TrainingError(
            f"dataset {sides.train.name}: {spec.deciding[0]} is decided on the validation side, which has no rows. "
            "Choose another split or setting."
        )
    class_weights(spec, sides.train.classes, torch.zeros(1, dtype=torch.int64))
    for view in sides if spec.dimensions else ():
        Dimensions({name: {} for name in spec.dimensions}).truth(view)  # every row has its numbers
    for label in spec.repeat:
        if label not in sides.train.classes:
            raise UnknownNameError("label of repeat", label, sides.train.classes)
    if spec.normalisation == "speaker":
        for view in sides:
            speakers_of(view)
    if spec.spec_augment_frequency > sides.train.bands:
        raise TrainingError(
            f"dataset {sides.train.name}: spec_augment_frequency {spec.spec_augment_frequency} is more than its "
            f"{sides.train.bands} bands."
        )


def train(
    sides: Sides,
    config: RunConfig,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    progress: TrainingProgress | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Train a model into a run folder and return its result.

    With `resume`, a run that was interrupted or killed continues from its last checkpoint and ends with the metrics
    of an undisturbed one on the same machine. Torch's own generator is left as it was.

    With several ranks (see `optimisation.distributed`) each calls this with the same arguments and gets the same
    result; only the first one writes and reports.

    Returns
    -------
    dict
        `run, model, parameters, epochs, best_epoch, train, validation, test` (each with `loss, accuracy, uar`),
        `seconds, clips_per_second, device`.

    Raises
    ------
    RunError
        If the folder holds a run and `resume` was not asked for, or holds another run, or another training is using it.
    TrainingError
        If labels do not fit, the loss is not finite, or rows do not fit into the memory that `residence` names.
    """
    if ranks.count == 1:
        refuse_ranks("this command")
    elif config.dimensions:
        raise TrainingError(
            "1 - CCC of a batch is no sum over its clips, which several processes could share: train in one."
        )
    elif config.training.target == "votes":
        raise TrainingError("the target votes has not been tried in several processes: train in one, without torchrun.")
    execution = Execution.of(config.model, config.settings, config.training, ranks.device(device))
    if not resume:
        resolve_residence(config.training, sides.train, execution.device)  # refused before a folder is made
    with ExitStack() as held:

        def finished() -> bool:
            """Lock the run folder until the end and start the run in it; return whether it is finished already."""
            if not resume:
                folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold_run(folder))
            return start_run(folder, config, resume=resume)

        if ranks.broadcast(finished):
            return read_result(folder)
        if execution.device.type == "cpu":
            keep_freed_memory()
        generators = torch.random.fork_rng(devices=[execution.device] if execution.device.type == "cuda" else [])
        with generators, arithmetic(execution.device, config.training.precision):
            # the stride keeps a rank's dropout apart from that of another run's seed
            torch.manual_seed(config.training.seed + ranks.rank * 1_000_003)
            shown = progress if progress and ranks.first else SilentTraining()
            return Trainer(sides, config, folder, execution, shown, ranks).run()


def train_seeds(
    sides: Sides,
    config: RunConfig,
    folder: Path,
    seeds: list[int],
    *,
    device: str = "auto",
    resume: bool = False,
    progress: TrainingProgress | None = None,
    ranks: Ranks = ALONE,
) -> list[dict[str, Any]]:
    """Train once for every seed, into `folder/seed-N`; with `resume`, finished seeds are read and not trained."""
    results = []
    for seed in seeds:
        seeded = replace(config, training=replace(config.training, seed=seed))
        run = folder / f"seed-{seed}"
        begun = ranks.broadcast(partial(has_begun, run))
        results.append(
            train(sides, seeded, run, device=device, resume=resume and begun, progress=progress, ranks=ranks)
        )
    return results
