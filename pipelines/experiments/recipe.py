"""Recipes as TOML files: one experiment each, with what differs on other corpora and in the published table's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.presets import read_text, read_toml
from featurestore.typed_values import typed
from pipelines.experiments.experiment import DEFAULT_MODEL, DatasetChoice, Experiment, SplitChoice, VoteChoice, section

TABLES = ("dataset", "split", "model", "training", "vote")
"""Tables that describe an experiment; a corpus, a row and the reduced setting may change any of them."""
KEYS = ("title", "source", *TABLES, "published", "corpora", "reduced", "rows", "tune")


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table: what was trained, and the figures that came of it."""

    name: str
    corpus: str
    """Corpus that the figures were published for."""
    published: Mapping[str, tuple[float, float | None]]
    """Value and deviation by metric, such as `test uar`; the deviation is None where none was published."""
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
        """Every corpus that the recipe says how to use, its own first."""
        return tuple(dict.fromkeys((self.corpus, *self.document.get("corpora", {}))))

    @property
    def space(self) -> Mapping[str, Any]:
        """What `tune` searches: a rule by the name of a field."""
        return dict(self.document.get("tune", {}))

    def rows(self) -> Iterator[PublishedRow]:
        """Yield the rows of the published table, in the source's order."""
        for entry in self.document.get("rows", ()):
            yield _published_row(self.name, entry, self.corpus)

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
        return self._experiment(document)

    def _experiment(self, document: Mapping[str, Mapping[str, Any]]) -> Experiment:
        model = dict(document["model"])
        return Experiment(
            name=self.name,
            dataset=section(DatasetChoice, "[dataset] of a recipe", document["dataset"]),
            split=section(SplitChoice, "[split] of a recipe", document["split"]),
            vote=section(VoteChoice, "[vote] of a recipe", document["vote"]),
            model=model.pop("name", DEFAULT_MODEL),
            model_settings=model,
            training=dict(document["training"]),
            title=self.document.get("title", ""),
            source=self.document.get("source", ""),
            published_on=self.corpus,
            published=dict(self.document.get("published", {})),
        )


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package, sorted."""
    files = resources.files("pipelines.recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_recipe(name: str) -> Recipe:
    """Read a recipe by name, or from a path that ends in `.toml`.

    Raises
    ------
    UnknownNameError
        If there is no such recipe, or it has a key that does not exist.
    SpecError
        If it cannot be read or a value makes no sense.
    """
    file = _file(name)
    return _checked(Recipe(file.name.removesuffix(".toml"), read_toml(file)))


def recipe_text(name: str) -> str:
    """Return a recipe as its file has it; the same names and errors as those of `read_recipe`."""
    return read_text(_file(name))


def _file(name: str) -> Path | Traversable:
    if name.endswith(".toml"):
        return Path(name)
    if name not in recipe_names():
        raise UnknownNameError("recipe", name, recipe_names(), "A path to your own recipe ends in .toml.")
    return resources.files("pipelines.recipes") / f"{name}.toml"


def _checked(recipe: Recipe) -> Recipe:
    """Return a recipe in which every key exists and every value has its type, also in parts that this use leaves."""
    document, where = recipe.document, f"recipe {recipe.name!r}"
    _check_part(document, KEYS, where)
    for name in ("published", "corpora", "reduced", "tune"):
        typed(document.get(name, {}), dict, f"{where}: {name}")
    if "corpus" not in document.get("dataset", {}):
        raise SpecError(f"{where} has no [dataset] with a corpus.")
    recipe.experiment()
    for corpus, changes in document.get("corpora", {}).items():
        _check_part(changes, TABLES, f"[corpora.{corpus}]")
        recipe.experiment(corpus)
    _check_part(document.get("reduced", {}), TABLES, "[reduced]")
    recipe.experiment(reduced=True)
    typed(document.get("rows", []), list, f"{where}: rows")
    for row in recipe.rows():
        recipe.experiment(row=row)
    return recipe


def _check_part(table: Any, known: tuple[str, ...], place: str) -> None:  # noqa: ANN401 (checked here)
    """Refuse what is no table, an unknown key in it, and a part of an experiment that is no table."""
    for key in typed(table, dict, place):
        if key not in known:
            raise UnknownNameError(f"key of {place}", key, known)
        if key in TABLES:
            typed(table[key], dict, f"{place}: {key}")


def _published_row(recipe: str, entry: Mapping[str, Any], corpus: str) -> PublishedRow:
    where = f"[[rows]] of recipe {recipe!r}"
    _check_part(entry, ("name", "corpus", "published", *TABLES), where)
    if "name" not in entry or not entry.get("published"):
        raise SpecError(f"{where}: a row needs a name and published figures.")
    published = typed(entry["published"], dict, f"{where}: published")
    figures = {metric: _figure(value, f"{where}: {metric}") for metric, value in published.items()}
    changes = {name: entry[name] for name in TABLES if name in entry}
    name, on = (typed(entry.get(key, corpus), str, f"{where}: {key}") for key in ("name", "corpus"))
    return PublishedRow(name, on, figures, changes)


def _figure(value: Any, place: str) -> tuple[float, float | None]:  # noqa: ANN401 (checked here)
    """Return a figure and its deviation, which is None where only a number stands."""
    if not isinstance(value, list):
        return typed(value, float, place), None
    if len(value) != 2:
        raise SpecError(f"{place} must be a number, or a number and its deviation.")
    figure, deviation = typed(value, tuple[float, ...], place)
    return figure, deviation
