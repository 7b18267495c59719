"""Commands that list what can be chosen: `recipes`, `presets`, `policies`, `models`; and `fields`, for `--set`."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import click

from cli.console import notice, print_json, print_table, say
from cli.options import json_option


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
    return [
        DocumentedField(item.name, _default(item), meanings.get(item.name) or item.metadata.get("meaning", ""))
        for item in dataclasses.fields(kind)
    ]


def _default(item: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return None if item.default is dataclasses.MISSING else item.default


_PARAMETER = re.compile(r"^(?P<names>\w+(?:, \w+)*) :.*\n(?P<text>(?:^    .*\n?)+)", re.MULTILINE)


def documented_parameters(called: Callable[..., Any], names: Iterable[str]) -> list[DocumentedField]:
    """Return some parameters of a function or a class, with what its numpy docstring says of them."""
    signature = inspect.signature(called).parameters
    meanings = {
        name: " ".join(entry["text"].split())
        for entry in _PARAMETER.finditer(inspect.getdoc(getattr(called, "func", called)) or "")
        for name in entry["names"].split(", ")
    }
    return [DocumentedField(name, signature[name].default, meanings.get(name, "")) for name in names]


NAME = click.argument("name", required=False, metavar="[NAME|FILE]")


@click.command(epilog="Example: featurestore recipes mathworks > mine.toml")
@NAME
@json_option
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes, the experiments that 'train --recipe' knows, or print one as TOML."""
    from pipelines.experiments.recipe import read_recipe, recipe_names, recipe_text

    if name is not None:
        _print_one(recipe_text(name), dict(read_recipe(name).document), as_json=as_json)
        return
    rows = [
        {"name": recipe.name, "title": str(recipe.document.get("title", "")), "corpora": list(recipe.corpora)}
        for recipe in map(read_recipe, recipe_names())
    ]
    _print_all(rows, as_json=as_json)


@click.command(epilog="Example: featurestore presets logmel > mine.toml")
@NAME
@json_option
def presets(name: str | None, as_json: bool) -> None:
    """List the feature presets that '--features' knows, or print one as TOML."""
    from featurestore.specs.presets import feature_preset, preset_names, preset_text

    if name is not None:
        _print_one(preset_text("features", name), feature_preset(name).to_dict(), as_json=as_json)
        return
    named = {one: feature_preset(one) for one in preset_names("features")}
    rows = [{"name": one, "kind": spec.kind, "width": spec.width} for one, spec in named.items()]
    _print_all(rows, as_json=as_json)


@click.command(epilog="Example: featurestore policies mathworks > mine.toml")
@NAME
@json_option
def policies(name: str | None, as_json: bool) -> None:
    """List the augmentation policies that '--policy' knows, or print one as TOML."""
    from featurestore.specs.presets import policy, preset_names, preset_text

    if name is not None:
        spec = policy(name)
        _print_one(preset_text("policies", name), spec.to_dict() if spec else {}, as_json=as_json)
        return
    named = {one: policy(one) for one in preset_names("policies")}
    _print_all([{"name": one, "draws": list(spec.drawn) if spec else []} for one, spec in named.items()], as_json)


@click.command(epilog="Example: featurestore models")
@json_option
def models(as_json: bool) -> None:
    """List the models."""
    from models.registry import models_table

    rows = models_table()
    if as_json:
        print_json(rows)
        return
    table = [[row["name"], f"{row['parameters']:,}", row["input"].partition("]")[0] + "]"] for row in rows]
    print_table(("name", "parameters", "input"), table, numbers=("parameters",))
    notice("'--json' names the source of each.")


@click.command(epilog="Example: featurestore fields training;  featurestore fields --model keren-clstm")
@click.argument("table", required=False)
@click.option("--model", default="mathworks-cnn-lstm", show_default=True, help="List this model's own settings.")
@json_option
def fields(table: str | None, model: str, as_json: bool) -> None:
    """List every field that '--set TABLE.FIELD=VALUE' changes, with its default and meaning.

    Tables are those of a recipe: dataset, split, vote, model, training; and features and policy, whose fields 'build'
    takes too.
    """
    from featurestore.errors import UnknownNameError

    found = _fields(model)
    if table is not None:
        if table not in found:
            raise UnknownNameError("table of fields", table, found)
        found = {table: found[table]}
    if as_json:
        print_json(found)
        return
    for name, rows in found.items():
        for row in rows:
            say(f"{name}.{row['field']} = {_shown(row['default'])}: {row['meaning']}")


def _fields(model: str) -> dict[str, list[dict[str, Any]]]:
    from featurestore.specs.augmentation import AugmentationSpec
    from featurestore.specs.features import FeatureSpec
    from models.registry import model_card
    from models.training_spec import TrainingSpec
    from pipelines.experiments.experiment import DatasetChoice, SplitChoice, VoteChoice
    from pipelines.experiments.settings import known_fields

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


def _shown(default: Any) -> str:  # noqa: ANN401
    if isinstance(default, bool):
        return str(default).lower()
    if default in ("", None, ()) or default == {}:
        return "none"
    return str(default)


def _print_one(text: str, document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(text.rstrip())


def _print_all(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    lines = [[", ".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows]
    print_table(list(rows[0]), lines)
