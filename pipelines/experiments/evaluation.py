"""A trained run evaluated on a side of its split, or on another dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.train_overlap import refuse_learnt, sides_of_training

if TYPE_CHECKING:
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.figures.predictions import Predictions
    from models.runs.run import Run
    from pipelines.experiments.experiment import Experiment


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows, and how they are judged."""

    view: DatasetView
    side: str
    vote: bool
    """The copies of each recording vote."""
    own: bool
    """They are the rows that the training itself judged."""


def evaluate(
    run: str | Path,
    *,
    store: Store | None = None,
    side: str | None = None,
    dataset: str | None = None,
    vote: bool = False,
    predictions: str | Path | None = None,
    device: str = "auto",
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Evaluate a run on a side of its split, from the dataset that it was trained on or another.

    Parameters
    ----------
    run : str or Path
        The run's folder.
    store : Store, optional
        The default store if there is none.
    side, dataset, vote
        As `evaluated_rows` takes them.
    predictions : str or Path, optional
        Write a CSV line for each item into this file.

    Returns
    -------
    dict
        `dataset, side, loss` and the figures of the predictions, such as `accuracy`, `uar` and `per_class`.
    """
    from featurestore.store import open_store
    from models.evaluation import evaluate_run
    from models.runs.run import load_run

    trained = load_run(run)
    rows = evaluated_rows(store or open_store(), trained, side, dataset, vote=vote, listener=listener)
    evaluation = evaluate_run(trained, rows.view, device, vote=rows.vote)
    _keep(evaluation.predictions, trained, rows.side if rows.own else "", predictions, listener)
    return {"dataset": rows.view.name, "side": rows.side, "loss": evaluation.loss, **evaluation.summary()}


def _keep(found: Predictions, run: Run, side: str, wanted: str | Path | None, listener: Listener) -> None:
    """Write predictions where they are wanted, and into the folder of a run that was made before it kept them."""
    from featurestore.errors import StorageError
    from models.runs.records import predictions_name, write_predictions

    if wanted:
        write_predictions(Path(wanted), found)
    path = run.folder / predictions_name(side)
    if side and not path.exists():
        try:
            write_predictions(path, found)
        except StorageError as error:
            listener.notice(f"note: {error}")


def evaluated_rows(
    store: Store, run: Run, side: str | None, dataset: str | None, *, vote: bool, listener: Listener = SILENT
) -> EvaluatedRows:
    """Find the rows for a run: of its own dataset or another, of a side of its split or all.

    Parameters
    ----------
    side : str, optional
        `train`, `validation`, `test` or `all`; None is the test side, or all recordings of another corpus.
    dataset : str, optional
        In place of the run's own.
    vote : bool
        Take all augmented copies of the recordings.

    Raises
    ------
    RunError
        If the run's dataset does not stand any more, the run does not tell its split, or it learnt from recordings
        that it would be judged by; only `all`, where it is asked for, takes those too and says so.
    """
    from models.runs.run import trained_view

    experiment = _experiment(run)
    view = store.view(dataset) if dataset else trained_view(store, run.config)
    chosen = side or ("test" if dataset is None or _same_corpus(store, run, view) else "all")
    if chosen == "all":
        rows = EvaluatedRows(view.copies_of(view.paths) if vote else view.select(view.copies == 0), "all", vote, False)
    else:
        rows = _rows_of_side(store, experiment, view, chosen, vote, own=dataset is None)
    if rows.own and run.config.items:
        _refuse_other_items(run, rows)
    else:
        _check_learnt(store, run, rows, view, listener, asked_for=side == "all")
    return rows


def _rows_of_side(
    store: Store, experiment: Experiment, view: DatasetView, side: str, vote: bool, *, own: bool
) -> EvaluatedRows:
    """Return the rows of a side under the run's split; `own` tells that the view is what the run was trained on."""
    votes = bool(experiment.vote.policy) and side == "test"
    if own and votes:
        view, vote = store.view(experiment.votes_name), True
    judged = own and vote == votes and side != "train"
    return EvaluatedRows(_side(experiment, view, side, vote=vote), side, vote, judged)


def _refuse_other_items(run: Run, rows: EvaluatedRows) -> None:
    """Refuse a side that no longer holds what it held in training; `RunError`."""
    from models.errors import RunError
    from models.runs.run import describe_items

    then = run.config.items.get(rows.side)
    if then and then != describe_items(rows.view):
        raise RunError(
            f"the {rows.side} side of run {run.folder} holds other recordings or labels than in training: its table "
            "of sides has changed. Evaluate with the table of then, or train again."
        )


def _check_learnt(
    store: Store, run: Run, rows: EvaluatedRows, view: DatasetView, listener: Listener, *, asked_for: bool
) -> None:
    """Refuse rows of recordings that the run learnt from, or tell of them where all were asked for; `RunError`."""
    if rows.side == "train":
        return
    same = _same_corpus(store, run, view)
    candidates = _views_of_then(store, run, view if same else None)
    sides = sides_of_training(run, candidates, partial(_side, _experiment(run), vote=False))
    refuse_learnt(run, rows.view, rows.side, sides, same_corpus=same, asked_for=asked_for, listener=listener)


def _views_of_then(store: Store, run: Run, view: DatasetView | None) -> Iterator[DatasetView]:
    """Yield what may hold the training's rows as they were: its own dataset if that stands, and another view."""
    from models.errors import RunError
    from models.runs.run import trained_view

    with suppress(RunError):
        yield trained_view(store, run.config)
    if view is not None:
        yield view


def _experiment(run: Run) -> Experiment:
    from models.errors import RunError
    from pipelines.experiments.experiment import Experiment

    if not run.config.recipe:
        raise RunError(f"run {run.folder} does not record how its split was made: evaluate it in Python, on a view.")
    return Experiment.from_dict(run.config.recipe)


def _same_corpus(store: Store, run: Run, view: DatasetView) -> bool:
    from featurestore.datasets import corpora_of
    from models.errors import RunError
    from models.runs.run import trained_view

    try:
        trained = trained_view(store, run.config).table.corpus
    except RunError:
        trained = _experiment(run).dataset.corpus
    return corpora_of(trained) == corpora_of(view.table.corpus)


def _side(experiment: Experiment, view: DatasetView, side: str, *, vote: bool) -> DatasetView:
    from featurestore.corpus.splits.protocols import split as split_named
    from models.batches.loader import Sides

    chosen = experiment.split
    view = view.under(chosen.name)
    split = split_named(view.table.utterances, chosen.name, seed=chosen.seed)
    if vote:
        return view.copies_of(getattr(split, side))
    sides = view.sides(split, clean_in_training=chosen.clean_in_training, validation_copy=chosen.validation_copy)
    found: DatasetView = getattr(Sides(*sides), side)
    return found
