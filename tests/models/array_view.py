"""A view held in memory, for tests of what consumes views."""

from __future__ import annotations

import hashlib

import numpy as np

from featurestore.specs.features import FeatureSpec

SPEC = {"epochs": 2, "batch_size": 8, "learning_rate": 0.002, "bucket_batches": 2}
"""A training that takes a second or two."""


class ArrayView:
    """Rows of random features whose level depends on the label, so that a model can learn them."""

    def __init__(self, labels, frames, *, seed=0, classes=None, bands=128, dtype="float16"):
        self.name, self.digest, self.augmentation = "arrays", "0" * 64, None
        self.features = FeatureSpec(rate=16_000, mels=bands, dtype=dtype)
        self.labels = np.array(labels)
        self.frames = np.array(frames, np.int32)
        self.classes = tuple(sorted(set(labels))) if classes is None else tuple(classes)
        self.bands = bands
        self.paths = tuple(f"{row:03d}.wav" for row in range(len(labels)))
        self.contents = tuple(hashlib.sha256(path.encode()).hexdigest() for path in self.paths)
        self.copies = np.zeros(len(labels), np.int32)
        self.speakers = tuple("a" for _ in labels)
        self.shards = np.arange(len(labels), dtype=np.int32) % max(len(labels) // 8, 1)
        self.random_access = True
        generator = np.random.default_rng(seed)
        self.rows = [self._row(generator, label, length) for label, length in zip(labels, frames, strict=True)]

    def _row(self, generator, label, length):
        row = generator.normal(-6, 2, (length, self.bands))
        place = self.classes.index(label) * (self.bands // len(self.classes))
        row[:, place : place + self.bands // len(self.classes)] += 4
        return row.astype(self.features.dtype)

    def expect(self, rows):
        pass

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return self.rows[row], str(self.labels[row])

    def read(self, rows, out, *, left=False, fill=0.0):
        out[:] = fill
        for slot, row in enumerate(rows):
            length = len(self.rows[row])
            first = out.shape[1] - length if left else 0
            out[slot, first : first + length] = self.rows[row]
        return self.frames[rows]


def some_view(count=24, classes=("calm", "loud", "sharp"), seed=0, shortest=32, longest=60):
    generator = np.random.default_rng(seed)
    labels = [classes[row % len(classes)] for row in range(count)]
    frames = generator.integers(shortest, longest + 1, count).tolist()
    return ArrayView(labels, frames, seed=seed, classes=classes)
