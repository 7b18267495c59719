"""What a run folder records of its experiment, and how an interrupted one goes on."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from models.runs.run import RunConfig
    from pipelines.experiments.experiment import Experiment


SEVERAL = "seeds.json"
"""Marks a folder that holds a run for each of several seeds."""
FOLDS = "folds.json"
"""Records in a folder what its folds are trained on and how, so that it can go on by itself."""
SUMMARIES = ("summary.json", "seed-*/summary.json", "fold-*/summary.json")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the command that goes on from there."""


@contextmanager
def goes_on_with(command: str) -> Iterator[None]:
    """Name the command that goes on, if what is done here is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"'{command}' goes on.") from None


def tell_finished(run: Path, trainings: int, listener: Listener = SILENT) -> None:
    """Say so if all of a folder's trainings have ended, so that nothing is trained."""
    ended = sum(1 for pattern in SUMMARIES for _ in run.glob(pattern))
    if ended >= trainings:
        listener.notice(f"note: {run} is finished: nothing is left to train, and its figures are shown again")


@dataclass(frozen=True)
class RecordedRun:
    """What a run folder records of its training."""

    experiment: Experiment
    config: RunConfig
    """Of the first of its trainings."""
    seeds: int | None
    """Number of seeds of a run with several."""


def recorded_run(run: Path) -> RecordedRun:
    """Read what a run folder records; `RunError` if it is no run."""
    from models.runs.run import read_config

    seeds = _seeds(run / SEVERAL)
    trained = run / "seed-0" if seeds else run
    config = read_config(trained)
    experiment = recorded_experiment(config.recipe, trained / "config.json")
    settled = dataclasses.replace(experiment, training=config.training.to_dict())  # as it began: defaults may change
    return RecordedRun(settled, config, seeds)


def _seeds(file: Path) -> int | None:
    """Return how many seeds a folder is trained with; None where there is one."""
    from models.errors import CheckpointError
    from models.runs.checkpoint import read_json

    if not file.is_file():
        return None
    seeds = read_json(file).get("seeds")
    if type(seeds) is not int or seeds < 1:
        raise CheckpointError(f"{file}: does not record the number of seeds. Train again into another '--run'.")
    return seeds


def recorded_experiment(recipe: Any, file: Path) -> Experiment:  # noqa: ANN401 (checked here)
    """Return the experiment that a file of a run folder records; `CheckpointError` if it records none."""
    from featurestore.errors import FeatureStoreError
    from models.errors import CheckpointError
    from pipelines.experiments.experiment import Experiment

    try:
        return Experiment.from_dict(recipe)
    except FeatureStoreError as error:
        raise CheckpointError(f"{file}: its recipe cannot be resumed ({error}) Train again.") from error


def start_seeds(run: Path, seeds: int, *, resume: bool) -> None:
    """Note in a new folder that it holds a run for each of several seeds; `RunError` if the folder is taken."""
    from models.errors import RunError
    from models.runs.checkpoint import write_json
    from models.runs.folders import hold_run

    if resume:
        return
    with hold_run(run):  # what a killed one left half written is no run
        pass
    if run.exists() and any(run.iterdir()):
        raise RunError(f"run folder {run} exists: give '--resume {run}' to go on, or another '--run'.")
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / SEVERAL, {"seeds": seeds})


def free_folder(name: str) -> Path:
    """Return the first folder `runs/NAME-001`, `runs/NAME-002`, ... that does not exist."""
    return next(
        folder for number in itertools.count(1) if not (folder := Path("runs") / f"{name}-{number:03d}").exists()
    )
