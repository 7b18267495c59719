"""Which rows a training takes in which order, and the pass over all of them that measures batch norm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from models.batches.samplers import BatchSampler
from models.batches.turns import CopyTurns
from models.data import ViewDataset
from models.execution import Execution
from models.networks.layers import population_statistics
from models.training_spec import TrainingSpec

ALL_ONCE: dict[str, Any] = {"drop_last": False, "balance": False, "repeat": {}, "copies_per_epoch": 0}
"""Settings of an order that takes every row of the training side once."""


def make_sampler(dataset: ViewDataset, spec: TrainingSpec) -> BatchSampler:
    """Return the order of batches that a training spec asks for."""
    view = dataset.view
    times = torch.tensor([spec.repeat.get(label, 1) for label in dataset.classes])
    return BatchSampler(
        torch.from_numpy(view.frames.astype("int64")),
        spec.batch_size,
        spec.seed,
        bucket_batches=spec.bucket_batches,
        balance=dataset.targets if spec.balance else None,
        drop_last=spec.drop_last,
        shards=torch.from_numpy(view.shards.astype("int64")) if spec.shuffle == "blocks" else None,
        repeat=times[dataset.targets] if spec.repeat else None,
        turns=CopyTurns(view.paths, view.copies, spec.copies_per_epoch) if spec.copies_per_epoch else None,
    )


@torch.no_grad()
def measure_population(
    model: nn.Module, dataset: ViewDataset, spec: TrainingSpec, execution: Execution, batches: int = 0
) -> None:
    """Measure batch-norm statistics anew, over so many batches of the training side; 0 takes every row of it."""
    model.train()
    order = list(make_sampler(dataset, replace(spec, **ALL_ONCE)))
    with population_statistics(model):
        for batch in execution.feed(dataset, order[: batches or None]):
            execution.logits(model, batch)
