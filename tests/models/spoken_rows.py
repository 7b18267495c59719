"""Rows of speakers with levels of their own, and a short training, for tests of what is done to rows."""

from __future__ import annotations

import numpy as np
from array_view import ArrayView

from models.batches.loader import Sides
from models.training import configure
from models.training_spec import TrainingSpec

CLASSES = ("calm", "loud", "sharp")
MODEL, SETTINGS = "etienne-cnn-blstm", {"hidden": 8, "convolutions": 2}


def spoken_view(count, *, seed=0, speakers=("ann", "bob"), copies=1, dtype="float16", bands=32, frames=(8, 21)):
    """Rows of some recordings; with `copies`, as many augmented ones of each."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([CLASSES[row % 3] for row in range(count)], copies).tolist()
    lengths = generator.integers(*frames, count * copies).tolist()
    view = ArrayView(labels, lengths, seed=seed, classes=CLASSES, dtype=dtype, bands=bands)
    view.speakers = tuple(np.repeat([speakers[row // 2 % len(speakers)] for row in range(count)], copies).tolist())
    view.paths = tuple(np.repeat([f"{row:03d}.wav" for row in range(count)], copies).tolist())
    view.copies = np.tile(np.arange(1, copies + 1, dtype=np.int32), count) if copies > 1 else view.copies
    for row, speaker in enumerate(view.speakers):
        view.rows[row] = (view.rows[row] * (1 + speakers.index(speaker)) + speakers.index(speaker)).astype(dtype)
    return view


def small_sides(copies=1):
    return Sides(spoken_view(12, seed=1, copies=copies), spoken_view(5, seed=2), spoken_view(6, seed=3))


def described(sides, **changes):
    fields = {"epochs": 2, "batch_size": 4, "bucket_batches": 0, "learning_rate": 0.01, **changes}
    return configure(sides, MODEL, TrainingSpec.from_dict(fields), settings=SETTINGS, split="made-up")
