"""What `reproduce` would train, and for how long on this machine, from a rate that is measured here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import Listener

if TYPE_CHECKING:
    from featurestore.store import Store
    from pipelines.experiments.prepare import Prepared
    from pipelines.experiments.recipe import Experiment, PublishedRow, Recipe

FORWARD_SHARE = 1 / 3
"""Cost of a clip that is only evaluated, in clips trained: a step's backward pass costs about two forward passes."""
TIMED_STEPS = 2


def planned(
    store: Store,
    rows: Sequence[tuple[PublishedRow, Experiment, str]],
    recipe: Recipe,
    folder: Path,
    *,
    seeds: int,
    jobs: int,
    device: str,
    listener: Listener,
) -> list[dict[str, Any]]:
    """Return what each row would train, before anything is built or trained.

    Parameters
    ----------
    rows : sequence
        As `pipelines.experiments.published.chosen_rows` returns them.
    folder : Path
        Where the runs are or will be.

    Returns
    -------
    list of dict
        `row, corpus, protocol, folds, seeds, epochs` (the most; training can stop earlier), `clips` (trained in all
        epochs, folds and seeds), `dataset`, `cached` (whether its rows are in the store), `ended` (finished trainings),
        `trained_with` (the row that it shares its runs with, if any), `clips_per_second` (of a training step timed now)
        and `hours` left, at most; None of what only the corpus can tell while its rows are not in the store.
    """
    from featurestore.corpus.protocols import find_split
    from pipelines.experiments.prepare import prepare_rows

    lines, first = [], dict[str, str]()
    for row, experiment, name in rows:
        cached = _cached(store, experiment)
        split = find_split(experiment.split.name)
        known: dict[str, Any] = {
            "folds": None if split.folds else 1,
            "clips": None,
            "clips_per_second": None,
            "hours": None,
        }
        ended = len(
            [one for pattern in ("", "fold-*/") for one in (folder / name).glob(f"seed-*/{pattern}summary.json")]
        )
        shared = first.setdefault(name, row.name)
        if cached:
            voters = store.view(experiment.votes_name) if experiment.vote.policy else None
            view = store.view(experiment.dataset_name)
            prepared = prepare_rows(experiment, view, voters, every_fold=split.folds)
            known = _cost(prepared, seeds, jobs, ended, device) if shared == row.name else {**known, "hours": 0.0}
            known["folds"] = len(prepared.splits)
        listener.notice(f"{row.name}: {'rows are in the store' if cached else 'rows are to be computed first'}")
        lines.append(
            {
                "row": row.name,
                "corpus": experiment.dataset.corpus,
                "protocol": experiment.split.name,
                "seeds": seeds,
                "epochs": int(experiment.training["epochs"]),
                "dataset": experiment.dataset_name,
                "cached": cached,
                "ended": ended,
                "trained_with": None if shared == row.name else shared,
                **known,
            }
        )
    return lines


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
        if view.features != spec.features or copies != spec.copies or (copies and view.augmentation != spec.policy):
            return False
    return True


def _cost(prepared: Prepared, seeds: int, jobs: int, ended: int, device: str) -> dict[str, Any]:
    """Return clips, their rate, and the hours of the trainings of a row that are left."""
    training = prepared.experiment.training
    epochs, share = int(training["epochs"]), int(training.get("copies_per_epoch", 0))
    clips = evaluated = 0
    for train, validation, test in prepared.all_sides:
        recordings = len(set(train.paths))
        clips += epochs * (share * recordings if share else len(train))
        evaluated += epochs * len(validation) + len(test)
    rate = measured_rate(prepared, device)
    left = 1 - ended / (seeds * len(prepared.splits))
    seconds = seeds * max(left, 0.0) * (clips + FORWARD_SHARE * evaluated) / rate
    return {
        "clips": seeds * clips,
        "clips_per_second": round(rate, 1),
        "hours": round(seconds / 3600 / min(jobs, len(prepared.splits)), 3),
    }


def measured_rate(prepared: Prepared, device: str) -> float:
    """Return the clips per second of a training step on this machine now, with clips of the median length."""
    import numpy as np
    import torch
    import torch.nn.functional as F  # noqa: N812 (the usual name)

    from models.execution import choose_device
    from models.networks import build_model

    experiment, train = prepared.experiment, prepared.all_sides[0].train
    batch, frames = int(experiment.training.get("batch_size", 32)), int(np.median(train.frames))
    place = choose_device(device)
    model = (
        build_model(experiment.model, len(train.classes), train.bands, **experiment.model_settings).to(place).train()
    )
    features = torch.zeros(batch, frames, train.bands, device=place)
    lengths, labels = torch.full((batch,), frames), torch.zeros(batch, dtype=torch.long, device=place)
    best = float("inf")
    for _ in range(1 + TIMED_STEPS):
        began = time.perf_counter()
        F.cross_entropy(model(features, lengths), labels).backward()
        if place.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return batch / best
