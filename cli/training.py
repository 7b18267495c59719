"""`featurestore train` and `featurestore crossval`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import json_option, source_option, store_option
from cli.output import (
    DownloadProgress,
    RowProgress,
    TrainingProgress,
    figure,
    notice,
    print_json,
    print_table,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from featurestore.corpus.splitting.sides import Split, SplitItem
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.runs import RunConfig
    from models.training import Sides
    from pipelines.experiment import Experiment

LEAKS = ("speaker", "source", "audio", "sentence")


@click.command(epilog="Example: featurestore train --recipe mathworks --source download.zip")
@click.argument("dataset", required=False)
@click.option("--recipe", metavar="NAME|FILE", help="An experiment: a name or a TOML file.")
@click.option("--corpus", help="Use the recipe on another corpus.")
@source_option
@click.option("--model", help="See 'featurestore models'.")
@click.option("--split", help="speakers, loso/03, emodb/mathworks, sides.tsv, ...")
@click.option("--allow-leak", "allowed", multiple=True, type=click.Choice(LEAKS), help="Accept this leak; repeatable.")
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Seed of weights and batches.")
@click.option("--seeds", type=click.IntRange(1), help="Train this many times, with seeds 0, 1, ...")
@click.option("--resume", type=click.Path(file_okay=False), metavar="RUN", help="Go on with an interrupted run.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one field of the recipe; repeatable."
)
@click.option("--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder. Default: runs/NAME-NUMBER.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes of a build that comes first.")
@store_option
@json_option
def train(
    dataset: str | None,
    recipe: str | None,
    corpus: str | None,
    source: str | None,
    resume: str | None,
    folder: str | None,
    seeds: int | None,
    device: str,
    jobs: int | None,
    place: str | None,
    as_json: bool,
    **choices: Any,  # noqa: ANN401 (passed on by name)
) -> None:
    """Train a model on DATASET or by a recipe; what is not built yet is built first."""
    from cli.experiments import chosen_experiment, free_folder, interrupted_run, start_seeds
    from featurestore.store import open_store
    from models.training import train as run_training
    from models.training import train_seeds

    store = open_store(place)
    if resume:
        before = interrupted_run(Path(resume))
        experiment, dataset, seeds = before.experiment, before.digest, before.seeds
    else:
        experiment = chosen_experiment(store, dataset, recipe, corpus, **choices)
    run = Path(resume or folder or free_folder(experiment.name))
    sides, config = _prepared(store, experiment, dataset, source, jobs)
    progress = TrainingProgress(run.name)
    if seeds is None:
        result = run_training(sides, config, run, device=device, resume=bool(resume), progress=progress)
    else:
        start_seeds(run, seeds, resume=bool(resume))
        results = train_seeds(sides, config, run, list(range(seeds)), device=device, resume=True, progress=progress)
        result = _several(run, results)
    if as_json:
        print_json(result)
    else:
        _print(result, experiment)


def _prepared(
    store: Store, experiment: Experiment, dataset: str | None, source: str | None, jobs: int | None
) -> tuple[Sides, RunConfig]:
    """Build what is missing, open the three sides, refuse leaks that nobody declared, and describe the run."""
    from featurestore.corpus.splitting.leaks import check_leaks
    from featurestore.corpus.splitting.splits import split as split_named
    from models.training import Sides, configure
    from models.training_spec import TrainingSpec

    training = TrainingSpec.from_dict(experiment.training)
    chosen = experiment.split
    view = store.view(dataset) if dataset else _built(store, experiment, source, jobs, _one_split)
    view = view.under(chosen.name)
    split = split_named(view.table.utterances, chosen.name, seed=chosen.seed)
    found = check_leaks(split, view.table.utterances, chosen.allow_leak)
    sides = Sides(*view.sides(split, clean_in_training=chosen.clean_in_training))
    leaks = {
        "declared": list(chosen.allow_leak),
        "found": {kind: list(names) for kind, names in found.by_kind.items() if names},
    }
    config = configure(
        sides,
        experiment.model,
        training,
        settings=experiment.model_settings,
        split=split.name,
        leaks=leaks,
        recipe=experiment.to_dict(),
    )
    return sides, config


def _built(
    store: Store, experiment: Experiment, source: str | None, jobs: int | None, split_by: Callable[..., Iterable[Split]]
) -> DatasetView:
    """Return an experiment's dataset, whole; a split that does not fit or leaks ends before the build."""
    from featurestore.corpus.choice import find_choice
    from featurestore.corpus.splitting.leaks import check_leaks
    from featurestore.corpus.splitting.protocols import labelled_under
    from pipelines.build import build
    from pipelines.chosen_corpus import chosen_corpus
    from pipelines.fetch import Fetcher

    choice = find_choice(experiment.dataset.corpus)
    corpus = chosen_corpus(store, choice, source, Fetcher(notice, DownloadProgress()))
    chosen = experiment.split
    utterances = labelled_under(chosen.name, corpus.utterances, corpus.name)
    for split in split_by(utterances, chosen.name, seed=chosen.seed):
        check_leaks(split, utterances, chosen.allow_leak)
    name = experiment.dataset_name
    report = build(store, corpus, experiment.dataset_recipe(), name=name, jobs=jobs, progress=RowProgress(choice.name))
    for rejection in report.rejected:
        notice(f"rejected: {printable(rejection.path)}: {printable(rejection.reason)}")
    notice(f"{name}: {report.computed:,} rows computed, {report.reused + report.copied:,} stood already")
    return store.view(name)


def _one_split(utterances: Iterable[SplitItem], name: str, seed: int) -> tuple[Split, ...]:
    from featurestore.corpus.splitting.splits import split

    return (split(utterances, name, seed=seed),)


def _several(run: Path, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the results of several seeds together."""
    from models.crossval import spread

    return {"run": str(run), "runs": results, **spread([result["test"] for result in results])}


def _print(result: dict[str, Any], experiment: Experiment) -> None:
    runs = result.get("runs", [result])
    shown = [(side, name) for side in ("validation", "test") for name in ("accuracy", "uar")]
    rows = [[run["run"], *(figure(run[side][name], ".4f") for side, name in shown)] for run in runs]
    columns = ("run", "val accuracy", "val UAR", "test accuracy", "test UAR")
    print_table(columns, rows, numbers=columns[1:])
    if "mean" in result and len(runs) > 1:
        means = ", ".join(
            f"{name} {result['mean'][name]:.4f} +- {result['deviation'][name]:.4f}" for name in result["mean"]
        )
        click.echo(f"test over {len(runs)} seeds, mean and deviation: {means}")
    for name, value in experiment.published.items():
        click.echo(f"published test {name}: {value:.4f} ({experiment.source})")
    click.echo(
        f"{runs[0]['clips_per_second']:.0f} clips/s on {runs[0]['device']}; 'featurestore report {runs[0]['run']}'"
    )


@click.command(epilog="Example: featurestore crossval emodb --split loso")
@click.argument("dataset", required=False)
@click.option("--recipe", metavar="NAME|FILE", help="An experiment: a name or a TOML file.")
@click.option("--corpus", help="Use the recipe on another corpus.")
@source_option
@click.option("--model", help="See 'featurestore models'.")
@click.option("--split", required=True, help="One with folds: loso, group-5fold, emodb/loso, ...")
@click.option("--allow-leak", "allowed", multiple=True, type=click.Choice(LEAKS), help="Accept this leak; repeatable.")
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(0), help="Seed of weights and batches.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one field of the recipe; repeatable."
)
@click.option(
    "--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder; one that exists is gone on with."
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Folds at a time.")
@store_option
@json_option
def crossval(
    dataset: str | None,
    recipe: str | None,
    corpus: str | None,
    source: str | None,
    folder: str | None,
    device: str,
    jobs: int,
    place: str | None,
    as_json: bool,
    **choices: Any,  # noqa: ANN401 (passed on by name)
) -> None:
    """Train and test once for every fold of a protocol."""
    from cli.experiments import chosen_experiment, free_folder
    from featurestore.corpus.splitting.leaks import check_leaks
    from featurestore.corpus.splitting.splits import folds
    from featurestore.store import open_store
    from models.crossval import cross_validate
    from models.training import configure
    from models.training_spec import TrainingSpec

    store = open_store(place)
    experiment = chosen_experiment(store, dataset, recipe, corpus, **choices)
    chosen = experiment.split
    view = store.view(dataset) if dataset else _built(store, experiment, source, None, folds)
    view = view.under(chosen.name)
    protocol = folds(view.table.utterances, chosen.name, seed=chosen.seed)
    for fold in protocol:
        check_leaks(fold, view.table.utterances, chosen.allow_leak)
    run = Path(folder) if folder else free_folder(f"{experiment.name}-{chosen.name}".replace("/", "-"))
    result = cross_validate(
        [view.sides(fold, clean_in_training=chosen.clean_in_training) for fold in protocol],
        lambda sides: configure(
            sides,
            experiment.model,
            TrainingSpec.from_dict(experiment.training),
            settings=experiment.model_settings,
            split=chosen.name,
            leaks={"declared": list(chosen.allow_leak)},
            recipe=experiment.to_dict(),
        ),
        run,
        device=device,
        jobs=jobs,
        resume=run.exists(),
        progress=TrainingProgress(run.name),
    )
    if as_json:
        print_json(result)
    else:
        _print({"runs": result["folds"], **result}, dataclasses.replace(experiment, published={}))
