"""An experiment as a recipe tells it: dataset, split, model, training; one TOML file each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.overrides import override
from featurestore.specs.presets import feature_preset, policy, read_toml
from pipelines.dataset_recipe import DatasetRecipe

DEFAULT_MODEL = "mathworks-cnn-lstm"


@dataclass(frozen=True)
class DatasetChoice:
    """The dataset of an experiment."""

    corpus: str
    """A corpus by name, `NAME/SCHEME`, several as `NAME+NAME`, or the path of a manifest."""
    features: str = "mathworks"
    """Feature preset."""
    policy: str = "mathworks"
    """Augmentation policy, or `none`."""
    copies: int = 0
    """Augmented copies of each utterance."""
    side: str = ""
    """The only side of the split that gets copies; empty gives them to all."""
    settings: tuple[str, ...] = ()
    """Changes of single fields, as `--set` takes them."""


@dataclass(frozen=True)
class SplitChoice:
    """The split of an experiment."""

    name: str = "speakers"
    seed: int = 0
    allow_leak: tuple[str, ...] = ()
    """Kinds of leak that the protocol carries and declares."""
    clean_in_training: bool = False
    """Train on the recordings as they are, besides their augmented copies."""


@dataclass(frozen=True)
class Experiment:
    """Everything that a recipe says."""

    name: str
    dataset: DatasetChoice
    split: SplitChoice = SplitChoice()
    model: str = DEFAULT_MODEL
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    published: Mapping[str, float] = field(default_factory=dict)
    """Figures of the source, to be shown beside ours."""

    @property
    def dataset_name(self) -> str:
        """What the experiment's dataset is called in the store: it never takes the place of the user's own build."""
        corpus = self.dataset.corpus
        shown = Path(corpus).stem if corpus.endswith(".toml") else corpus.replace("/", "-")
        return f"{shown}-{self.name}"

    def specs(self) -> tuple[FeatureSpec, AugmentationSpec | None]:
        """Return the feature and augmentation spec."""
        chosen = self.dataset
        return override(feature_preset(chosen.features), policy(chosen.policy), chosen.settings)

    def dataset_recipe(self) -> DatasetRecipe:
        """Return which rows the experiment needs."""
        features, augmentation = self.specs()
        limited = bool(self.dataset.side)
        return DatasetRecipe(
            features,
            augmentation,
            self.dataset.copies,
            split=self.split.name if limited else None,
            side=self.dataset.side or "train",
            seed=self.split.seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Experiment:
        """Read what `to_dict` wrote."""
        fields = dict(document)
        fields["dataset"] = _section(DatasetChoice, "dataset", fields["dataset"])
        fields["split"] = _section(SplitChoice, "split", fields["split"])
        return cls(**fields)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package, sorted."""
    files = resources.files("pipelines.recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_experiment(name: str) -> Experiment:
    """Read a recipe by name, or from a path that ends in `.toml`.

    Raises
    ------
    UnknownNameError
        If there is no such recipe, or it has a key that does not exist.
    SpecError
        If it cannot be read or a value makes no sense.
    """
    if name.endswith(".toml"):
        return _experiment(Path(name).stem, read_toml(Path(name)))
    if name not in recipe_names():
        raise UnknownNameError("recipe", name, recipe_names(), "A path to your own recipe ends in .toml.")
    return _experiment(name, read_toml(resources.files("pipelines.recipes") / f"{name}.toml"))


KEYS = ("title", "source", "dataset", "split", "model", "training", "published")


def _experiment(name: str, document: Mapping[str, Any]) -> Experiment:
    for key in document:
        if key not in KEYS:
            raise UnknownNameError(f"key of recipe {name!r}", key, KEYS)
    if "dataset" not in document:
        raise SpecError(f"recipe {name!r} has no [dataset] with a corpus.")
    model = dict(document.get("model", {}))
    return Experiment(
        name=name,
        dataset=_section(DatasetChoice, "dataset", document["dataset"]),
        split=_section(SplitChoice, "split", document.get("split", {})),
        model=str(model.pop("name", DEFAULT_MODEL)),
        model_settings=model,
        training=dict(document.get("training", {})),
        title=str(document.get("title", "")),
        source=str(document.get("source", "")),
        published=dict(document.get("published", {})),
    )


def _section(kind: type[Any], name: str, table: Any) -> Any:  # noqa: ANN401 (one of the two dataclasses above)
    """Read a table into a dataclass; lists become tuples."""
    known = [item.name for item in dataclasses.fields(kind)]
    if not isinstance(table, Mapping):
        raise SpecError(f"[{name}] of a recipe must be a table, not {table!r}.")
    for key in table:
        if key not in known:
            raise UnknownNameError(f"key of [{name}]", key, known)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise SpecError(f"[{name}] of a recipe: {error}.") from error


def split_settings(settings: Iterable[str], training: Iterable[str]) -> tuple[list[str], list[str]]:
    """Separate `--set` values into those of the training and those of features and augmentation."""
    fields = set(training)
    of_training = [setting for setting in settings if setting.partition("=")[0].strip() in fields]
    return of_training, [setting for setting in settings if setting not in of_training]
