"""Recipes, one TOML file each: an experiment, and what differs on other corpora and in a published table's rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeAlias

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, override, policy, read_text, read_toml
from featurestore.typed_values import check_fields, shown_value, typed
from pipelines.build.spec import DatasetSpec

DEFAULT_MODEL = "mathworks-cnn-lstm"
SIDES = ("", "train", "validation", "test")
TABLES = ("dataset", "split", "model", "training", "vote")
"""Tables that describe an experiment; a corpus, a row and the reduced setting may change any of them."""
TEXTS = ("title", "source", "task", "deviation")
KEYS = (*TEXTS, "departures", *TABLES, "published", "corpora", "reduced", "rows", "tune")
Plain: TypeAlias = bool | int | float | str
"""What a setting of a model can be."""


def _check(name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise SpecError(f"[{name}] of a recipe: {rule}.")


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

    def __post_init__(self) -> None:
        check_fields(self, "[dataset] of a recipe")
        _check("dataset", self.copies >= 0, "copies must not be negative")
        _check("dataset", self.side in SIDES, f"side must be train, validation or test, not {self.side!r:.60}")


@dataclass(frozen=True)
class SplitChoice:
    """The split of an experiment."""

    name: str = "speakers"
    """A split or a protocol, see `featurestore splits CORPUS`."""
    seed: int = 0
    """Draws the sides of a split at random."""
    allow_leak: tuple[str, ...] = ()
    """Kinds of leak that the protocol carries and declares."""
    clean_in_training: bool = False
    """Train on the recordings as they are, besides their augmented copies."""
    validation_copy: int = 0
    """Copy of each utterance that validates; 0 is the recording as it is."""
    first_folds: int = 0
    """Number of folds to run, of a protocol with folds; 0 runs all."""

    def __post_init__(self) -> None:
        check_fields(self, "[split] of a recipe")
        _check(
            "split",
            min(self.validation_copy, self.first_folds) >= 0,
            "validation_copy and first_folds must not be negative",
        )


@dataclass(frozen=True)
class VoteChoice:
    """Perturbed copies of each test utterance whose predictions are put together by a majority vote."""

    policy: str = ""
    """Augmentation policy of the copies; empty tests each recording as it is."""
    copies: int = 0
    """Copies that vote, 2 at least."""

    def __post_init__(self) -> None:
        check_fields(self, "[vote] of a recipe")
        _check("vote", not self.policy or self.copies >= 2, "a vote needs at least 2 copies")


@dataclass(frozen=True)
class Experiment:
    """One experiment: what is trained, on what, and how; in a recipe, in a run's record."""

    name: str
    dataset: DatasetChoice
    split: SplitChoice = SplitChoice()
    vote: VoteChoice = VoteChoice()
    model: str = DEFAULT_MODEL
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    published_on: str = ""
    """The corpus of the published results."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Published results, shown next to ours."""

    def __post_init__(self) -> None:
        check_fields(self, "a recipe")
        typed(self.model_settings, Mapping[str, Plain], "[model]")
        copy, copies = self.split.validation_copy, self.dataset.copies
        _check("split", copy <= copies, f"validation_copy {copy} needs [dataset] copies from {copy}, not {copies}")
        validates = self.dataset.side in ("", "validation")
        _check(
            "split", not copy or validates, f"only the {self.dataset.side} side has copies: no copy {copy} validates"
        )

    @property
    def dataset_name(self) -> str:
        """What the experiment's dataset is called in the store: it never takes the place of the user's own build."""
        corpus = self.dataset.corpus
        shown = Path(corpus).stem if corpus.endswith(".toml") else corpus.replace("/", "-")
        return f"{shown}-{self.name}"

    @property
    def votes_name(self) -> str:
        """What the dataset of the copies that vote is called."""
        return f"{self.dataset_name}-votes"

    def specs(self) -> tuple[FeatureSpec, AugmentationSpec | None]:
        """Return the feature and augmentation spec."""
        chosen = self.dataset
        return override(feature_preset(chosen.features), policy(chosen.policy), chosen.settings)

    def vote_spec(self) -> DatasetSpec | None:
        """Return which perturbed rows of the test utterances vote; None where there is no vote."""
        if not self.vote.policy:
            return None
        return DatasetSpec(self.specs()[0], policy(self.vote.policy), self.vote.copies)

    def dataset_spec(self) -> DatasetSpec:
        """Return which rows the experiment needs."""
        split, side = (self.split.name, self.dataset.side) if self.dataset.side else (None, "train")
        return DatasetSpec(*self.specs(), self.dataset.copies, split=split, side=side, seed=self.split.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Experiment:
        """Read what `to_dict` wrote; `SpecError` if a value makes no sense, `UnknownNameError` for an unknown key."""
        typed(document, dict, "a recipe")
        parts = {"dataset": DatasetChoice, "split": SplitChoice, "vote": VoteChoice}
        read = {name: _section(kind, f"[{name}] of a recipe", document.get(name, {})) for name, kind in parts.items()}
        experiment: Experiment = _section(cls, "a recipe", {**document, **read})
        return experiment


def _section(kind: type[Any], where: str, table: Any) -> Any:  # noqa: ANN401 (one of the dataclasses above)
    """Read a table of a recipe, which messages call `where`, into its dataclass; lists become tuples."""
    known = [item.name for item in dataclasses.fields(kind)]
    if not isinstance(table, Mapping):
        raise SpecError(f"{where} must be a table, not {shown_value(table)}.")
    for key in table:
        if key not in known:
            raise UnknownNameError(f"key of {where}", key, known)
    for item in dataclasses.fields(kind):
        if item.name not in table and item.default is MISSING and item.default_factory is MISSING:
            raise SpecError(f"{where}: the key {item.name!r} is missing.")
    return kind(**table)


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table: what was trained, and its results; or a row of our own beside them."""

    name: str
    corpus: str
    """Corpus of the published results."""
    task: str
    """What the classes are; figures of two tasks do not compare."""
    note: str
    """What a reader has to know about this row; may be empty."""
    published: Mapping[str, tuple[float, float | None]]
    """Value and deviation by metric, such as `test uar`; the deviation is None where none was published."""
    metrics: tuple[str, ...]
    """Those published, then others to measure."""
    changes: Mapping[str, Mapping[str, Any]]
    """What differs from the recipe, by table."""


@dataclass(frozen=True)
class Recipe:
    """A recipe file as it was read."""

    name: str
    document: Mapping[str, Any]

    @property
    def corpus(self) -> str:
        """The corpus of the experiment where no other is asked for."""
        return str(self.document["dataset"]["corpus"])

    @property
    def corpora(self) -> tuple[str, ...]:
        """Every corpus that the recipe has settings for, its own first."""
        return tuple(dict.fromkeys((self.corpus, *self.document.get("corpora", {}))))

    @property
    def departures(self) -> tuple[str, ...]:
        """Where the recipe does otherwise than its source, or the source leaves something open."""
        return tuple(" ".join(text.split()) for text in self.document.get("departures", ()))

    @property
    def deviation(self) -> str:
        """What the published deviations are of, in words."""
        return str(self.document.get("deviation", ""))

    def task(self, corpus: str, row: PublishedRow) -> str:
        """Return what the classes of a row are on a corpus; empty where the recipe does not say."""
        own = row.task if corpus == row.corpus else ""
        return str(self.document.get("corpora", {}).get(corpus, {}).get("task", own))

    @property
    def space(self) -> Mapping[str, Any]:
        """What `tune` searches: a rule by the name of a field."""
        return dict(self.document.get("tune", {}))

    def rows(self) -> Iterator[PublishedRow]:
        """Yield the rows of the published table, in the source's order."""
        for entry in self.document.get("rows", ()):
            where = f"[[rows]] of recipe {self.name!r}"
            _check_part(entry, ("name", "corpus", "task", "note", "metrics", "published", *TABLES), where)
            if "name" not in entry or not (entry.get("published") or entry.get("metrics")):
                raise SpecError(f"{where}: a row needs a name, and published results or metrics.")
            published = typed(entry.get("published", {}), dict, f"{where}: published")
            figures = {metric: _figure(value, f"{where}: {metric}") for metric, value in published.items()}
            defaults = {"name": "", "corpus": self.corpus, "task": self.document.get("task", ""), "note": ""}
            texts = {key: typed(entry.get(key, default), str, f"{where}: {key}") for key, default in defaults.items()}
            others = typed(entry.get("metrics", []), tuple[str, ...], f"{where}: metrics")
            changes = {table: entry[table] for table in TABLES if table in entry}
            yield PublishedRow(**texts, published=figures, metrics=(*figures, *others), changes=changes)

    def experiment(
        self, corpus: str | None = None, row: PublishedRow | None = None, *, reduced: bool = False
    ) -> Experiment:
        """Return the experiment on a corpus, of a row of the published table, or in the reduced setting.

        What each of them changes is applied in this order: corpus, row, reduced setting; on a corpus that a row was
        not published for, the corpus has the last word before the reduced setting.
        """
        document = {name: dict(self.document.get(name, {})) for name in TABLES}
        wanted = corpus or (row.corpus if row else self.corpus)
        if wanted != self.corpus:
            document["dataset"]["corpus"] = wanted
        changes = [self.document.get("corpora", {}).get(wanted, {})]
        if row:
            changes.insert(1 if wanted == row.corpus else 0, row.changes)
        changes += [self.document.get("reduced", {})] if reduced else []
        for change in changes:
            document = {name: {**document[name], **change.get(name, {})} for name in TABLES}
        model = document.pop("model")
        described = {key: self.document[key] for key in ("title", "source", "published") if key in self.document}
        return Experiment.from_dict(
            {
                "name": self.name,
                **document,
                "model": model.pop("name", DEFAULT_MODEL),
                "model_settings": model,
                "published_on": self.corpus,
                **described,
            }
        )


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package, sorted."""
    files = resources.files("pipelines.recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_recipe(name: str) -> Recipe:
    """Read a recipe by name, or from a path that ends in `.toml`, and check all its parts, used here or not.

    Raises
    ------
    UnknownNameError
        If there is no such recipe, or it has a key that does not exist.
    SpecError
        If it cannot be read or a value makes no sense.
    """
    file = _file(name)
    recipe = Recipe(file.name.removesuffix(".toml"), read_toml(file))
    document, where = recipe.document, f"recipe {recipe.name!r}"
    _check_part(document, KEYS, where)
    for part in ("published", "corpora", "reduced", "tune"):
        typed(document.get(part, {}), dict, f"{where}: {part}")
    if "corpus" not in document.get("dataset", {}):
        raise SpecError(f"{where} has no [dataset] with a corpus.")
    recipe.experiment()
    for text in TEXTS:
        typed(document.get(text, ""), str, f"{where}: {text}")
    typed(document.get("departures", []), tuple[str, ...], f"{where}: departures")
    for corpus, changes in document.get("corpora", {}).items():
        _check_part(changes, (*TABLES, "task"), f"[corpora.{corpus}]")
        typed(changes.get("task", ""), str, f"[corpora.{corpus}]: task")
        recipe.experiment(corpus)
    _check_part(document.get("reduced", {}), TABLES, "[reduced]")
    recipe.experiment(reduced=True)
    typed(document.get("rows", []), list, f"{where}: rows")
    for row in recipe.rows():
        recipe.experiment(row=row)
    return recipe


def recipe_text(name: str) -> str:
    """Return a recipe as its file has it; the same names and errors as those of `read_recipe`."""
    return read_text(_file(name))


def _file(name: str) -> Path | Traversable:
    if name.endswith(".toml"):
        return Path(name)
    if name not in recipe_names():
        raise UnknownNameError("recipe", name, recipe_names(), "A path to your own recipe ends in .toml.")
    return resources.files("pipelines.recipes") / f"{name}.toml"


def _check_part(table: Any, known: tuple[str, ...], place: str) -> None:  # noqa: ANN401 (checked here)
    """Refuse what is no table, an unknown key in it, and a part of an experiment that is no table."""
    for key in typed(table, dict, place):
        if key not in known:
            raise UnknownNameError(f"key of {place}", key, known)
        if key in TABLES:
            typed(table[key], dict, f"{place}: {key}")


def _figure(value: Any, place: str) -> tuple[float, float | None]:  # noqa: ANN401 (checked here)
    """Return a published value and its deviation, None if only a number is given."""
    if not isinstance(value, list):
        return typed(value, float, place), None
    if len(value) != 2:
        raise SpecError(f"{place} must be a number, or a number and its deviation.")
    figure, deviation = typed(value, tuple[float, ...], place)
    return figure, deviation
