"""Trainings of a network with a few thousand weights, without batch norm and dropout: a fraction of a second each."""

from __future__ import annotations

import json

from array_view import ArrayView

from models.batches.loader import Sides
from models.training import configure
from models.training_loop import SilentTraining
from models.training_spec import TrainingSpec

CLASSES = ("calm", "loud", "sharp")
MODEL, SETTINGS = "etienne-cnn-blstm", {"hidden": 4, "convolutions": 1}
SPEC = {
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 0.01,
    "batch_norm": "moving",
    "normalisation": "none",
    "precision": "float32",
    "bucket_batches": 2,
}


def small_view(count, seed):
    labels = [CLASSES[row % 3 if row % 5 else 0] for row in range(count)]
    return ArrayView(labels, [6 + row % 5 for row in range(count)], seed=seed, classes=CLASSES, bands=16)


def small_sides(train=46, validation=7, test=5):
    return Sides(small_view(train, 1), small_view(validation, 2), small_view(test, 3))


def small_config(sides, **changes):
    return configure(sides, MODEL, TrainingSpec.from_dict({**SPEC, **changes}), settings=SETTINGS, split="made-up")


def history_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


class StopIn(SilentTraining):
    """Progress that ends a training as an error would, in the first report of an epoch."""

    def __init__(self, epoch):
        self.last = epoch

    def step(self, report):
        if report.epoch == self.last:
            raise InterruptedError
