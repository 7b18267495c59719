"""An experiment with other settings, from options and `KEY=VALUE`; the fields that can be set, and what they mean."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from featurestore.store import Store
    from pipelines.experiments.recipe import Experiment, Recipe

PARAMETER = re.compile(r"^(?P<names>\w+(?:, \w+)*) :.*\n(?P<text>(?:^    .*\n?)+)", re.MULTILINE)
"""A parameter, or several, in a numpy docstring."""
UNPREFIXED = ("training", "model", "features", "policy")
"""Tables whose fields need no table in front, in the order in which they are looked through."""


def chosen_experiment(
    store: Store,
    dataset: str | None,
    recipe: str | None,
    corpus: str | None = None,
    *,
    model: str | None = None,
    copies: int | None = None,
    split: str | None = None,
    validate: str | None = None,
    allow_leak: Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    target: str | None = None,
    settings: Sequence[str] = (),
    listener: Listener = SILENT,
) -> Experiment:
    """Return a recipe's experiment, the default one of a dataset, or a recipe's on the rows of a dataset.

    What is missing, None or empty stays as the recipe has it; `settings` are applied last.

    Parameters
    ----------
    dataset, recipe, corpus : str, optional
        A dataset of the store; a name or file of a recipe; another corpus for it.
    model, split : str, optional
        Another network; another split or protocol.
    validate : str, optional
        `none`: the validation side of the split trains too, as with `SPLIT-no-validation`.
    copies : int, optional
        Augmented copies of each recording.
    allow_leak : sequence of str
        Kinds of leak to accept, beside those that the recipe declares.
    epochs, batch_size, seed : int, optional
        Of the training; the seed is that of weights and batches.
    target : str, optional
        What is learnt: `label`, `votes`, or dimensions such as `valence,arousal,dominance`.
    settings : sequence of str
        Single fields, as in `split.name=loso`, see `with_settings`.

    Raises
    ------
    SpecError
        If neither a recipe nor a dataset is given, or a setting would change the rows of an existing dataset.
    UnknownNameError
        If the recipe, the dataset or a field does not exist.
    """
    from featurestore.corpus.protocols import NO_VALIDATION
    from featurestore.errors import SpecError, UnknownNameError
    from featurestore.typed_values import check_listed

    if validate not in (None, "none"):
        raise UnknownNameError("value of validate", str(validate), ["none"], "Leave it out to validate.")
    check_listed("settings", settings, "['epochs=3']")
    check_listed("allow_leak", allow_leak, "['speaker']")
    experiment = _base(store, dataset, recipe, corpus, listener)
    name = split or experiment.split.name
    declared = experiment.split.allow_leak if name == experiment.split.name else ()  # of the recipe's own split
    changed = dataclasses.replace(
        experiment.split,
        name=name if validate is None or NO_VALIDATION in name else f"{name}{NO_VALIDATION}",
        allow_leak=tuple(sorted({*declared, *allow_leak})),
    )
    given = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "target": target}
    training = {**experiment.training, **{name: value for name, value in given.items() if value is not None}}
    experiment = dataclasses.replace(experiment, split=changed, model=model or experiment.model, training=training)
    settings = settings if copies is None else (f"dataset.copies={copies}", *settings)
    for setting in settings if dataset else ():
        if with_setting(experiment, setting).dataset != experiment.dataset:
            raise SpecError(
                f"--set {setting}: features, policy and copies of {dataset!r} are fixed, because its rows exist "
                "already. Build another dataset with 'featurestore build', or train with --recipe alone."
            )
    return with_settings(experiment, settings)


def _base(store: Store, dataset: str | None, recipe: str | None, corpus: str | None, listener: Listener) -> Experiment:
    """Return the experiment that is changed: that of the recipe, the dataset, or the recipe on the dataset's rows."""
    from featurestore.errors import SpecError
    from pipelines.experiments.recipe import DatasetChoice, Experiment, read_recipe

    if dataset is None:
        if recipe is None:
            raise SpecError("nothing to train on: give a dataset ('featurestore ls') or --recipe NAME.")
        return recipe_on(read_recipe(recipe), corpus, listener).experiment(corpus)
    if corpus:
        raise SpecError("--corpus needs --recipe without a dataset: a dataset has its own corpus.")
    view = store.view(dataset)
    rows = DatasetChoice(view.table.corpus, copies=int(view.copies.max(initial=0)))
    if recipe is None:
        return Experiment(view.name, rows)
    experiment = recipe_on(read_recipe(recipe), rows.corpus, listener).experiment(rows.corpus)
    if experiment.vote.policy:
        raise SpecError(
            f"recipe {experiment.name!r} classifies test utterances by a vote of perturbed copies, which dataset "
            f"{dataset!r} does not hold: train with --recipe alone."
        )
    # The source's figures are of the recipe's own rows, so they are not shown beside these.
    return dataclasses.replace(experiment, name=f"{view.name}-{experiment.name}", dataset=rows, published={})


def recipe_on(recipe: Recipe, corpus: str | None, listener: Listener) -> Recipe:
    """Return the recipe, with a notice if it does not mention a corpus."""
    if corpus and corpus not in recipe.corpora:
        known = ", ".join(recipe.corpora)
        listener.notice(
            f"note: recipe {recipe.name} knows {known}; on {corpus} it keeps the split and labels of the first."
        )
    return recipe


def with_settings(experiment: Experiment, settings: Sequence[str]) -> Experiment:
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


def require_labels(experiment: Experiment, what: str) -> None:
    """Raise `SpecError` if an experiment learns votes or dimensions: `what` is about labels."""
    from featurestore.errors import SpecError
    from models.training_spec import TrainingSpec

    spec = TrainingSpec.from_dict(experiment.training)
    if spec.target != "label":
        raise SpecError(
            f"{what} is about labels, and the target is {spec.target}: use 'train' or 'crossval', and 'compare'."
        )


def with_setting(experiment: Experiment, setting: str) -> Experiment:
    """Apply one setting."""
    from featurestore.errors import SpecError, UnknownNameError
    from featurestore.specs.presets import parse_value
    from models.training_spec import with_setting as in_training

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


def known_fields(model: str) -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each table, with the settings of this model."""
    from featurestore.specs.presets import AUGMENTATION_FIELDS, FEATURE_FIELDS
    from models.networks import model_card
    from models.training_spec import TrainingSpec
    from pipelines.experiments.recipe import DatasetChoice, SplitChoice, VoteChoice

    kinds = {"dataset": DatasetChoice, "split": SplitChoice, "vote": VoteChoice, "training": TrainingSpec}
    named = {table: tuple(item.name for item in dataclasses.fields(kind)) for table, kind in kinds.items()}
    named["dataset"] = tuple(name for name in named["dataset"] if name != "settings")  # that is what --set adds to
    named["model"] = ("name", *model_card(model).settings)
    return {**named, "features": FEATURE_FIELDS, "policy": AUGMENTATION_FIELDS}


def _in_table(table: Any, key: str, field: str, text: str) -> Any:  # noqa: ANN401 (one of a recipe's dataclasses)
    """Return a table of a recipe with one field read from text; the table checks the value."""
    from featurestore.errors import SpecError
    from featurestore.specs.presets import parse_value

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


@dataclasses.dataclass(frozen=True)
class DocumentedField:
    """One field of a dataclass, or one parameter."""

    name: str
    default: Any
    """None also where a value has to be given."""
    meaning: str
    """The string that follows the field in the source, on one line; empty where none does."""


def documented_fields(kind: type[Any]) -> list[DocumentedField]:
    """Return the fields of a dataclass in their order; a string after a field in its source is its meaning."""
    meanings: dict[str, str] = {}
    for part in reversed(kind.__mro__[:-1]):
        tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        statements = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in itertools.pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                meanings[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    missing = dataclasses.MISSING
    found = []
    for item in dataclasses.fields(kind):
        default = None if item.default is missing else item.default
        default = default if item.default_factory is missing else item.default_factory()
        meaning = meanings.get(item.name) or item.metadata.get("meaning", "")
        found.append(DocumentedField(item.name, default, meaning))
    return found


def documented_parameters(called: Callable[..., Any], names: Iterable[str]) -> list[DocumentedField]:
    """Return some parameters of a function or a class, with their descriptions in its numpy docstring."""
    signature = inspect.signature(called).parameters
    meanings = {
        name: " ".join(entry["text"].split())
        for entry in PARAMETER.finditer(inspect.getdoc(getattr(called, "func", called)) or "")
        for name in entry["names"].split(", ")
    }
    return [DocumentedField(name, signature[name].default, meanings.get(name, "")) for name in names]


def describe_fields(model: str) -> dict[str, list[dict[str, Any]]]:
    """Return every field that `--set` changes, by table: `field`, `default` and `meaning`; those of this model too."""
    from featurestore.specs.augmentation import AugmentationSpec
    from featurestore.specs.features import FeatureSpec
    from models.networks import model_card
    from models.training_spec import TrainingSpec
    from pipelines.experiments.recipe import DatasetChoice, SplitChoice, VoteChoice

    kinds = {
        "dataset": DatasetChoice,
        "split": SplitChoice,
        "vote": VoteChoice,
        "training": TrainingSpec,
        "features": FeatureSpec,
        "policy": AugmentationSpec,
    }
    known = known_fields(model)
    found = {
        table: [one for one in documented_fields(kind) if one.name in known[table]] for table, kind in kinds.items()
    }
    name = DocumentedField("name", model, "The network, see 'featurestore models'.")
    found["model"] = [name, *documented_parameters(model_card(model).builder, known["model"][1:])]
    return {
        table: [{"field": one.name, "default": one.default, "meaning": one.meaning} for one in found[table]]
        for table in known
    }
