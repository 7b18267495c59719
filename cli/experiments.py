"""From options to an experiment, and from a run folder back to one."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    split: str | None = None,
    allowed: tuple[str, ...] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    settings: tuple[str, ...] = (),
) -> Experiment:
    """Return a recipe's experiment, or the default one of a dataset, with the options' changes.

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
    experiment = with_settings(experiment, settings)
    _refuse_rows_settings(dataset, experiment.dataset.settings)
    return experiment


def _refuse_rows_settings(dataset: str | None, settings: tuple[str, ...]) -> None:
    """Refuse to change the features or the policy of a dataset that is built already."""
    from featurestore.errors import SpecError

    if dataset and settings:
        raise SpecError(
            f"--set {settings[0]}: features and policy of {dataset!r} are settled, since its rows stand already. Build "
            f"another dataset with 'featurestore build CORPUS --set {settings[0]}', or train with --recipe."
        )


def _base(store: Store, dataset: str | None, recipe: str | None, corpus: str | None) -> Experiment:
    from featurestore.errors import SpecError
    from pipelines.experiment import DatasetChoice, Experiment
    from pipelines.recipe_files import read_recipe

    if recipe and dataset:
        raise SpecError("give either a dataset or --recipe, not both.")
    if recipe:
        return recipe_on(read_recipe(recipe), corpus).experiment(corpus)
    if dataset is None:
        raise SpecError("nothing to train on: give a dataset ('featurestore ls') or --recipe NAME.")
    if corpus:
        raise SpecError("--corpus goes with --recipe: a dataset has its corpus.")
    reference = store.reference(dataset)
    return Experiment(name=reference.name, dataset=DatasetChoice(corpus=store.table(reference.table).corpus))


def recipe_on(recipe: Recipe, corpus: str | None) -> Recipe:
    """Return the recipe; say so if it does not tell what to do with a corpus."""
    from cli.output import notice

    if corpus and corpus not in recipe.corpora:
        known = ", ".join(recipe.corpora)
        notice(f"note: recipe {recipe.name} knows {known}; on {corpus} it keeps the split and labels of the first.")
    return recipe


def with_settings(experiment: Experiment, settings: tuple[str, ...]) -> Experiment:
    """Apply `--set`: training fields to the training, model settings to the model, the rest to the dataset."""
    from featurestore.specs.overrides import parse_value
    from models.optimisation.settings import with_setting
    from models.registry import model_card
    from models.training_spec import TrainingSpec

    training, model, dataset = dict(experiment.training), dict(experiment.model_settings), []
    own = model_card(experiment.model).settings
    _check_fields(settings, own)
    for setting in settings:
        key, _, text = setting.partition("=")
        if key.partition(".")[0] in {field.name for field in dataclasses.fields(TrainingSpec)}:
            value = parse_value(text)
            training = with_setting(training, key.strip(), "none" if value is None else value)  # a choice, not a lack
        elif key in own:
            model[key] = parse_value(text)
        else:
            dataset.append(setting)
    changed = dataclasses.replace(experiment.dataset, settings=(*experiment.dataset.settings, *dataset))
    result = dataclasses.replace(experiment, training=training, model_settings=model, dataset=changed)
    result.specs()  # an unknown field is an error now, not after a build
    from models.training import check_model  # after what can be refused at once: it takes seconds

    check_model(experiment.model, model, TrainingSpec.from_dict(training))
    return result


def _check_fields(settings: tuple[str, ...], own: tuple[str, ...]) -> None:
    """Refuse a field that neither training, nor the model, nor features, nor augmentation have."""
    from featurestore.errors import UnknownNameError
    from featurestore.specs.overrides import AUGMENTATION_FIELDS, FEATURE_FIELDS
    from models.training_spec import TrainingSpec

    known = (*(field.name for field in dataclasses.fields(TrainingSpec)), *own, *FEATURE_FIELDS, *AUGMENTATION_FIELDS)
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key.partition(".")[0] not in known:
            raise UnknownNameError("field", key, known)


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

    if resume:
        return
    if run.exists() and any(run.iterdir()):
        raise RunError(f"run folder {run} exists: give '--resume {run}' to go on, or another '--run'.")
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / SEVERAL, {"seeds": seeds})


def free_folder(name: str) -> Path:
    """Return the first folder `runs/NAME-001`, `runs/NAME-002`, ... that does not exist."""
    return next(
        folder for number in itertools.count(1) if not (folder := Path("runs") / f"{name}-{number:03d}").exists()
    )
