"""An experiment trained once, with several seeds, or on each fold of a protocol, and resumed from what it recorded."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import Prepared, prepare
from pipelines.experiments.settings import chosen_experiment

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from featurestore.store import Store
    from models.optimisation.distributed import Ranks
    from models.runs.run import RunConfig
    from pipelines.experiments.recipe import Experiment

SEVERAL = "seeds.json"
"""Marks a folder that holds a run for each of several seeds."""
FOLDS = "folds.json"
"""Records in a folder what its folds are trained on and how, so that it can be resumed by itself."""
SUMMARIES = ("summary.json", "seed-*/summary.json", "fold-*/summary.json")


def train(
    dataset: str | None = None,
    *,
    recipe: str | None = None,
    corpus: str | None = None,
    model: str | None = None,
    copies: int | None = None,
    split: str | None = None,
    validate: str | None = None,
    allow_leak: Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    target: str | None = None,
    settings: Sequence[str] = (),
    store: Store | str | Path | None = None,
    source: str | Path | None = None,
    seeds: int | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    ranks: Ranks | None = None,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Train on a dataset or by a recipe; what is not built yet is built first.

    Parameters
    ----------
    dataset : str, optional
        A dataset of the store. With a recipe, its rows take the place of the recipe's.
    recipe : str, optional
        Name or file of a recipe, see `featurestore recipes`.
    corpus, model, copies, split, validate, allow_leak, epochs, batch_size, seed, target, settings
        What differs from the recipe, see `pipelines.experiments.settings.chosen_experiment`.
    store, source, jobs
        The store or where it is, the default one if there is none; where the corpus is; worker processes of a build.
    seeds : int, optional
        Train this many times, with seeds 0, 1, and so on.
    folder, resume : str or Path, optional
        Run folder, `runs/NAME-NUMBER` if there is none; or that of an interrupted run, which then
        determines what to train.
    device : str
        `auto`, `cpu` or `cuda`.
    ranks : Ranks, optional
        The processes that share the training; this one alone if there are none.

    Returns
    -------
    dict
        As `models.training.train` returns it; of several seeds `run, runs, mean, deviation` and intervals.

    Raises
    ------
    FeatureStoreError
        If there is nothing to train, something would change a resumed run, or the split has an undeclared leak.
    """
    from featurestore.store import open_store
    from models.optimisation.distributed import ALONE
    from models.runs.run import dataset_of

    ranks, store = ranks or ALONE, open_store(store)
    changes: dict[str, Any] = {"corpus": corpus, "model": model, "copies": copies, "split": split}
    changes |= {"allow_leak": allow_leak, "epochs": epochs, "batch_size": batch_size, "seed": seed}
    changes |= {"settings": settings, "validate": validate, "target": target}
    if resume:
        _refuse_changes(dataset=dataset, recipe=recipe, **changes)
        before = recorded_run(Path(resume))
        experiment, dataset, seeds = before.experiment, dataset_of(store, before.config.dataset), before.seeds
        _notice_if_finished(Path(resume), seeds or 1, listener)
    else:
        experiment = chosen_experiment(store, dataset, recipe, listener=listener, **changes)
    where = Path(ranks.broadcast(lambda: str(resume or folder or free_folder(experiment.name))))
    build = partial(prepare, store, experiment, dataset=dataset, source=source, jobs=jobs, listener=listener)
    prepared = ranks.in_turn(build)
    how: dict[str, Any] = {"device": device, "ranks": ranks, "progress": listener.training(where.name)}
    with _naming_command(f"featurestore train --resume {where}"):
        return _train(prepared, where, seeds, bool(resume), how)


def _train(prepared: Prepared, run: Path, seeds: int | None, resume: bool, how: dict[str, Any]) -> dict[str, Any]:
    """Train once, or once for each of several seeds and put the results together."""
    from models.errors import RunError
    from models.figures.intervals import intervals
    from models.figures.metrics import mean_and_deviation
    from models.runs.checkpoint import write_json
    from models.runs.folders import hold_run, run_predictions
    from models.training import train, train_seeds

    sides = prepared.all_sides[0]
    config = prepared.describe(sides)
    if seeds is None:
        return train(sides, config, run, resume=resume, **how)

    def begin() -> None:
        """Note in a new folder that it holds a run for each of several seeds."""
        with hold_run(run):  # what a killed one left half written is no run
            pass
        if run.exists() and any(run.iterdir()):
            raise RunError(f"run folder {run} exists: continue it with '--resume {run}', or give another '--run'.")
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / SEVERAL, {"seeds": seeds})

    if not resume:
        how["ranks"].broadcast(begin)
    results = train_seeds(sides, config, run, list(range(seeds)), resume=True, **how)
    predictions = [run_predictions(Path(result["run"]), "test") for result in results]
    return {
        "run": str(run),
        "runs": results,
        **mean_and_deviation([one["test"] for one in results]),
        **intervals(predictions),
    }


def crossval(
    dataset: str | None = None,
    *,
    recipe: str | None = None,
    corpus: str | None = None,
    model: str | None = None,
    copies: int | None = None,
    split: str | None = None,
    validate: str | None = None,
    allow_leak: Sequence[str] = (),
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    target: str | None = None,
    settings: Sequence[str] = (),
    store: Store | str | Path | None = None,
    source: str | Path | None = None,
    folder: str | Path | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    scheduler: str | None = None,
    allow_unencrypted: bool = False,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Train and test once for each fold of a protocol; a fold that fails does not stop the others.

    The parameters that are not listed are those of `train`; the split is one with folds, such as `loso`.

    Parameters
    ----------
    folder : str or Path, optional
        Run folder; one that exists is resumed.
    jobs : int
        Folds trained at a time, each in a process of its own if above 1.
    scheduler : str, optional
        Address of a Dask cluster that trains the folds; its workers see store and folder at the same paths.
    allow_unencrypted : bool
        Use a scheduler on another machine without TLS.

    Returns
    -------
    dict
        As `models.crossval.cross_validate` returns it.
    """
    from featurestore.store import open_store
    from pipelines.workers.scheduler import check_scheduler

    store = open_store(store)
    changes: dict[str, Any] = {"corpus": corpus, "model": model, "copies": copies, "split": split}
    changes |= {"allow_leak": allow_leak, "epochs": epochs, "batch_size": batch_size, "seed": seed}
    changes |= {"settings": settings, "validate": validate, "target": target}
    if scheduler:
        check_scheduler(scheduler, allow_unencrypted=allow_unencrypted)  # before a build that may take minutes
    if resume:
        _refuse_changes(dataset=dataset, recipe=recipe, **changes)
        experiment, dataset = recorded_folds(store, Path(resume))
    else:
        experiment = chosen_experiment(store, dataset, recipe, listener=listener, **changes)
    name = f"{experiment.name}-{experiment.split.name}".replace("/", "-")
    where = Path(resume or folder or free_folder(name))
    where = where.absolute() if scheduler else where  # workers have folders of their own
    from models.crossval import cross_validate  # after what can be refused at once: it takes seconds
    from models.runs.checkpoint import write_json
    from models.runs.description import describe_dataset

    prepared = prepare(store, experiment, dataset=dataset, source=source, every_fold=True, listener=listener)
    _notice_if_finished(where, len(prepared.splits), listener)
    how: dict[str, Any] = {"device": device, "jobs": jobs, "resume": where.exists()}
    if not (where / FOLDS).is_file():
        where.mkdir(parents=True, exist_ok=True)
        write_json(where / FOLDS, {"recipe": experiment.to_dict(), "dataset": describe_dataset(prepared.view)})
    command = f"featurestore crossval --resume {where}"
    if scheduler:
        command += f" --scheduler {scheduler}"
    on_cluster = {"device": device, "allow_unencrypted": allow_unencrypted}
    with (
        _naming_command(command),
        fold_executor(
            scheduler, prepared, where / FOLDS, f"resume with '{command}'", listener, **on_cluster
        ) as executor,
    ):
        how |= {"executor": executor, "progress": listener.training(where.name)}
        return cross_validate(prepared.all_sides, prepared.describe, where, **how)


def recorded_folds(store: Store, run: Path) -> tuple[Experiment, str]:
    """Return the experiment whose folds a folder holds, and its dataset; `RunError` if it holds none."""
    from featurestore.typed_values import typed
    from models.errors import CheckpointError, RunError
    from models.runs.checkpoint import read_json
    from models.runs.folders import fold_folder, has_begun
    from models.runs.run import dataset_of, read_config, refuse_baseline

    file, first = run / FOLDS, fold_folder(run, 1)
    if has_begun(first):
        refuse_baseline(read_config(first), run)
    if not file.is_file():
        raise RunError(f"{run} holds no cross-validation: it has no {FOLDS}. Start one with '--run {run}'.")
    record = read_json(file)
    described = typed(record.get("dataset"), dict, f"{file}: dataset", CheckpointError)
    return _recorded_experiment(record.get("recipe"), file), dataset_of(store, described)


def fold_executor(
    scheduler: str | None,
    prepared: Prepared,
    file: Path,
    go_on: str,
    listener: Listener,
    **how: Any,  # noqa: ANN401 (of `cluster_folds`)
) -> AbstractContextManager[Executor | None]:
    """Return what trains folds on a cluster, see `cluster_folds`; none without a scheduler."""
    if scheduler is None:
        return nullcontext()
    from pipelines.experiments.cluster_folds import cluster_folds

    return cluster_folds(scheduler, prepared.view, file, tell=listener.notice, go_on=go_on, **how)


@dataclass(frozen=True)
class RecordedRun:
    """What a run folder records of its training."""

    experiment: Experiment
    config: RunConfig
    """Experiment of the first of its trainings."""
    seeds: int | None
    """Number of seeds of a run with several."""


def recorded_run(run: Path) -> RecordedRun:
    """Read what a run folder records; `RunError` if it is no run."""
    from models.errors import CheckpointError
    from models.runs.checkpoint import read_json
    from models.runs.run import read_config, refuse_baseline

    seeds, file = None, run / SEVERAL
    if file.is_file():
        seeds = read_json(file).get("seeds")
        if type(seeds) is not int or seeds < 1:
            raise CheckpointError(f"{file}: does not record the number of seeds. Train again into another '--run'.")
    trained = run / "seed-0" if seeds else run
    config = read_config(trained)
    refuse_baseline(config, trained)
    experiment = _recorded_experiment(config.recipe, trained / "config.json")
    settled = dataclasses.replace(experiment, training=config.training.to_dict())  # as it began: defaults may change
    return RecordedRun(settled, config, seeds)


def _recorded_experiment(recipe: Any, file: Path) -> Experiment:  # noqa: ANN401 (checked here)
    from featurestore.errors import FeatureStoreError
    from models.errors import CheckpointError
    from pipelines.experiments.recipe import Experiment

    try:
        return Experiment.from_dict(recipe)
    except FeatureStoreError as error:
        raise CheckpointError(f"{file}: its recipe cannot be resumed ({error}) Train again.") from error


def _refuse_changes(**given: Any) -> None:  # noqa: ANN401 (parameters of `train`)
    """Refuse what would change a run that is resumed: it would be dropped silently."""
    from featurestore.errors import SpecError

    if any(value not in (None, (), []) for value in given.values()):
        raise SpecError("a run is resumed as it began: give 'resume' alone, or start another run.")


def _notice_if_finished(run: Path, trainings: int, listener: Listener) -> None:
    """Give notice if all of a folder's trainings have ended, so that nothing is trained."""
    if sum(1 for pattern in SUMMARIES for _ in run.glob(pattern)) >= trainings:
        listener.notice(f"note: {run} is finished: nothing is left to train; its results are shown again")


def free_folder(name: str) -> Path:
    """Return the first folder `runs/NAME-001`, `runs/NAME-002`, ... that does not exist."""
    folders = (Path("runs") / f"{name}-{number:03d}" for number in itertools.count(1))
    return next(folder for folder in folders if not folder.exists())


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the command that resumes what was interrupted."""


@contextmanager
def _naming_command(command: str) -> Iterator[None]:
    """Name the command that resumes what is done here, if it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"resume with '{command}'.") from None
