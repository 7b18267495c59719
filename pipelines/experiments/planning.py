"""What `reproduce` would train, and for how long on this machine, from a rate that is measured here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import Listener

if TYPE_CHECKING:
    from featurestore.store import Store
    from models.batches.loader import FeatureView, Sides
    from pipelines.experiments.prepare import Prepared
    from pipelines.experiments.recipe import Experiment, PublishedRow, Recipe

FORWARD_SHARE = 1 / 3
"""Cost of a clip that is only evaluated, in clips trained: a step's backward pass costs about two forward passes."""


def planned(
    store: Store,
    rows: Sequence[tuple[PublishedRow, Experiment, str]],
    recipe: Recipe,
    folder: Path,
    *,
    source: str | Path | None,
    seeds: int,
    jobs: int,
    device: str,
    listener: Listener,
) -> list[dict[str, Any]]:
    """Return what each row would train; nothing is written.

    Parameters
    ----------
    rows : sequence
        As `pipelines.experiments.published.chosen_rows` returns them.
    folder : Path
        Where the runs are or will be.
    source : str or Path, optional
        Where the corpus is; it is read where the store does not have the rows yet.

    Returns
    -------
    list of dict
        `row, corpus, protocol, folds, seeds, epochs` (the most; training can stop earlier), `clips` (trained in all
        epochs, folds and seeds), `dataset`, `cached` (whether its rows are in the store), `ended` (finished trainings),
        `trained_with` (the row that it shares its runs with, if any), `clips_per_second` (of a training step timed now;
        of the kept results where the rows are not in the store) and `hours` left, at most. None of what is not known.
    """
    from featurestore.corpus.protocols import find_split
    from pipelines.experiments.kept_results import COMMITTED, kept_results

    kept = kept_results(COMMITTED).get(recipe.name, {}).get("rows", [])
    rates = {line["row"]: line.get("clips_per_second") for line in kept}
    lines, first = [], dict[str, str]()
    for row, experiment, name in rows:
        cached, shared = _cached(store, experiment), first.setdefault(name, row.name)
        ended = sum(1 for pattern in ("", "fold-*/") for _ in (folder / name).glob(f"seed-*/{pattern}summary.json"))
        counts: list[Counts] | None = None
        rate = rates.get(row.name)
        if cached:
            prepared = _stored(store, experiment, every_fold=find_split(experiment.split.name).folds)
            counts = [Counts.of_sides(experiment, sides) for sides in prepared.all_sides]
            rate = measured_rate(experiment, prepared.all_sides[0].train, device) if shared == row.name else rate
        elif source is not None:
            counts = _read_counts(store, experiment, str(source), listener)
        lines.append(
            {
                "row": row.name,
                "corpus": experiment.dataset.corpus,
                "protocol": experiment.split.name,
                "folds": counts and len(counts),
                "seeds": seeds,
                "epochs": int(experiment.training["epochs"]),
                "clips": counts and seeds * sum(one.trained for one in counts),
                "dataset": experiment.dataset_name,
                "cached": cached,
                "ended": ended,
                "trained_with": None if shared == row.name else shared,
                "clips_per_second": rate and round(rate, 1),
                "hours": _hours(counts, rate, seeds, jobs, ended) if shared == row.name else 0.0,
            }
        )
    return lines


@dataclass(frozen=True)
class Counts:
    """Clips that pass through the network in the training of one fold."""

    trained: int
    evaluated: int

    @classmethod
    def of(cls, experiment: Experiment, recordings: int, rows: int, validation: int, test: int) -> Counts:
        """Return those of all epochs: of a training side of so many recordings and rows, and of the other sides."""
        epochs, share = int(experiment.training["epochs"]), int(experiment.training.get("copies_per_epoch", 0))
        return cls(epochs * (share * recordings if share else rows), epochs * validation + test)

    @classmethod
    def of_sides(cls, experiment: Experiment, sides: Sides) -> Counts:
        """Return those of rows in a store."""
        train, validation, test = sides
        return cls.of(experiment, len(set(train.paths)), len(train), len(validation), len(test))


def _stored(store: Store, experiment: Experiment, *, every_fold: bool) -> Prepared:
    """Return an experiment on the rows that the store has."""
    from pipelines.experiments.prepare import prepare_rows

    voters = store.view(experiment.votes_name) if experiment.vote.policy else None
    return prepare_rows(experiment, store.view(experiment.dataset_name), voters, every_fold=every_fold)


def _read_counts(store: Store, experiment: Experiment, source: str, listener: Listener) -> list[Counts]:
    """Return the counts of each fold from the recordings of a source, whose rows are not computed yet."""
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.corpus.protocols import find_split, folds, labelled_under, split
    from pipelines.ingest.fetch import Fetcher
    from pipelines.ingest.ingest import ReadOptions, ingest_spec

    chosen, copies = experiment.split, experiment.dataset.copies
    fetcher = Fetcher(listener.notice, listener.download(), hashing=listener.hashing)
    corpus = ingest_spec(store, find_corpus_spec(experiment.dataset.corpus), source, fetcher, ReadOptions(write=False))
    utterances = labelled_under(chosen.name, corpus.utterances, corpus.name)
    several = find_split(chosen.name).folds
    found = (
        folds(utterances, chosen.name, seed=chosen.seed) if several else (split(utterances, chosen.name, chosen.seed),)
    )
    each = (copies or 1) + (chosen.clean_in_training and copies > 0)
    sizes = ([len(getattr(one, side)) for side in ("train", "validation", "test")] for one in found)
    votes = experiment.vote.copies or 1
    return [
        Counts.of(experiment, train, train * each, validation, test * votes)
        for train, validation, test in itertools.islice(sizes, chosen.first_folds or None)
    ]


def _hours(counts: Sequence[Counts] | None, rate: float | None, seeds: int, jobs: int, ended: int) -> float | None:
    """Return the hours of the trainings that are left, folds in parallel."""
    if not counts or not rate:
        return None
    clips = sum(one.trained + FORWARD_SHARE * one.evaluated for one in counts)
    left = max(1 - ended / (seeds * len(counts)), 0.0)
    return float(f"{seeds * left * clips / rate / 3600 / min(jobs, len(counts)):.3g}")


def _cached(store: Store, experiment: Experiment) -> bool:
    """Tell whether the store has the rows of an experiment, and those of its vote."""
    wanted, names, voting = {experiment.dataset_name: experiment.dataset_spec()}, store.names(), experiment.vote_spec()
    if voting is not None:
        wanted[experiment.votes_name] = voting
    for name, spec in wanted.items():
        if name not in names:
            return False
        view = store.view(name)
        copies = int(view.copies.max(initial=0))
        if view.features != spec.features or (copies, view.augmentation) != (spec.copies, spec.augmentation):
            return False
    return True


def measured_rate(experiment: Experiment, train: FeatureView, device: str) -> float:
    """Return the clips per second of a training step on this machine now, with clips of the median length."""
    import numpy as np

    from models.step_rate import step_rate

    batch, frames = int(experiment.training.get("batch_size", 32)), int(np.median(train.frames))
    shape = {"classes": len(train.classes), "bands": train.bands, "frames": frames, "batch": batch}
    return step_rate(experiment.model, experiment.model_settings, **shape, device=device)
