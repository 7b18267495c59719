"""Clips a second that a model learns from: as it is trained here, and by the plain loop that most people write.

    python benchmarks/training.py STORE [--dataset emodb] [--clips 640]

The plain loop reads rows one by one, shuffles without buckets, pads on the left, computes in float32 with torch's
default memory layout, a plain Adam and `loss.item()` in each step.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from torch import nn

from featurestore.store import open_store
from featurestore.view import DatasetView
from models.data import ViewDataset, batches
from models.devices import keep_freed_memory
from models.execution import Execution
from models.optimisation import make_optimiser
from models.registry import build_model
from models.trainer import make_sampler
from models.training_spec import TrainingSpec

MODEL = "mathworks-cnn-lstm"


def plain(view: DatasetView, clips: int) -> float:
    """Return clips a second of the plain loop."""
    model = build_model(MODEL, len(view.classes), view.bands, plain_padding=True).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=5e-4)
    number = {name: position for position, name in enumerate(view.classes)}
    order = np.random.default_rng(0).permutation(len(view))[:clips].reshape(-1, 32)
    begun = 0.0
    for step, rows in enumerate(order):
        if step == 1:
            begun = time.perf_counter()
        clips_read = [view[int(row)] for row in rows]
        longest = max(len(features) for features, _ in clips_read)
        inputs = torch.zeros(len(rows), longest, view.bands)
        for slot, (features, _) in enumerate(clips_read):
            inputs[slot, longest - len(features) :] = torch.from_numpy(features.astype(np.float32))
        labels = torch.tensor([number[label] for _, label in clips_read])
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs, torch.full((len(rows),), longest)), labels)
        loss.backward()
        optimiser.step()
        loss.item()
    return (len(order) - 1) * 32 / (time.perf_counter() - begun)


def ours(view: DatasetView, clips: int) -> tuple[float, float]:
    """Return clips a second as trained here, and the loader's share of the time."""
    spec = TrainingSpec()
    execution = Execution.of(MODEL, {}, spec, "cpu")
    model = execution.place(build_model(MODEL, len(view.classes), view.bands)).train()
    optimiser, data = make_optimiser(model, spec), ViewDataset(view, view.classes)
    order = list(make_sampler(data, spec))[: clips // 32]
    begun = loading = mark = 0.0
    for step, batch in enumerate(batches(data, order, execution.collate())):
        if step:
            loading += time.perf_counter() - mark
        else:
            begun = time.perf_counter()
        moved = batch.to(execution.device)
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(execution.logits(model, moved), moved.labels).backward()
        optimiser.step()
        mark = time.perf_counter()
    passed = mark - begun
    return len(order) * 32 / passed, loading / passed


def measure(store: str, dataset: str, clips: int, rounds: int = 3) -> dict[str, list[float]]:
    """Return clips a second of both loops and the loader's share, round by round.

    The plain loop runs before memory is kept from being given back, which is part of how models are trained here and
    cannot be undone in a process; so rounds are interleaved by calling this in processes of their own.
    """
    view = open_store(store).view(dataset).split("mathworks")[0]
    figures: dict[str, list[float]] = {"plain": [plain(view, clips) for _ in range(rounds)]}
    keep_freed_memory()
    measured = [ours(view, clips) for _ in range(rounds)]
    return figures | {"featurestore": [rate for rate, _ in measured], "loader": [share for _, share in measured]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--dataset", default="emodb")
    parser.add_argument("--clips", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.store, arguments.dataset, arguments.clips, arguments.rounds)))
