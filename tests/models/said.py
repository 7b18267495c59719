"""Made-up predictions."""

from __future__ import annotations

import numpy as np

from models.figures.predictions import Predictions


def said(labels, predicted, *, speakers=None, classes=("a", "b", "c"), copies=None, paths=None):
    """Put labels and answers into predictions; one speaker for all unless told otherwise."""
    count = len(labels)
    shares = np.full((count, len(classes)), 0.5 / max(len(classes) - 1, 1))
    shares[np.arange(count), predicted] = 0.5
    files = tuple(f"{item:04d}.wav" for item in range(count)) if paths is None else tuple(paths)
    return Predictions(
        tuple(classes),
        files,
        np.zeros(count, np.int64) if copies is None else np.array(copies),
        tuple("x" for _ in range(count)) if speakers is None else tuple(speakers),
        tuple(f"sha256 of {file}" for file in files),
        np.array(labels, np.int64),
        np.array(predicted, np.int64),
        shares,
    )


def simulated(generator, speakers, items, *, share=0.65, deviation=0.1, classes=3):
    """Draw speakers who are understood more or less well, and what a model says about their items."""
    understood = np.clip(share + generator.normal(0, deviation, speakers), 0.02, 0.98)
    speaker = np.repeat(np.arange(speakers), items)
    labels = generator.integers(0, classes, len(speaker))
    right = generator.random(len(speaker)) < understood[speaker]
    wrong = (labels + generator.integers(1, classes, len(speaker))) % classes
    names = [f"s{number}" for number in speaker]
    return said(labels, np.where(right, labels, wrong), speakers=names, classes=tuple("abcdefgh"[:classes]))
