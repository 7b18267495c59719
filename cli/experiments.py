"""Commands that train: `train`, `crossval`, `tune`, `reproduce`. `pipelines.experiments` does the work."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from cli.console import Terminal, figure, notice, print_json, print_table, say
from cli.options import (
    change_option,
    device_option,
    experiment_options,
    fold_jobs_option,
    json_option,
    refuse_changes,
    source_option,
    store_option,
    training_options,
    trust_code_option,
)
from cli.runs import MEASURES, print_runs, print_sides, print_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.experiments.settings import Changes


@click.command(epilog="Example: featurestore train --recipe mathworks --source download.zip")
@experiment_options
@click.option("--split", help="speakers, loso/03, emodb/mathworks, sides.tsv, ...")
@training_options
@click.option("--seeds", type=click.IntRange(1), help="Train this many times, with seeds 0, 1, ...")
@click.option("--resume", type=click.Path(file_okay=False), metavar="RUN", help="Go on with an interrupted run.")
@change_option
@click.option("--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder. Default: runs/NAME-NUMBER.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Worker processes of the build that comes first; the training is one process. Default: all cores.",
)
@trust_code_option
@store_option
@json_option
def train(
    dataset: str | None,
    recipe: str | None,
    source: str | None,
    resume: str | None,
    folder: str | None,
    seeds: int | None,
    device: str,
    jobs: int | None,
    place: str | None,
    as_json: bool,
    **changes: Unpack[Changes],
) -> None:
    """Train a model on DATASET or by a recipe; what is not built yet is built first.

    Several GPUs: 'torchrun --standalone --nproc-per-node 2 -m -- featurestore train ...'; --batch-size counts the
    clips of all.
    """
    from featurestore.store import open_store
    from models.optimisation.distributed import joined
    from pipelines.experiments import run

    if resume:
        refuse_changes()
    with joined(device) as ranks, heard(ranks.first):
        result = run(
            recipe,
            dataset,
            store=open_store(place),
            source=source,
            seeds=seeds,
            folder=folder,
            resume=resume,
            device=device,
            jobs=jobs,
            ranks=ranks,
            listener=Terminal(),
            **changes,
        )
        if as_json:
            print_json(result)
        elif ranks.first:
            _print_training(result)


@contextmanager
def heard(wanted: bool) -> Iterator[None]:
    """Silence what is printed, but no error, unless it is wanted: of several processes one speaks."""
    if wanted:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _print_training(result: dict[str, Any]) -> None:
    from pipelines.experiments.resume import recorded_run

    runs = result.get("runs", [result])
    if "runs" in result:
        print_runs(runs, "seeds", result)
    else:
        print_sides(result)
    experiment = recorded_run(Path(result["run"])).experiment
    for name, value in experiment.published.items():
        told = f"{value:.4f} on {experiment.published_on} ({experiment.source})"
        say(f"published test {MEASURES.get(name, name)}: {told}")
    rate, device = runs[0]["clips_per_second"], runs[0]["device"]
    say(f"{result['run']}: {rate:.0f} clips/s on {device}; 'featurestore report {result['run']}'")


@click.command(
    epilog="Example: featurestore crossval emodb --split loso --jobs 2;  featurestore crossval --resume runs/x-001"
)
@experiment_options
@click.option("--split", help="One with folds: loso, group-5fold, emodb/loso, ... Default: the recipe's.")
@training_options
@change_option
@click.option("--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder; an existing one is resumed.")
@click.option("--resume", type=click.Path(file_okay=False), metavar="FOLDER", help="Go on as this folder records it.")
@fold_jobs_option("With --scheduler its workers count instead.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Train folds on a running Dask cluster, whose workers see store and run folder at the same paths.",
)
@trust_code_option
@store_option
@json_option
def crossval(
    dataset: str | None,
    recipe: str | None,
    source: str | None,
    folder: str | None,
    resume: str | None,
    device: str,
    jobs: int,
    scheduler: str | None,
    place: str | None,
    as_json: bool,
    **changes: Unpack[Changes],
) -> None:
    """Train and test once for every fold of a protocol; a fold that fails does not stop the others."""
    from featurestore.store import open_store
    from pipelines import experiments

    if resume:
        refuse_changes()
    elif not (recipe or changes.get("split")):
        raise click.UsageError("give a protocol with folds: --split loso, or --recipe NAME.")
    result = experiments.crossval(
        recipe,
        dataset,
        store=open_store(place),
        source=source,
        folder=folder,
        resume=resume,
        device=device,
        jobs=jobs,
        scheduler=scheduler,
        listener=Terminal(),
        **changes,
    )
    if as_json:
        print_json(result)
        return
    print_runs(result["folds"], "folds", result)
    click.echo("\nall folds' test items together (pooled)")
    print_summary(result["pooled"])
    click.echo()
    say(f"written to {result['run']}; 'featurestore report {result['run']}' makes a page of it")


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
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Fix one field; repeatable.")
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
    """Search a recipe's settings: train it with many, and list which validate best.

    Trials are compared by their validation side alone. The same command goes on where an interrupted one stopped.
    """
    from featurestore.store import open_store
    from pipelines import experiments
    from pipelines.experiments.search import best_first

    found = experiments.tune(
        recipe,
        trials=trials,
        store=open_store(place),
        corpus=corpus,
        source=source,
        split=split,
        epochs=epochs,
        settings=settings,
        objective=objective,
        seed=seed,
        folder=folder,
        device=device,
        jobs=jobs,
        listener=Terminal(),
    )
    if as_json:
        print_json(found)
        return
    fields = list(found["best"]["settings"])
    rows = [
        [trial["trial"], figure(trial["value"], ".4f"), *(_short(trial["settings"][field]) for field in fields)]
        for trial in best_first(found["trials"], objective)
    ]
    print_table(("trial", objective, *fields), rows, numbers=("trial", objective, *fields))
    command = ["featurestore", "train", "--recipe", recipe]
    for option, value in (("--corpus", corpus), ("--split", split), ("--epochs", epochs)):
        command += [option, str(value)] if value else []
    chosen = [f"{field}={value}" for field, value in found["best"]["settings"].items()]
    command += [part for setting in (*settings, *chosen) for part in ("--set", setting)]
    click.echo(f"train the best: {shlex.join(command)}")


def _short(value: Any) -> str:  # noqa: ANN401 (a number or a choice)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@click.command(epilog="Example: featurestore reproduce mathworks --seeds 5 --full --source download.zip")
@click.argument("name")
@click.option("--corpus", help="Train on this corpus, where the recipe says how; default: the published one.")
@source_option
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings of each row.")
@click.option("--full", is_flag=True, help="Train as published, for hours; default: the recipe's reduced setting.")
@click.option("--row", "rows", multiple=True, metavar="ROW", help="Only this row; repeatable.")
@click.option("--show", is_flag=True, help="Print the results that the repository keeps; train nothing.")
@click.option("--keep", type=click.Path(dir_okay=False), metavar="FILE", help="Add the results to this file as well.")
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
    figures mean nothing.
    """
    from featurestore.store import open_store
    from pipelines import experiments
    from pipelines.experiments.published import committed_results

    if show:
        lines = committed_results(name, corpus, Terminal())
    else:
        lines = experiments.reproduce(
            name,
            store=open_store(place),
            corpus=corpus,
            source=source,
            seeds=seeds,
            full=full,
            rows=rows,
            keep=keep,
            folder=folder,
            device=device,
            jobs=jobs,
            listener=Terminal(),
        )
    if as_json:
        print_json(lines)
        return
    columns = ("row", "metric", "published", "ours", "runs")
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
    print_table(columns, table, numbers=columns[2:])
    conditions = {(one["corpus"], one["protocol"], one["published_corpus"], one["setting"]) for one in lines}
    for trained_on, protocol, published_on, setting in sorted(conditions):
        theirs = "" if published_on == trained_on else f"; published on {published_on}"
        notice(f"ours: {trained_on}, {protocol}, {setting} setting{theirs}")


def _with_deviation(value: float, deviation: float | None) -> str:
    return figure(value, ".4f") + (f" +- {deviation:.4f}" if deviation is not None else "")
