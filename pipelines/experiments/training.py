"""An experiment trained: once, with several seeds, or on each fold of a protocol."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import prepare
from pipelines.experiments.resume import (
    FOLDS,
    free_folder,
    goes_on_with,
    recorded_experiment,
    recorded_run,
    start_seeds,
    tell_finished,
)
from pipelines.experiments.settings import Changes, chosen_experiment

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.batches.loader import Sides
    from models.optimisation.distributed import Ranks
    from models.runs.run import RunConfig
    from pipelines.experiments.experiment import Experiment


def run(
    recipe: str | None = None,
    dataset: str | None = None,
    *,
    store: Store | None = None,
    source: str | None = None,
    seeds: int | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    ranks: Ranks | None = None,
    listener: Listener = SILENT,
    **changes: Unpack[Changes],
) -> dict[str, Any]:
    """Train by a recipe or on a dataset; what is not built yet is built first.

    Parameters
    ----------
    recipe : str, optional
        Name or file of a recipe, see `featurestore recipes`.
    dataset : str, optional
        A dataset of the store. With a recipe, its rows take the place of the recipe's.
    store : Store, optional
        The default store if there is none.
    source : str, optional
        Where the corpus lies.
    seeds : int, optional
        Train so many times, with seeds 0, 1, and so on.
    folder : str or Path, optional
        Run folder; `runs/NAME-NUMBER` if there is none.
    resume : str or Path, optional
        Go on with an interrupted run, in place of all that describes an experiment.
    jobs : int, optional
        Worker processes of a build.
    ranks : Ranks, optional
        The processes that share the training, see `models.optimisation.distributed`; this one alone if there are none.
    listener : Listener
    **changes
        What differs from the recipe: `corpus, model, copies, split, allowed, epochs, batch_size, seed, settings`, see
        `pipelines.experiments.settings.Changes`.

    Returns
    -------
    dict
        As `models.training.train` returns it; of several seeds `run, runs, mean, deviation` and intervals.

    Raises
    ------
    SpecError
        If nothing says what to train, or something would change a run that goes on.
    LeakError
        If the split leaks and neither the recipe nor `allowed` declares it.
    """
    from featurestore.store import open_store
    from models.optimisation.distributed import ALONE
    from models.runs.run import dataset_of

    ranks = ranks or ALONE
    store = store or open_store()
    if resume:
        _refuse_changes(recipe, dataset, changes)
        before = recorded_run(Path(resume))
        experiment, dataset, seeds = before.experiment, dataset_of(store, before.config.dataset), before.seeds
        tell_finished(Path(resume), seeds or 1, listener)
    else:
        experiment = chosen_experiment(store, dataset, recipe, listener=listener, **changes)
    where = Path(ranks.broadcast(lambda: str(resume or folder or free_folder(experiment.name))))
    prepared = ranks.in_turn(
        lambda: prepare(store, experiment, dataset=dataset, source=source, jobs=jobs, listener=listener)
    )
    sides = prepared.all_sides[0]
    how: dict[str, Any] = {"device": device, "ranks": ranks, "progress": listener.training(where.name)}
    with goes_on_with(f"featurestore train --resume {where}"):
        return _trained(sides, prepared.describe(sides), where, seeds, bool(resume), how)


def _refuse_changes(recipe: str | None, dataset: str | None, changes: Changes) -> None:
    from featurestore.errors import SpecError

    if recipe or dataset or any(value not in (None, ()) for value in changes.values()):
        raise SpecError("a run goes on as it began: give 'resume' alone, or start another run.")


def _trained(
    sides: Sides, config: RunConfig, run: Path, seeds: int | None, resume: bool, how: dict[str, Any]
) -> dict[str, Any]:
    """Train once, or once for each of several seeds and put the results together."""
    from models.figures.intervals import intervals
    from models.figures.metrics import spread
    from models.runs.folders import run_predictions
    from models.training import train, train_seeds

    if seeds is None:
        return train(sides, config, run, resume=resume, **how)
    how["ranks"].broadcast(lambda: start_seeds(run, seeds, resume=resume))
    results = train_seeds(sides, config, run, list(range(seeds)), resume=True, **how)
    said = [run_predictions(Path(result["run"]), "test") for result in results]
    return {"run": str(run), "runs": results, **spread([result["test"] for result in results]), **intervals(said)}


def crossval(
    recipe: str | None = None,
    dataset: str | None = None,
    *,
    store: Store | None = None,
    source: str | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    scheduler: str | None = None,
    listener: Listener = SILENT,
    **changes: Unpack[Changes],
) -> dict[str, Any]:
    """Train and test once for each fold of a protocol; a fold that fails does not stop the others.

    Parameters
    ----------
    recipe, dataset, store, source, listener, **changes
        As `run` takes them; the split is one with folds.
    folder : str or Path, optional
        Run folder; one that exists goes on.
    resume : str or Path, optional
        Go on as this folder records it.
    jobs : int
        Folds trained at a time, each in a process of its own if above 1.
    scheduler : str, optional
        Address of a Dask cluster that trains the folds; its workers see store and folder at the same paths.

    Returns
    -------
    dict
        As `models.crossval.cross_validate` returns it.
    """
    from featurestore.store import open_store

    if resume:
        _refuse_changes(recipe, dataset, changes)
    store = store or open_store()
    if scheduler:
        from pipelines.workers.cluster import check_scheduler

        check_scheduler(scheduler)  # before a build that may take minutes
    if resume:
        experiment, dataset = _recorded_folds(store, Path(resume))
    else:
        experiment = chosen_experiment(store, dataset, recipe, listener=listener, **changes)
    name = f"{experiment.name}-{experiment.split.name}".replace("/", "-")
    where = Path(resume or folder or free_folder(name))
    where = where.absolute() if scheduler else where  # workers have folders of their own
    from models.crossval import cross_validate  # after what can be refused at once: it takes seconds

    prepared = prepare(store, experiment, dataset=dataset, source=source, every_fold=True, listener=listener)
    going_on = where.exists()
    tell_finished(where, len(prepared.splits), listener)
    _record_folds(where, experiment, prepared.view)
    with ExitStack() as opened, goes_on_with(f"featurestore crossval --resume {where}"):
        return cross_validate(
            prepared.all_sides,
            prepared.describe,
            where,
            device=device,
            jobs=jobs,
            executor=_cluster(opened, scheduler) if scheduler else None,
            resume=going_on,
            progress=listener.training(where.name),
        )


def _record_folds(run: Path, experiment: Experiment, view: DatasetView) -> None:
    from models.runs.checkpoint import write_json
    from models.runs.run import describe_dataset

    if not (run / FOLDS).is_file():
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / FOLDS, {"recipe": experiment.to_dict(), "dataset": describe_dataset(view)})


def _recorded_folds(store: Store, run: Path) -> tuple[Experiment, str]:
    """Return what a folder's folds are trained by, and on which dataset."""
    from featurestore.typed_values import typed
    from models.errors import CheckpointError, RunError
    from models.runs.checkpoint import read_json
    from models.runs.run import dataset_of

    file = run / FOLDS
    if not file.is_file():
        raise RunError(f"{run} holds no cross-validation: it has no {FOLDS}. Start one with '--run {run}'.")
    record = read_json(file)
    described = typed(record.get("dataset"), dict, f"{file}: dataset", CheckpointError)
    return recorded_experiment(record.get("recipe"), file), dataset_of(store, described)


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
            f"a worker of {scheduler!r} has several threads, but a process trains one fold at a time: start workers "
            "with '--nthreads 1'."
        )
    executor: Executor = client.get_executor(pure=False)
    return executor
