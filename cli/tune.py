"""`featurestore tune`: a search for hyper-parameters over the space of a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from cli.console import figure, print_json, print_table
from cli.options import device_option, fold_jobs_option, json_option, source_option, store_option, trust_code_option


@click.command(epilog="Example: featurestore tune --recipe zhao --trials 20 --source download.zip")
@click.option("--recipe", required=True, metavar="NAME|FILE", help="A recipe with a [tune] table.")
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Trainings in all.")
@click.option("--corpus", help="Use the recipe on another corpus.")
@source_option
@click.option("--split", help="In place of the recipe's.")
@click.option("--epochs", type=click.IntRange(1))
@click.option(
    "--objective", default="validation accuracy", show_default=True, help="Or: validation uar, validation loss."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the search.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Hold one field at a value; repeatable.")
@click.option("--run", "folder", type=click.Path(file_okay=False), metavar="FOLDER", help="Folder of all trials.")
@device_option
@fold_jobs_option("Trials follow one another.")
@trust_code_option
@store_option
@json_option
def tune(
    recipe: str,
    trials: int,
    corpus: str | None,
    source: str | None,
    split: str | None,
    epochs: int | None,
    objective: str,
    seed: int,
    settings: tuple[str, ...],
    folder: str | None,
    device: str,
    jobs: int,
    place: str | None,
    as_json: bool,
) -> None:
    """Train a recipe with other settings again and again, and tell which validate best.

    Trials are compared by their validation side alone. The same command goes on where an interrupted one stopped.
    """
    from featurestore.corpus.splits.protocols import find_split
    from featurestore.store import open_store
    from pipelines.experiments.recipe import read_recipe
    from pipelines.experiments.search import Search
    from pipelines.experiments.settings import chosen_experiment

    store = open_store(place)
    experiment = chosen_experiment(store, None, recipe, corpus, split=split, epochs=epochs, settings=settings)
    space = {field: rule for field, rule in read_recipe(recipe).space.items() if field not in _held(settings)}
    run = Path(folder or Path("runs") / f"tune-{experiment.name}")
    search = Search(experiment, space, run, objective, seed)
    every_fold = find_split(experiment.split.name).folds
    found = search.run(store, trials, source=source, device=device, jobs=jobs, every_fold=every_fold)
    ordered = _best_first(found, objective)
    if as_json:
        print_json({"run": str(run), "objective": objective, "best": ordered[0], "trials": found})
    else:
        held = [*(["--corpus", corpus] if corpus else []), *(["--split", split] if split else [])]
        held += ["--epochs", str(epochs)] if epochs else []
        held += [part for setting in settings for part in ("--set", setting)]
        _print(ordered, objective, ["featurestore", "train", "--recipe", recipe, *held])


def _best_first(trials: list[dict[str, Any]], objective: str) -> list[dict[str, Any]]:
    """Return the trials, the best first and those without a value last."""
    sign = 1 if objective.endswith(" loss") else -1
    return sorted(trials, key=lambda trial: (trial["value"] is None, sign * (trial["value"] or 0)))


def _held(settings: tuple[str, ...]) -> set[str]:
    return {setting.partition("=")[0].strip() for setting in settings}


def _print(ordered: list[dict[str, Any]], objective: str, command: list[str]) -> None:
    fields = list(ordered[0]["settings"])
    rows = [
        [trial["trial"], figure(trial["value"], ".4f"), *(_short(trial["settings"][field]) for field in fields)]
        for trial in ordered
    ]
    print_table(("trial", objective, *fields), rows, numbers=("trial", objective, *fields))
    chosen = [part for field, value in ordered[0]["settings"].items() for part in ("--set", f"{field}={value}")]
    click.echo(f"train the best: {shlex.join([*command, *chosen])}")


def _short(value: Any) -> str:  # noqa: ANN401 (a number or a choice)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
