"""`--set KEY=VALUE`: one field of an experiment changed from the command line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.experiment import Experiment

ROWS = ("features", "policy")
"""Tables of what rows are made of: presets that a recipe names, changed field by field."""


def with_settings(experiment: Experiment, settings: tuple[str, ...]) -> Experiment:
    """Apply settings; a key is a field after its table, as in `dataset.copies=2`.

    Tables are `dataset`, `split`, `vote`, `model`, `training`, `features` and `policy`. A field of the model, of
    training, features or policy needs no table. `featurestore fields` lists all.

    Raises
    ------
    UnknownNameError
        If no table has the field; the nearest one is named.
    SpecError
        If a value does not fit its field.
    """
    from models.training_spec import TrainingSpec

    for setting in settings:
        experiment = with_setting(experiment, setting)
    if settings:
        experiment.specs()  # an unknown field is an error now, not after a build
    from models.training import check_model  # after what can be refused at once: it takes seconds

    check_model(experiment.model, experiment.model_settings, TrainingSpec.from_dict(experiment.training))
    return experiment


def with_setting(experiment: Experiment, setting: str) -> Experiment:
    """Apply one setting."""
    from featurestore.errors import SpecError, UnknownNameError
    from featurestore.specs.overrides import parse_value
    from models.optimisation.settings import with_setting as in_training

    key, separator, text = setting.partition("=")
    key = key.strip()
    if not separator:
        raise SpecError(f"--set needs KEY=VALUE, not {setting!r}.")
    fields = known_fields(experiment.model)
    table, _, field = key.partition(".")
    if table not in fields:  # a field without its table
        table, field = next((name for name in UNPREFIXED if table in fields[name]), ""), key
    if field.partition(".")[0] not in fields.get(table, ()):
        names = [f"{name}.{one}" for name in fields for one in fields[name]]
        names += [one for name in UNPREFIXED for one in fields[name]]
        raise UnknownNameError("field", key, names, "'featurestore fields' lists them.")
    if table in ("dataset", "split", "vote"):
        changed = _in_table(getattr(experiment, table), f"{table}.{field}", field, text)
        return dataclasses.replace(experiment, **{table: changed})
    if table == "model" and field == "name":
        return dataclasses.replace(experiment, model=text.strip())
    value = parse_value(text)
    if table == "model":
        return dataclasses.replace(experiment, model_settings={**experiment.model_settings, field: value})
    if table == "training":
        value = "none" if value is None else value  # a choice, not a lack
        return dataclasses.replace(experiment, training=in_training(experiment.training, field, value))
    rows = (*experiment.dataset.settings, setting)
    return dataclasses.replace(experiment, dataset=dataclasses.replace(experiment.dataset, settings=rows))


UNPREFIXED = ("training", "model", *ROWS)
"""Tables whose fields need no table in front, in the order in which they are looked through."""


def known_fields(model: str) -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each table, with the settings of this model."""
    from featurestore.specs.overrides import AUGMENTATION_FIELDS, FEATURE_FIELDS
    from models.registry import model_card
    from models.training_spec import TrainingSpec
    from pipelines.experiment import DatasetChoice, SplitChoice, VoteChoice

    kinds = {"dataset": DatasetChoice, "split": SplitChoice, "vote": VoteChoice, "training": TrainingSpec}
    named = {table: tuple(item.name for item in dataclasses.fields(kind)) for table, kind in kinds.items()}
    named["dataset"] = tuple(name for name in named["dataset"] if name != "settings")  # that is what --set adds to
    named["model"] = ("name", *model_card(model).settings)
    return {**named, "features": FEATURE_FIELDS, "policy": AUGMENTATION_FIELDS}


def _in_table(table: Any, key: str, field: str, text: str) -> Any:  # noqa: ANN401 (one of a recipe's dataclasses)
    """Return a table of a recipe with one field read from text; the table checks the value."""
    from featurestore.errors import SpecError
    from featurestore.specs.overrides import parse_value

    before = getattr(table, field)
    if isinstance(before, str):
        value: Any = text.strip()
    elif isinstance(before, tuple):
        value = tuple(part.strip() for part in text.split(",") if part.strip())
    else:
        value = parse_value(text)
    try:
        return dataclasses.replace(table, **{field: value})
    except SpecError as error:
        raise SpecError(f"--set {key}={text}: {error}") from error
