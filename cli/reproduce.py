"""`featurestore reproduce`: a published table beside our own figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import figure, notice, print_json, print_table
from cli.options import device_option, fold_jobs_option, json_option, source_option, store_option, trust_code_option

if TYPE_CHECKING:
    from pipelines.experiments.reproduce import Reproduction

COMMITTED = Path(__file__).parent.parent / "docs" / "results.json"
"""Results that were measured in full and stand in the repository."""


@click.command(epilog="Example: featurestore reproduce mathworks --seeds 5 --full --source download.zip")
@click.argument("name")
@click.option("--corpus", help="Train on this corpus, where the recipe says how; default: the published one.")
@source_option
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings of each row.")
@click.option("--full", is_flag=True, help="Train as published, for hours; default: the recipe's reduced setting.")
@click.option("--row", "rows", multiple=True, metavar="ROW", help="Only this row; repeatable.")
@click.option("--show", is_flag=True, help="Print the results that the repository keeps; train nothing.")
@click.option("--keep", type=click.Path(dir_okay=False), metavar="FILE", help="Put the results into this file too.")
@click.option("--run", "folder", type=click.Path(file_okay=False), metavar="FOLDER", help="Folder of all trainings.")
@device_option
@fold_jobs_option("Rows and seeds follow one another.")
@trust_code_option
@store_option
@json_option
def reproduce(
    name: str,
    corpus: str | None,
    source: str | None,
    seeds: int,
    full: bool,
    rows: tuple[str, ...],
    show: bool,
    keep: str | None,
    folder: str | None,
    device: str,
    jobs: int,
    place: str | None,
    as_json: bool,
) -> None:
    """Train the rows of the published table of recipe NAME and print theirs beside ours.

    The same command goes on where an interrupted one stopped. The reduced setting shows that all of it works; its
    figures are not to be compared.
    """
    from pipelines.experiments.recipe import read_recipe
    from pipelines.experiments.reproduce import KeptResults, Reproduction
    from pipelines.experiments.settings import recipe_on

    recipe = recipe_on(read_recipe(name), corpus)
    if show:
        lines = _committed(recipe.name)
    else:
        setting = "full" if full else "reduced"
        where = Path(folder or Path("runs") / "-".join(filter(None, ("reproduce", recipe.name, corpus, setting))))
        reproduction = Reproduction(recipe, where, corpus, seeds, full)
        kept = [KeptResults(where / "results.json"), *([KeptResults(Path(keep))] if keep else [])]
        lines = _trained(reproduction, rows, kept, place=place, source=source, device=device, jobs=jobs)
    if as_json:
        print_json(lines)
    else:
        _print(lines)


def _trained(
    reproduction: Reproduction,
    wanted: tuple[str, ...],
    kept: list[Any],
    *,
    place: str | None,
    **how: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    from featurestore.errors import UnknownNameError
    from featurestore.store import open_store

    store, lines = open_store(place), []
    rows = reproduction.rows()
    for name in wanted:
        if name not in {row.name for row in rows}:
            raise UnknownNameError("row", name, [row.name for row in rows])
    for row in rows:
        if wanted and row.name not in wanted:
            continue
        found = reproduction.train_row(store, row, **how)
        for results in kept:
            results.keep(reproduction.recipe.name, found)
        lines += found
    return lines


def _committed(name: str) -> list[dict[str, Any]]:
    from featurestore.errors import SpecError
    from pipelines.experiments.reproduce import KeptResults

    lines = KeptResults(COMMITTED).read().get(name, {}).get("rows", [])
    if not lines:
        raise SpecError(f"no results of recipe {name!r} are kept here yet: leave --show out to train it.")
    return list(lines)


def _print(lines: list[dict[str, Any]]) -> None:
    table = [
        [
            line["row"],
            line["metric"],
            _with_deviation(line["published"], line["published_deviation"]),
            _with_deviation(line["ours"], line["deviation"]),
            line["runs"],
        ]
        for line in lines
    ]
    columns = ("row", "metric", "published", "ours", "runs")
    print_table(columns, table, numbers=columns[2:])
    for corpus, protocol, published, setting in sorted({_conditions(line) for line in lines}):
        theirs = "" if published == corpus else f"; published on {published}"
        notice(f"ours: {corpus}, {protocol}, {setting} setting{theirs}")


def _with_deviation(value: float, deviation: float | None) -> str:
    return figure(value, ".4f") + (f" +- {deviation:.4f}" if deviation is not None else "")


def _conditions(line: dict[str, Any]) -> tuple[str, str, str, str]:
    return line["corpus"], line["protocol"], line["published_corpus"], line["setting"]
