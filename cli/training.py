"""`featurestore train`."""

from __future__ import annotations

import os
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import TrainingProgress, print_json, say
from cli.evaluation import MEASURES
from cli.options import (
    change_option,
    experiment_options,
    json_option,
    store_option,
    training_options,
    trust_code_option,
)
from cli.resuming import goes_on_with, refuse_changes, tell_finished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.runs.run import RunConfig
    from models.trainer import Sides
    from pipelines.experiments.experiment import Experiment


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
    """Train a model on DATASET or by a recipe; what is not built yet is built first.

    Several GPUs: 'torchrun --standalone --nproc-per-node 2 -m -- featurestore train ...'; --batch-size counts the
    clips of all.
    """
    from featurestore.store import open_store
    from models.optimisation.distributed import joined
    from models.runs.datasets import dataset_of
    from pipelines.experiments.prepare import prepare
    from pipelines.experiments.resume import free_folder, interrupted_run
    from pipelines.experiments.settings import chosen_experiment

    if resume:
        refuse_changes()
    with joined(device) as ranks, heard(ranks.first):
        store = open_store(place)
        if resume:
            before = interrupted_run(Path(resume))
            experiment, dataset, seeds = before.experiment, dataset_of(store, before.config), before.seeds
            tell_finished(Path(resume), seeds or 1)
        else:
            experiment = chosen_experiment(store, dataset, recipe, corpus, **choices)
        run = Path(ranks.broadcast(lambda: str(resume or folder or free_folder(experiment.name))))
        prepared = ranks.in_turn(lambda: prepare(store, experiment, dataset=dataset, source=source, jobs=jobs))
        sides = prepared.all_sides[0]
        how: dict[str, Any] = {"device": device, "resume": bool(resume), "ranks": ranks}
        with goes_on_with(f"featurestore train --resume {run}"):
            result = _trained(sides, prepared.describe(sides), run, seeds, **how)
        if as_json:
            print_json(result)
        else:
            _print(result, experiment)


@contextmanager
def heard(wanted: bool) -> Iterator[None]:
    """Silence what is printed, but no error, unless it is wanted: of several processes one speaks."""
    if wanted:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _trained(
    sides: Sides,
    config: RunConfig,
    run: Path,
    seeds: int | None,
    **how: Any,  # noqa: ANN401 (device, resume and ranks, passed on)
) -> dict[str, Any]:
    """Train once, or once for each of several seeds."""
    from models.training import train as run_training
    from models.training import train_seeds
    from pipelines.experiments.resume import start_seeds

    progress = TrainingProgress(run.name)
    if seeds is None:
        return run_training(sides, config, run, progress=progress, **how)
    how["ranks"].broadcast(lambda: start_seeds(run, seeds, resume=how["resume"]))
    results = train_seeds(sides, config, run, list(range(seeds)), progress=progress, **{**how, "resume": True})
    return _several(run, results)


def _several(run: Path, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the results of several seeds together."""
    from models.figures.intervals import intervals
    from models.figures.metrics import spread
    from models.runs.folders import run_predictions

    said = [run_predictions(Path(result["run"]), "test") for result in results]
    return {"run": str(run), "runs": results, **spread([result["test"] for result in results]), **intervals(said)}


def _print(result: dict[str, Any], experiment: Experiment) -> None:
    from cli.evaluation import print_runs, print_sides

    runs = result.get("runs", [result])
    if "runs" in result:
        print_runs(runs, "seeds", result)
    else:
        print_sides(result)
    for name, value in experiment.published.items():
        told = f"{value:.4f} on {experiment.published_on} ({experiment.source})"
        say(f"published test {MEASURES.get(name, name)}: {told}")
    rate, device = runs[0]["clips_per_second"], runs[0]["device"]
    say(f"{result['run']}: {rate:.0f} clips/s on {device}; 'featurestore report {result['run']}'")
