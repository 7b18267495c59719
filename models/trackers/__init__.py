"""Runs in trackers of experiments: every file of this folder with a `FORMAT` is one.

They are fed from what a run folder records, at any time: a run that goes on is brought up to date by the next call, and
what stands in the tracker already is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from featurestore.checksummed_json import canonical_json, digest
from featurestore.errors import StorageError, StoreBusyError, UnknownNameError
from featurestore.registry import formats_in
from featurestore.storage.folder_lock import hold_folder
from models.figures.metrics import tracked_in
from models.runs.folders import RunFolder
from models.runs.records import read_history, read_result
from models.runs.run import RunConfig, read_config


@dataclass(frozen=True)
class Point:
    """Values of a run at one moment."""

    step: int
    """The epoch."""
    seconds: float
    """When it was reached, in seconds since 1970."""
    values: Mapping[str, float]
    """By name, such as `loss/train`; what is no number is left out."""


@dataclass(frozen=True)
class TrackedRun:
    """What a run folder records, as trackers take it."""

    name: str
    """The folder's name; of folds and seeds with that of the folder they are in: `emodb-loso-001/fold-03`."""
    config: RunConfig
    began: float
    """When the training began, in seconds since 1970."""
    points: tuple[Point, ...]
    """One an epoch and, when the run has ended, one of the test side at the epoch whose weights were kept."""
    ended: bool

    @property
    def id(self) -> str:
        """The sha256 of its name and of what its result depends on."""
        return digest([self.name, self.config.id])

    def settings(self) -> dict[str, str]:
        """Return how it was trained as texts by name, such as `training.learning_rate`."""
        config = self.config
        known = {
            "model": config.model,
            "split": config.split,
            "dataset.name": config.dataset["name"],
            "dataset.digest": config.dataset["digest"],
            "features": config.dataset["features"],
            "augmentation": config.dataset.get("augmentation"),
            "dimensions" if config.dimensions else "classes": list(config.outputs),
            **{f"model.{name}": value for name, value in config.settings.items()},
            **{f"training.{name}": value for name, value in config.training_settings().items()},
            **{f"rows.{side}": count for side, count in config.rows.items()},
        }
        return {name: value if isinstance(value, str) else canonical_json(value) for name, value in known.items()}


@dataclass(frozen=True)
class Tracker:
    """How runs are written for a tracker."""

    name: str
    write: Callable[[TrackedRun, Path], None]
    """Bring one run up to date in a folder, which nobody else writes meanwhile."""


def trackers() -> dict[str, Tracker]:
    """Return the trackers by name."""
    return formats_in(__name__)


def track(folder: Path, to: str, out: Path) -> list[str]:
    """Bring a run, or all runs of a folder of folds or seeds, up to date in a tracker; return their names.

    Parameters
    ----------
    folder : Path
        A run folder, finished or not, or one with folders `fold-01` or `seed-0`.
    to : str
        `tensorboard` or `mlflow`.
    out : Path
        The tracker's folder, for any number of runs.

    Raises
    ------
    UnknownNameError
        If there is no such tracker.
    MissingPackageError
        If its package is not installed.
    RunError, CheckpointError
        If there is no run, or its records are not as a run writes them.
    StorageError
        If the folder cannot be written, or is being written.
    """
    known = trackers()
    if to not in known:
        raise UnknownNameError("tracker", to, known)
    parts = RunFolder.of(folder)
    runs = [_tracked(run, run.resolve().relative_to(folder.resolve().parent).as_posix()) for run in parts.runs()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with hold_folder(out, exclusive=True):
            for run in runs:
                known[to].write(run, out)
    except StoreBusyError as error:
        raise StorageError(f"{str(out)!r} is being written by another command: run this again when it ends.") from error
    except OSError as error:
        raise StorageError(f"cannot write {str(out)!r}: {error.strerror or error}.") from error
    return [run.name for run in runs]


def _tracked(folder: Path, name: str) -> TrackedRun:
    """Read a run folder; one whose first epoch has not ended has no points yet."""
    config, epochs = read_config(folder), read_history(folder)
    date = config.made.get("date")
    began = datetime.fromisoformat(date).timestamp() if date else (folder / "config.json").stat().st_mtime
    points = [Point(one["epoch"], began + one.get("seconds", 0.0), dict(_values(one))) for one in epochs]
    ended = (folder / "summary.json").is_file()
    if ended:
        result = read_result(folder)
        last = points[-1].seconds if points else began
        points.append(Point(int(result.get("best_epoch") or 0), last, dict(_of_side(result, "test"))))
    return TrackedRun(name, config, began, tuple(points), ended)


def _values(epoch: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the values of an epoch by name."""
    for side in ("train", "validation"):
        yield from _of_side(epoch, side)
    for name in ("learning_rate", "clips_per_second"):
        if isinstance(epoch.get(name), int | float):
            yield name, float(epoch[name])


def _of_side(record: Mapping[str, Any], side: str) -> Iterator[tuple[str, float]]:
    for name in ("loss", *tracked_in(record[side])):
        if record[side].get(name) is not None:
            yield f"{name}/{side}", float(record[side][name])
