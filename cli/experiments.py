"""From options to an experiment, and from a run folder back to one."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.settings import with_setting, with_settings

if TYPE_CHECKING:
    from featurestore.store import Store
    from models.runs.run import RunConfig
    from pipelines.experiment import Experiment
    from pipelines.recipe_files import Recipe

SEVERAL = "seeds.json"
"""Marks a folder that holds a run for each of several seeds."""


def chosen_experiment(
    store: Store,
    dataset: str | None,
    recipe: str | None,
    corpus: str | None,
    *,
    model: str | None = None,
    copies: int | None = None,
    split: str | None = None,
    allowed: tuple[str, ...] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    settings: tuple[str, ...] = (),
) -> Experiment:
    """Return a recipe's experiment, the default one of a dataset, or a recipe's on the rows of a dataset.

    Options come after what the recipe says, `settings` last.

    Raises
    ------
    SpecError
        If neither a recipe nor a dataset is given, or a setting would change the rows of a dataset that stands.
    UnknownNameError
        If the recipe, the dataset or a field does not exist.
    """
    experiment = _base(store, dataset, recipe, corpus)
    changed = dataclasses.replace(
        experiment.split,
        name=split or experiment.split.name,
        allow_leak=tuple(sorted({*experiment.split.allow_leak, *allowed})),
    )
    given = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    training = {**experiment.training, **{name: value for name, value in given.items() if value is not None}}
    experiment = dataclasses.replace(experiment, split=changed, model=model or experiment.model, training=training)
    settings = settings if copies is None else (f"dataset.copies={copies}", *settings)
    if dataset:
        _refuse_rows_settings(dataset, experiment, settings)
    return with_settings(experiment, settings)


def _refuse_rows_settings(dataset: str, experiment: Experiment, settings: tuple[str, ...]) -> None:
    """Refuse to change the rows of a dataset that is built already."""
    from featurestore.errors import SpecError

    for setting in settings:
        if with_setting(experiment, setting).dataset != experiment.dataset:
            raise SpecError(
                f"--set {setting}: features, policy and copies of {dataset!r} are settled, since its rows stand "
                "already. Build another dataset with 'featurestore build', or train with --recipe alone."
            )


def _base(store: Store, dataset: str | None, recipe: str | None, corpus: str | None) -> Experiment:
    from featurestore.errors import SpecError
    from pipelines.experiment import DatasetChoice, Experiment
    from pipelines.recipe_files import read_recipe

    if dataset is None:
        if recipe is None:
            raise SpecError("nothing to train on: give a dataset ('featurestore ls') or --recipe NAME.")
        return recipe_on(read_recipe(recipe), corpus).experiment(corpus)
    if corpus:
        raise SpecError("--corpus goes with --recipe alone: a dataset has its corpus.")
    view = store.view(dataset)
    rows = DatasetChoice(view.table.corpus, copies=int(view.copies.max(initial=0)))
    if recipe is None:
        return Experiment(view.name, rows)
    told = recipe_on(read_recipe(recipe), rows.corpus).experiment(rows.corpus)
    if told.vote.policy:
        raise SpecError(
            f"recipe {told.name!r} tells test utterances by a vote of perturbed copies, which dataset {dataset!r} does "
            "not hold: train with --recipe alone."
        )
    # The source's figures are of the recipe's own rows, so they do not stand beside these.
    return dataclasses.replace(told, name=f"{view.name}-{told.name}", dataset=rows, published={})


def recipe_on(recipe: Recipe, corpus: str | None) -> Recipe:
    """Return the recipe; say so if it does not tell what to do with a corpus."""
    from cli.output import notice

    if corpus and corpus not in recipe.corpora:
        known = ", ".join(recipe.corpora)
        notice(f"note: recipe {recipe.name} knows {known}; on {corpus} it keeps the split and labels of the first.")
    return recipe


@dataclass(frozen=True)
class InterruptedRun:
    """What a run folder was doing."""

    experiment: Experiment
    config: RunConfig
    """Of the first of its trainings."""
    seeds: int | None
    """Number of seeds of a run with several."""


def interrupted_run(run: Path) -> InterruptedRun:
    """Read what a run folder was doing; `RunError` if it is no run."""
    from models.runs.run import read_config

    seeds = _seeds(run / SEVERAL)
    trained = run / "seed-0" if seeds else run
    config = read_config(trained)
    experiment = recorded_experiment(config.recipe, trained / "config.json")
    settled = dataclasses.replace(experiment, training=config.training.to_dict())  # as it began: defaults may change
    return InterruptedRun(settled, config, seeds)


def _seeds(file: Path) -> int | None:
    """Return how many seeds a folder is trained with; None where there is one."""
    from models.errors import CheckpointError
    from models.runs.checkpoint import read_json

    if not file.is_file():
        return None
    seeds = read_json(file).get("seeds")
    if type(seeds) is not int or seeds < 1:
        raise CheckpointError(f"{file}: says not how many seeds there are. Train again into another '--run'.")
    return seeds


def recorded_experiment(recipe: Any, file: Path) -> Experiment:  # noqa: ANN401 (checked here)
    """Return the experiment that a file of a run folder tells; `CheckpointError` if it tells none."""
    from featurestore.errors import FeatureStoreError
    from models.errors import CheckpointError
    from pipelines.experiment import Experiment

    try:
        return Experiment.from_dict(recipe)
    except FeatureStoreError as error:
        raise CheckpointError(f"{file}: its recipe cannot be gone on with ({error}) Train again.") from error


def start_seeds(run: Path, seeds: int, *, resume: bool) -> None:
    """Note in a new folder that it holds a run for each of several seeds; `RunError` if the folder is taken."""
    from models.errors import RunError
    from models.runs.checkpoint import write_json
    from models.runs.hold import hold_run

    if resume:
        return
    with hold_run(run):  # what a killed one left half written is no run
        pass
    if run.exists() and any(run.iterdir()):
        raise RunError(f"run folder {run} exists: give '--resume {run}' to go on, or another '--run'.")
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / SEVERAL, {"seeds": seeds})


def free_folder(name: str) -> Path:
    """Return the first folder `runs/NAME-001`, `runs/NAME-002`, ... that does not exist."""
    return next(
        folder for number in itertools.count(1) if not (folder := Path("runs") / f"{name}-{number:03d}").exists()
    )
