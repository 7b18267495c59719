"""Commands that list the available choices: `recipes`, `presets`, `policies`, `models`; and `fields`, for `--set`."""

from __future__ import annotations

from typing import Any

import click

from cli.console import notice, print_json, print_table, say
from cli.options import json_option

NAME = click.argument("name", required=False, metavar="[NAME|FILE]")


@click.command(epilog="Example: featurestore recipes mathworks > mine.toml")
@NAME
@json_option
def recipes(name: str | None, as_json: bool) -> None:
    """List the built-in recipes for '--recipe', or print one as TOML."""
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
    """List the built-in feature presets for '--features', or print one as TOML."""
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
    """List the built-in augmentation policies for '--policy', or print one as TOML."""
    from featurestore.specs.presets import policy, preset_names, preset_text

    if name is not None:
        spec = policy(name)
        _print_one(preset_text("policies", name), spec.to_dict() if spec else {}, as_json=as_json)
        return
    policies = {name: policy(name) for name in preset_names("policies")}
    draws = {name: list(spec.distributions) if spec else [] for name, spec in policies.items()}
    _print_all([{"name": name, "draws": drawn} for name, drawn in draws.items()], as_json)


@click.command(epilog="Example: featurestore models")
@json_option
def models(as_json: bool) -> None:
    """List the models for '--model'."""
    from models.networks import models_table

    rows = models_table()
    if as_json:
        print_json(rows)
        return
    table = [[row["name"], f"{row['parameters']:,}", row["input"].partition("]")[0] + "]"] for row in rows]
    print_table(("name", "parameters", "input"), table, numbers=("parameters",))
    notice("--json also lists the publication behind each model.")


@click.command(epilog="Example: featurestore fields training;  featurestore fields --model keren-clstm")
@click.argument("table", required=False)
@click.option("--model", default="mathworks-cnn-lstm", show_default=True, help="Include the settings of this model.")
@json_option
def fields(table: str | None, model: str, as_json: bool) -> None:
    """List every field that '--set TABLE.FIELD=VALUE' can change, with its default and meaning.

    Tables are those of a recipe (dataset, split, vote, model, training) and features and policy, whose fields can be
    changed in 'build' too.
    """
    from featurestore.errors import UnknownNameError
    from pipelines.experiments.settings import describe_fields

    found = describe_fields(model)
    if table is not None:
        if table not in found:
            raise UnknownNameError("table of fields", table, found)
        found = {table: found[table]}
    if as_json:
        print_json(found)
        return
    for name, rows in found.items():
        for row in rows:
            default = row["default"]
            shown = str(default).lower() if isinstance(default, bool) else str(default)
            say(f"{name}.{row['field']} = {'none' if default in ('', None, (), {}) else shown}: {row['meaning']}")


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
