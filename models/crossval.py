"""Cross-validation: one run for each fold, resumable fold by fold and within a fold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from featurestore.errors import BuildError, FeatureStoreError
from models.batches.loader import FeatureView, Sides
from models.errors import RunError, TrainingError
from models.figures import concordance, metrics
from models.runs.checkpoint import write_json
from models.runs.folders import fold_folder, has_begun, hold_run, pooled_summary
from models.runs.run import RunConfig
from models.training import train
from models.training_loop import SilentTraining, TrainingProgress

SAFE_PATH = "PYTHONSAFEPATH"
"""Python's variable that leaves the working directory out of `sys.path`; `-P` for processes that others start."""


def train_fold(
    sides: Sides, config: RunConfig, folder: Path, device: str, progress: TrainingProgress | None = None
) -> dict[str, Any]:
    """Train a fold, or resume it; return its result, or `run` and `error`, so that other folds need not wait."""
    try:
        return train(sides, config, folder, device=device, resume=has_begun(folder), progress=progress)
    except Exception as error:  # a GPU out of memory, say: it is reported, and the other folds are worth having
        return _failed(folder, error)


def _failed(folder: Path, error: Exception) -> dict[str, Any]:
    """Return what takes the place of a fold's result."""
    kind = "" if isinstance(error, FeatureStoreError) else f"{type(error).__name__}: "
    return {"run": str(folder), "error": " ".join(f"{kind}{error}".split())}


def cross_validate(
    folds: Iterable[tuple[FeatureView, FeatureView, FeatureView]],
    describe: Callable[[Sides], RunConfig],
    folder: Path,
    *,
    device: str = "auto",
    jobs: int = 1,
    executor: Executor | None = None,
    resume: bool = False,
    progress: TrainingProgress | None = None,
) -> dict[str, Any]:
    """Train and test on every fold, into `folder/fold-01`, `folder/fold-02` and so on.

    A fold that fails does not stop the others. The results are in `folder/crossval.json` either way.

    Parameters
    ----------
    folds : iterable of (train, validation, test)
    describe : callable
        Makes the configuration of a fold from its sides, such as a call of `models.training.configure`.
    folder : Path
    jobs : int
        Folds at a time; each has its own process if this is above 1, and `progress` then reports whole folds only.
    executor : Executor, optional
        Where folds are trained instead, such as a Dask client's; its workers must see the store and the folder under
        the same paths, and train one fold at a time each.
    resume : bool
        Read finished folds and continue those that were interrupted.

    Returns
    -------
    dict
        `run`, `folds` (results of `train`), `mean` and `deviation` of the folds' test accuracy and UAR, or CCC, and
        `pooled`: the metrics of all test items together, with their confusion matrix, `interval` and `interval_over`
        (over speakers), which are also given beside it.

    Raises
    ------
    TrainingError
        If there are no folds or, after all others have ended, if one failed.
    BuildError
        Whatever an executor raises that can train none of them any more.
    RunError
        If the folder holds folds and `resume` was not asked for, or another cross-validation is using it.
    """
    sides = [Sides(*fold) for fold in folds]
    if not sides:
        raise TrainingError("cross-validation needs at least one fold.")
    folders = [fold_folder(folder, number) for number in range(1, len(sides) + 1)]
    if not resume and any(has_begun(run) for run in folders):
        raise RunError(f"run folder {folder} holds folds: resume it, or choose another folder.")
    tasks = [(fold, describe(fold), run, device) for fold, run in zip(sides, folders, strict=True)]
    progress, outcomes = progress or SilentTraining(), []
    folder.mkdir(parents=True, exist_ok=True)
    with hold_run(folder):
        ended = {run for run in folders if (run / "summary.json").is_file()}
        if ended:
            progress.stage(f"{len(ended)} of {len(tasks)} folds have been trained already")
        begun = time.monotonic()
        for number, outcome in enumerate(_outcomes(tasks, jobs, executor, progress), start=1):
            outcomes.append(outcome)
            trained, left = (sum(run not in ended for run in part) for part in (folders[:number], folders[number:]))
            minutes = (time.monotonic() - begun) / max(trained, 1) * left / 60
            about = f"; about {minutes:.0f} min left" if trained and minutes >= 1 else ""
            progress.stage(f"fold {number} of {len(tasks)}: {_outcome_line(outcome)}{about}")
        result = together(folder, outcomes)
        write_json(folder / "crossval.json", result)
    _refuse_failures(folder, result["failed"], len(result["folds"]))
    return result


def together(folder: Path, outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the outcomes of folds together, as `cross_validate` returns them."""
    done = [outcome for outcome in outcomes if "error" not in outcome]
    pooled = pooled_summary([Path(result["run"]) for result in done]) if done else None
    return {
        "run": str(folder),
        "folds": done,
        **metrics.mean_and_deviation([one["test"] for one in done]),
        **{name: pooled and pooled[name] for name in ("interval", "interval_over")},
        "pooled": pooled,
        "failed": [outcome for outcome in outcomes if "error" in outcome],
    }


def _outcomes(
    tasks: Sequence[tuple[Sides, RunConfig, Path, str]],
    jobs: int,
    executor: Executor | None,
    progress: TrainingProgress,
) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each fold in their order."""
    if executor is not None:
        futures = [executor.submit(train_fold, *task) for task in tasks]
        for future, (_, _, folder, _) in zip(futures, tasks, strict=True):
            try:
                yield future.result()
            except BuildError:  # no worker is left for any of them
                raise
            except Exception as error:  # its worker died; other folds are on other workers
                yield _failed(folder, error)
    elif jobs == 1:
        yield from (train_fold(*task, progress) for task in tasks)
    else:
        try:
            with _safe_path():
                yield from Parallel(n_jobs=jobs, return_as="generator")(delayed(train_fold)(*task) for task in tasks)
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that trained a fold was killed, perhaps for lack of memory: run the same command again, "
                f"with fewer than {jobs} --jobs. Finished folds are kept."
            ) from error


@contextmanager
def _safe_path() -> Iterator[None]:
    """Let processes that are started meanwhile import nothing from the working directory.

    Loky starts its workers with `-m` and its trackers with `-c`, which put that directory before all others: a
    `joblib.py` in a folder of downloads would be run. A worker then takes this process's `sys.path` over, so it finds
    the same packages, those of a clone under `python -m cli` among them.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _outcome_line(outcome: Mapping[str, Any]) -> str:
    if "error" in outcome:
        return f"failed: {outcome['error']}"
    figures = outcome["test"]
    shown = {**metrics.DISPLAY, **concordance.DISPLAY}
    known = [f"{shown[name]} {figures[name]:.4f}" for name in metrics.tracked_in(figures) if figures[name] is not None]
    return f"test {', '.join(known)}" if known else "no test items"


def _refuse_failures(folder: Path, failed: Sequence[Mapping[str, Any]], done: int) -> None:
    """Raise `TrainingError` if folds failed; where all did, their reason is most likely one."""
    if not failed:
        return
    if not done:
        raise TrainingError(f"none of the {len(failed)} folds in {folder} could be trained: {failed[0]['error']}")
    reasons = "; ".join(f"{Path(one['run']).name}: {one['error'].rstrip('.')}" for one in failed)
    raise TrainingError(
        f"{len(failed)} of {len(failed) + done} folds in {folder} failed ({reasons}). The others are kept: resume the "
        "folder to train what is missing."
    )
