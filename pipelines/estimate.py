"""What a build will cost, told beforehand from file sizes."""

from __future__ import annotations

import numpy as np

from featurestore.corpus.corpus import Corpus
from featurestore.specs.features import FeatureSpec

BUNDLE_BYTES = 48_000_000
"""Rows that a worker holds at once, in bytes of their storage type; it needs about three times that."""
ROWS_A_SECOND = 1_000
"""Rows that one process of the development machine (AMD Zen 3, 2.4 GHz) computes in a second, rounded down."""
START_SECONDS = 2.0
"""Starting workers and publishing."""


def estimate_row_bytes(corpus: Corpus, features: FeatureSpec) -> float:
    """Estimate the bytes of an average row from the sizes of 16-bit mono recordings at the corpus's rate."""
    sizes = [utterance.size for utterance in corpus.utterances] or [0]
    rate = corpus.manifest.rate or features.rate or 16_000
    samples = float(np.mean(sizes)) / 2 * (features.rate or rate) / rate
    frames = max(1.0, samples / features.hop_length)
    return frames * features.mels * np.dtype(features.dtype).itemsize


def estimate_bytes(corpus: Corpus, features: FeatureSpec, rows: int) -> int:
    """Estimate the bytes that so many rows take in the store."""
    return int(rows * estimate_row_bytes(corpus, features))


def estimate_seconds(rows: int, jobs: int) -> float:
    """Estimate how long computing so many rows takes."""
    return round(START_SECONDS + rows / (ROWS_A_SECOND * jobs), 1) if rows else 0.0


def rows_in_a_bundle(corpus: Corpus, features: FeatureSpec) -> int:
    """Return how many rows a task may hold at once."""
    return max(1, int(BUNDLE_BYTES / estimate_row_bytes(corpus, features)))
