"""Baselines: what functionals and a classifier of scikit-learn reach on a dataset, on the splits of networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.baselines.runs import BaselineSpec, Fitted
    from pipelines.experiments.prepare import Prepared


def baseline(
    dataset: str,
    *,
    split: str = "loso",
    model: str = "svm-linear",
    normalisation: str = "training",
    regularisation: float | None = None,
    allow_leak: Sequence[str] = (),
    store: Store | None = None,
    folder: str | Path | None = None,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Classify functionals of a dataset's clean rows, on a split or each fold of a protocol.

    The sides, the leak gate and the run folders are those of `train` and `crossval`, so that `report` and `compare`
    take them. Nothing is chosen on a validation side, so it trains, as with `SPLIT-no-validation`.

    Parameters
    ----------
    dataset : str
        A dataset of the store.
    split : str
        One split, or one with folds.
    model : str
        `svm-linear`, `svm-rbf` or `logistic`.
    normalisation : str
        What the functionals are brought to mean 0 and deviation 1 over: `training` (rows of the training side),
        `speaker` (each speaker's own rows on all sides: transductive, it sees the test speakers' features), `utterance`
        (each clip's frames by themselves, then as `training`), or `none`.
    regularisation : float, optional
        `C`; chosen by inner folds over the training speakers if it is not given.
    allow_leak : sequence of str
        Kinds of leak to accept.
    store : Store, optional
        The default store if there is none.
    folder : str or Path, optional
        Run folder, which must not exist or be empty; `runs/NAME-NUMBER` if there is none.

    Returns
    -------
    dict
        As `models.crossval.cross_validate` returns it, also for one split, with `chance`: `uar`, and `majority` (the
        most frequent class of the test items) with its `accuracy`.

    Raises
    ------
    FeatureStoreError
        If a name does not exist, the split has an undeclared leak, or the folder holds something.
    """
    from featurestore.store import open_store
    from models.baselines.runs import Baseline, BaselineSpec
    from models.errors import RunError
    from pipelines.experiments.training import free_folder

    spec = BaselineSpec(model, normalisation, regularisation)
    view = (store or open_store()).view(dataset)
    where = Path(folder or free_folder(f"{view.name}-{model}-{split}".replace("/", "-")))
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise RunError(f"run folder {where} exists: give another '--run'.")
    prepared = prepared_baseline(view, spec, split, allow_leak)
    progress, fitted = listener.training(where.name), []
    fitting = Baseline(prepared.view, spec)
    for number, sides in enumerate(prepared.all_sides, start=1):
        fitted.append(fitting.fit(sides))
        progress.stage(f"split {number} of {len(prepared.splits)}: C {fitted[-1].choice.regularisation:g}")
    return _written(where, prepared, spec, fitted)


def prepared_baseline(view: DatasetView, spec: BaselineSpec, split: str, allow_leak: Sequence[str]) -> Prepared:
    """Return the clean rows of a view on all sides of a split, whose validation side trains."""
    from featurestore.corpus.protocols import NO_VALIDATION
    from pipelines.experiments.prepare import prepare_rows
    from pipelines.experiments.recipe import DatasetChoice, Experiment, SplitChoice

    experiment = Experiment(
        view.name,
        DatasetChoice(view.table.corpus),
        SplitChoice(
            split if NO_VALIDATION in split else f"{split}{NO_VALIDATION}", allow_leak=tuple(sorted(set(allow_leak)))
        ),
        model=spec.model,
        training={"normalisation": spec.normalisation, "class_weights": "balanced"},
    )
    return prepare_rows(experiment, view.select(view.copies == 0), every_fold=True)


def _written(where: Path, prepared: Prepared, spec: BaselineSpec, fitted: Sequence[Fitted]) -> dict[str, Any]:
    """Write a run folder, or one for each fold, and return all results together."""
    from models.baselines.runs import configure_baseline, write_baseline
    from models.crossval import together
    from models.figures.metrics import chance
    from models.runs.checkpoint import write_json
    from models.runs.folders import fold_folder

    several = len(fitted) > 1
    results = []
    for number, one in enumerate(fitted, start=1):
        config = configure_baseline(one.sides, spec, **prepared.origin(one.sides))
        results.append(write_baseline(fold_folder(where, number) if several else where, one, config))
    result = together(where, results)
    result["chance"] = chance(np.array(result["pooled"]["confusion"]), result["pooled"]["classes"])
    if several:
        write_json(where / "crossval.json", result)
    return result
