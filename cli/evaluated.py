"""Which rows a run is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.output import notice

if TYPE_CHECKING:
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.runs.run import Run
    from pipelines.experiment import Experiment


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows, and how they are judged."""

    view: DatasetView
    side: str
    vote: bool
    """The copies of each recording vote."""
    own: bool
    """They are the rows that the training itself judged."""


def evaluated_rows(store: Store, run: Run, side: str | None, dataset: str | None, *, vote: bool) -> EvaluatedRows:
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
        If the run's dataset does not stand any more, or the run does not tell its split.
    """
    from models.runs.datasets import trained_view

    experiment = _experiment(run)
    view = store.view(dataset) if dataset else trained_view(store, run.config)
    chosen = side or ("test" if dataset is None or _same_corpus(store, run, view) else "all")
    if chosen == "all":
        return EvaluatedRows(_all(store, run, view, vote), "all", vote, own=False)
    if dataset is None and chosen == "test" and experiment.vote.policy:
        view, voted = store.view(experiment.votes_name), True
    else:
        voted = vote
    own = dataset is None and voted == (bool(experiment.vote.policy) and chosen == "test")
    rows = EvaluatedRows(_side(view, experiment, chosen, voted), chosen, voted, own and chosen != "train")
    if rows.own:
        _refuse_other_items(run, rows)
    return rows


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


def _experiment(run: Run) -> Experiment:
    from models.errors import RunError
    from pipelines.experiment import Experiment

    if not run.config.recipe:
        raise RunError(f"run {run.folder} does not say how its split was made: evaluate it with Python, on a view.")
    return Experiment.from_dict(run.config.recipe)


def _same_corpus(store: Store, run: Run, view: DatasetView) -> bool:
    from featurestore.datasets import corpora_of
    from models.errors import RunError
    from models.runs.datasets import trained_view

    try:
        trained = trained_view(store, run.config).table.corpus
    except RunError:
        trained = _experiment(run).dataset.corpus
    return corpora_of(trained) == corpora_of(view.table.corpus)


def _all(store: Store, run: Run, view: DatasetView, vote: bool) -> DatasetView:
    if _same_corpus(store, run, view):
        notice("all recordings: the run was trained on some of them")
    return view.copies_of(view.paths) if vote else view.select(view.copies == 0)


def _side(view: DatasetView, experiment: Experiment, side: str, vote: bool) -> DatasetView:
    from featurestore.corpus.splitting.splits import split as split_named
    from models.training import Sides

    chosen = experiment.split
    view = view.under(chosen.name)
    split = split_named(view.table.utterances, chosen.name, seed=chosen.seed)
    if vote:
        return view.copies_of(getattr(split, side))
    sides = view.sides(split, clean_in_training=chosen.clean_in_training, validation_copy=chosen.validation_copy)
    found: DatasetView = getattr(Sides(*sides), side)
    return found
