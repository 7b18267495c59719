"""What a build will cost, told beforehand from file sizes."""

from __future__ import annotations

import numpy as np

from featurestore.corpus.corpus import Corpus, Utterance
from featurestore.segments import segment_of
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.kinds import KINDS

BUNDLE_BYTES = 48_000_000
"""Rows that a worker holds at once, in bytes of their storage type; it needs about three times that."""
ROWS_A_SECOND = 1_000
"""Rows that one process of the development machine (AMD Zen 3, 2.4 GHz) computes in a second, rounded down."""
BUNDLE_SECONDS = 60
"""Computing that a worker does before it commits, where features are slow."""
START_SECONDS = 2.0
"""Starting workers and publishing."""


def estimate_row_bytes(corpus: Corpus, features: FeatureSpec) -> float:
    """Estimate the bytes of an average row from the sizes of 16-bit mono recordings at the corpus's rate."""
    rate = corpus.manifest.rate or features.rate or 16_000
    sizes = [_mono_bytes(utterance, rate) for utterance in corpus.utterances] or [0]
    kept = features.rate or rate
    samples = float(np.mean(sizes)) / 2 * kept / rate
    frames = max(1.0, (features.seconds or samples / kept) * KINDS[features.kind].pace(features, kept))
    return frames * features.width * np.dtype(features.dtype).itemsize


def _mono_bytes(utterance: Utterance, rate: int) -> float:
    """Return the bytes of an utterance as 16-bit mono: of a segment by its length, else those of its file."""
    seconds = segment_of(utterance.content).seconds
    return utterance.size if seconds is None else 2 * rate * seconds


def mean_duration(features: FeatureSpec, augmentation: AugmentationSpec | None) -> float:
    """Return how many frames a row has on average, as a share of its recording's."""
    return 1.0 if augmentation is None or features.seconds else augmentation.mean_duration


def estimate_bytes(corpus: Corpus, features: FeatureSpec, rows: float) -> int:
    """Estimate the bytes that so many rows take in the store."""
    return int(rows * estimate_row_bytes(corpus, features))


def estimate_seconds(rows: int, jobs: int, features: FeatureSpec) -> float:
    """Estimate how long computing so many rows takes."""
    return round(START_SECONDS + rows / (_rows_a_second(features) * jobs), 1) if rows else 0.0


def _rows_a_second(features: FeatureSpec) -> float:
    return ROWS_A_SECOND / KINDS[features.kind].cost


def rows_in_a_bundle(corpus: Corpus, features: FeatureSpec, augmentation: AugmentationSpec | None = None) -> int:
    """Return how many rows a task may hold at once."""
    held = BUNDLE_BYTES / estimate_row_bytes(corpus, features) / mean_duration(features, augmentation)
    return max(1, int(min(held, BUNDLE_SECONDS * _rows_a_second(features))))
