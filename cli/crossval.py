"""`featurestore crossval`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import TrainingProgress, print_json, say
from cli.options import (
    change_option,
    experiment_options,
    fold_jobs_option,
    json_option,
    store_option,
    training_options,
    trust_code_option,
)
from cli.resuming import goes_on_with, refuse_changes, tell_finished

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from featurestore.store import Store
    from featurestore.view import DatasetView
    from pipelines.experiments.experiment import Experiment

MARKER = "folds.json"
"""Says in a folder what its folds are trained on and how, so that `--resume` needs nothing else."""


@click.command(
    epilog="Example: featurestore crossval emodb --split loso --jobs 2;  featurestore crossval --resume runs/x-001"
)
@experiment_options
@click.option("--split", help="One with folds: loso, group-5fold, emodb/loso, ... Default: the recipe's.")
@training_options
@change_option
@click.option(
    "--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder; one that exists is gone on with."
)
@click.option("--resume", type=click.Path(file_okay=False), metavar="FOLDER", help="Go on as the folder says.")
@fold_jobs_option("With --scheduler its workers count instead.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Train folds on a Dask cluster that already runs; its workers see store and run folder at the same paths.",
)
@trust_code_option
@store_option
@json_option
def crossval(
    dataset: str | None,
    recipe: str | None,
    corpus: str | None,
    source: str | None,
    folder: str | None,
    resume: str | None,
    device: str,
    jobs: int,
    scheduler: str | None,
    place: str | None,
    as_json: bool,
    **choices: Any,  # noqa: ANN401 (passed on by name)
) -> None:
    """Train and test once for every fold of a protocol; a fold that fails does not stop the others."""
    from featurestore.store import open_store
    from pipelines.experiments.prepare import prepare
    from pipelines.experiments.resume import free_folder
    from pipelines.experiments.settings import chosen_experiment

    if resume:
        refuse_changes()
    store = open_store(place)
    if scheduler:
        from pipelines.workers.cluster import check_scheduler

        check_scheduler(scheduler)  # before a build that may take minutes
    if resume:
        experiment, dataset = _interrupted(store, Path(resume))
    else:
        if not (recipe or choices["split"]):
            raise click.UsageError("give a protocol with folds: --split loso, or --recipe NAME.")
        experiment = chosen_experiment(store, dataset, recipe, corpus, **choices)
    name = f"{experiment.name}-{experiment.split.name}".replace("/", "-")
    run = Path(resume or folder or free_folder(name))
    run = run.absolute() if scheduler else run  # workers have folders of their own
    from models.crossval import cross_validate  # after what can be refused at once: it takes seconds

    prepared = prepare(store, experiment, dataset=dataset, source=source, every_fold=True)
    going_on = run.exists()
    tell_finished(run, len(prepared.splits))
    _mark(run, experiment, prepared.view)
    with ExitStack() as opened, goes_on_with(f"featurestore crossval --resume {run}"):
        result = cross_validate(
            prepared.all_sides,
            prepared.describe,
            run,
            device=device,
            jobs=jobs,
            executor=_cluster(opened, scheduler) if scheduler else None,
            resume=going_on,
            progress=TrainingProgress(run.name),
        )
    if as_json:
        print_json(result)
    else:
        _print(result)


def _mark(run: Path, experiment: Experiment, view: DatasetView) -> None:
    from models.runs.checkpoint import write_json
    from models.runs.run import describe_dataset

    if not (run / MARKER).is_file():
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / MARKER, {"recipe": experiment.to_dict(), "dataset": describe_dataset(view)})


def _interrupted(store: Store, run: Path) -> tuple[Experiment, str]:
    """Return what a folder's folds are trained by, and on which dataset."""
    from featurestore.typed_values import typed
    from models.errors import CheckpointError, RunError
    from models.runs.checkpoint import read_json
    from models.runs.datasets import dataset_called
    from pipelines.experiments.resume import recorded_experiment

    if not (run / MARKER).is_file():
        raise RunError(f"{run} holds no cross-validation: it has no {MARKER}. Start one with '--run {run}'.")
    marked = read_json(run / MARKER)
    described = typed(marked.get("dataset"), dict, f"{run / MARKER}: dataset", CheckpointError)
    return recorded_experiment(marked.get("recipe"), run / MARKER), dataset_called(store, described)


def _cluster(opened: ExitStack, scheduler: str) -> Executor:
    """Connect to a cluster and return what sends folds to it.

    Torch's generator belongs to a process, so two folds in one process would draw from each other's.
    """
    from featurestore.errors import BuildError
    from pipelines.workers.cluster import connect

    client = opened.enter_context(connect(scheduler))
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if any(worker["nthreads"] > 1 for worker in workers):
        raise BuildError(
            f"a worker of {scheduler!r} has several threads, and a process trains one fold at a time: start workers "
            "with '--nthreads 1'."
        )
    executor: Executor = client.get_executor(pure=False)
    return executor


def _print(result: dict[str, Any]) -> None:
    from cli.evaluation import print_runs, print_summary

    print_runs(result["folds"], "folds", result)
    click.echo("\nall folds' test items together (pooled)")
    print_summary(result["pooled"])
    click.echo()
    say(f"written to {result['run']}; 'featurestore report {result['run']}' makes a page of it")
