"""A baseline or a network, for what takes either: which is asked for, and what its figures depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurestore.view import DatasetView
    from models.baselines.runs import BaselineSpec
    from pipelines.experiments.recipe import Experiment


def chosen_baseline(
    model: str | None,
    recipe: str | None,
    normalisation: str | None,
    regularisation: float | None,
    of_networks: Mapping[str, Any],
) -> BaselineSpec | None:
    """Return the baseline that is asked for, None for a network; without model and recipe it is `svm-linear`.

    Parameters
    ----------
    of_networks : mapping
        Settings that only a network has, by name.

    Raises
    ------
    SpecError
        If a setting of the other kind is given.
    """
    from featurestore.errors import SpecError
    from models.baselines.runs import BaselineSpec
    from models.runs.run import BASELINES

    model = model or (None if recipe else BASELINES[0])
    if model in BASELINES:
        given = [name for name, value in {"recipe": recipe, **of_networks}.items() if value not in (None, ())]
        if given:
            raise SpecError(f"{given[0]} is of networks, and {model} is a baseline: leave it out, or name a network.")
        return BaselineSpec(str(model), normalisation or "training", regularisation)
    if regularisation is not None:
        raise SpecError(f"regularisation is of baselines, and {model or recipe} is a network: leave it out.")
    return None


def with_normalisation(of_networks: Mapping[str, Any], normalisation: str | None) -> dict[str, Any]:
    """Return the settings of a network with its normalisation among them, as `chosen_experiment` takes them."""
    more = () if normalisation is None else (f"training.normalisation={normalisation}",)
    return {**of_networks, "settings": (*of_networks["settings"], *more)}


def describe_baseline(spec: BaselineSpec, view: DatasetView) -> dict[str, Any]:
    """Return `model`, `normalisation` in words and all other `settings` of a baseline."""
    from models.baselines.functionals import functional_names

    settings = spec.settings(functional_names(view))
    return {"model": spec.model, "normalisation": spec.described(), "settings": settings}


def describe_network(experiment: Experiment) -> dict[str, Any]:
    """Return `model`, `normalisation` in words and all other `settings` of a network."""
    from models.batches.normalisation import describe_normalisation
    from models.training_spec import TrainingSpec

    training = TrainingSpec.from_dict(experiment.training)
    settings = {"model": dict(experiment.model_settings), "training": training.to_dict()}
    return {"model": experiment.model, "normalisation": describe_normalisation(training), "settings": settings}
