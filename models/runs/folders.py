"""Folders of runs: one training at a time in each, folds and seeds below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from featurestore.errors import FeatureStoreError, StoreBusyError
from featurestore.storage.folder_lock import hold_folder
from models.errors import CheckpointError, RunError
from models.figures import concordance, estimates, metrics
from models.figures.estimates import Estimates
from models.figures.intervals import intervals
from models.figures.predictions import Predictions, pooled
from models.runs.checkpoint import read_json, sweep
from models.runs.records import predictions_name, read_estimates, read_predictions, read_side
from models.runs.run import RunConfig, read_config

Answers = TypeVar("Answers", Predictions, Estimates)

PART_FOLDERS = {"fold": "fold-*", "seed": "seed-*"}
"""What the parts of a folder of runs differ in, and what their folders are called."""
BEGUN = {"fold": "folds.json", "seed": "seeds.json"}
"""What records in a folder of runs that they are trained there."""


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Lock a run folder for a training, until the process ends; half-written files of killed ones are removed.

    Reading needs no lock. Where there is no folder, nothing is locked.

    Raises
    ------
    RunError
        If another training has locked it.
    """
    with ExitStack() as held:
        if folder.is_dir():
            try:
                held.enter_context(hold_folder(folder, exclusive=True))
            except StoreBusyError as error:
                raise RunError(
                    f"run folder {folder} is in use by another training: wait until it ends, or give another '--run'."
                ) from error
            sweep(folder)
        yield


def fold_folder(folder: Path, number: int) -> Path:
    """Return the folder of a fold; the first number is 1."""
    return folder / f"fold-{number:02d}"


def has_begun(folder: Path) -> bool:
    """Tell whether a folder holds a run."""
    return (folder / "config.json").is_file()


@dataclass(frozen=True)
class RunFolder:
    """A folder and the runs in it."""

    path: Path
    kind: str
    """`run`, `fold` or `seed`: what the folders in it are."""
    parts: tuple[Path, ...] = ()
    """Folders of folds or seeds, in their order; each may be a folder of runs again."""

    @classmethod
    def of(cls, path: Path | str) -> RunFolder:
        """Look at a folder; `RunError` if it holds no run."""
        path = Path(path)
        if has_begun(path):
            return cls(path, "run")
        for kind, pattern in PART_FOLDERS.items():
            parts = [part for part in path.glob(pattern) if part.is_dir()]
            if parts:
                return cls(path, kind, tuple(sorted(parts, key=_number)))
        raise RunError(f"{path} is no run folder: it has neither config.json nor folders fold-01 or seed-0.")

    def unfinished(self) -> str:
        """Return what a folder of folds or seeds lacks of what it was begun for; nothing where it is whole.

        Folders that hold no record of their beginning are what somebody put together, and whole.
        """
        begun, ended = self.path / BEGUN.get(self.kind, ""), self.path / "crossval.json"
        if self.kind == "run" or not begun.is_file():
            return ""
        if self.kind == "seed":
            wanted = read_json(begun).get("seeds")
            return "" if wanted == len(self.parts) else f"{len(self.parts)} of {wanted} seeds are there"
        if not ended.is_file():
            return f"its cross-validation has not ended; {len(self.parts)} folds are there"
        failed = read_json(ended).get("failed")
        return f"{len(failed)} of its folds failed" if failed else ""

    def check_finished(self) -> None:
        """Raise `RunError` for a folder of folds or seeds of which some are missing."""
        if lacking := self.unfinished():
            raise RunError(f"{self.path} is not finished, {lacking}: resume it, or name the folder of a single run.")

    def runs(self) -> list[Path]:
        """Return the folders of all single runs."""
        if self.kind == "run":
            return [self.path]
        return [run for part in self.parts for run in RunFolder.of(part).runs()]

    def predictions(self, side: str) -> list[Predictions]:
        """Return the predictions for a side: folds pooled, one entry for each seed.

        Raises
        ------
        RunError
            If a run has not ended or is missing, or was made before predictions were kept.
        """
        return self._together(lambda run: run_predictions(run, side), pooled)

    def estimates(self, side: str) -> list[Estimates]:
        """Return the estimates of dimensions for a side, as `predictions` returns those of classes."""
        return self._together(lambda run: run_estimates(run, side), estimates.pooled)

    def _together(self, read: Callable[[Path], Answers], pool: Callable[[list[Answers]], Answers]) -> list[Answers]:
        """Return what is read of each run, pooled over folds, one entry for each seed."""
        if self.kind == "run":
            return [read(self.path)]
        self.check_finished()
        found = [RunFolder.of(part)._together(read, pool) for part in self.parts]
        if self.kind == "seed":
            return [one for part in found for one in part]
        return [pool(list(seeds)) for seeds in zip(*found, strict=True)]


def _number(path: Path) -> tuple[int, str]:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else -1, path.name


def tested_before(folder: Path, config: RunConfig) -> int:
    """Count the runs that have ended in the same folder of runs, and were tested on the same recordings and labels.

    Folds and seeds count one by one. The more often a test side is looked at, the more the best of its figures owes to
    chance; runs of other folders, and those that were removed, are not known.
    """
    own, looks = config.items.get("test"), 0
    if not config.rows.get("test"):
        return 0
    top = folder.absolute()
    while any(top.match(pattern) for pattern in PART_FOLDERS.values()):
        top = top.parent
    for depth in ("*", "*/*", "*/*/*"):
        for ended in top.parent.glob(f"{depth}/summary.json"):
            if ended.parent != folder.absolute():
                with suppress(FeatureStoreError):  # a folder of something else: it must not spoil this run
                    looks += read_config(ended.parent).items.get("test") == own
    return looks


def run_predictions(folder: Path, side: str) -> Predictions:
    """Return a run's predictions for a side; `RunError` if they were not kept."""
    return read_predictions(_kept_answers(folder, side))


def run_estimates(folder: Path, side: str) -> Estimates:
    """Return a run's estimates of dimensions for a side; `RunError` if it has none."""
    return read_estimates(_kept_answers(folder, side))


def _kept_answers(folder: Path, side: str) -> Path:
    """Return the file of a run's answers to a side, whatever it learnt."""
    path = folder / predictions_name(side)
    if not path.is_file():
        raise RunError(
            f"run {folder} has no {path.name}: write it with 'featurestore evaluate {folder} --side {side}'."
        )
    return path


def pooled_summary(runs: Sequence[Path], side: str = "test") -> dict[str, Any]:
    """Return the metrics of the pooled items of several runs, such as folds: of classes or of dimensions.

    The confusion matrix is the sum of those of the runs. `interval` and `interval_over` are None where a run was made
    before predictions were kept.
    """
    if read_config(runs[0]).dimensions:
        return concordance.summary(estimates.pooled([run_estimates(run, side) for run in runs]))
    summaries = [read_side(run, side) for run in runs]
    classes = summaries[0]["classes"]
    if any(summary["classes"] != classes for summary in summaries):
        raise CheckpointError(f"the runs beside {runs[0]} have different classes and cannot be pooled.")
    confusion = np.sum([summary["confusion"] for summary in summaries], axis=0).astype(np.int64)
    found: dict[str, Any] = {"interval": None, "interval_over": None}
    if all((run / predictions_name(side)).is_file() for run in runs):
        found = intervals([pooled([run_predictions(run, side) for run in runs])])
    return {"items": int(confusion.sum()), **metrics.summary(confusion, classes), **found}
