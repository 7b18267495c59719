"""The kinds of features: which fields describe each, which operations compute it, and the shape of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore.specs.features import FeatureSpec

BASE = ("kind", "rate", "dtype", "trim_db", "seconds")
SPECTRAL = (
    "window",
    "window_length",
    "hop_length",
    "fft_length",
    "centred",
    "low_hz",
    "high_hz",
    "eps",
    "decibels",
    "range_db",
)
MEL = ("mels", "mel_scale")
EGEMAPS_BANDS = 25
"""Low-level descriptors of eGeMAPS, version 02 (Eyben et al. 2016)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the spec of a kind of features consists of."""

    fields: tuple[str, ...]
    """Those that a spec of this kind may set; all others are refused and stand in no address."""
    operations: tuple[str, ...]
    """What computes its rows after decoding, by name in `featurestore.specs.versions.OPERATIONS`."""
    width: Callable[[FeatureSpec], int]
    """Values of a frame."""
    pace: Callable[[FeatureSpec, int], float]
    """Frames a second at a sampling rate, as an estimate for what a build will take."""
    warps: bool = False
    """Whether it has a frequency axis that vocal tract length perturbation can bend."""
    cost: float = 1.0
    """Time that computing a row takes, as a multiple of that of a log-mel row; an estimate too."""
    foreign: bool = False
    """Whether code from outside computes it, which no process should load before it has to."""


def kept_bins(spec: FeatureSpec) -> range:
    """Return the bins of the transform that lie within `low_hz` and `high_hz`, both ends included.

    Without a rate both ends are the transform's own.
    """
    bins = spec.fft_length // 2 + 1
    if spec.rate is None:
        return range(bins)
    a_hertz = spec.fft_length / spec.rate
    high = bins - 1 if spec.high_hz is None else math.floor(spec.high_hz * a_hertz + 1e-9)
    return range(math.ceil(spec.low_hz * a_hertz - 1e-9), high + 1)


def _a_hop(spec: FeatureSpec, rate: int) -> float:
    return rate / spec.hop_length


def _hundred(_spec: FeatureSpec, _rate: int) -> float:
    return 100.0


KINDS = {
    "logmel": Kind(
        (*BASE, *SPECTRAL, *MEL), ("stft", "mel", "log"), width=lambda spec: spec.mels, pace=_a_hop, warps=True
    ),
    "spectrogram": Kind(
        (*BASE, *SPECTRAL),
        ("stft", "bins", "log"),
        width=lambda spec: len(kept_bins(spec)),
        pace=_a_hop,
        warps=True,
    ),
    "mfcc": Kind(
        (*BASE, *SPECTRAL, *MEL, "coefficients"),
        ("stft", "mel", "log", "dct"),
        width=lambda spec: spec.coefficients or 0,
        pace=_a_hop,
        warps=True,
    ),
    "waveform": Kind(BASE, ("waveform",), width=lambda _: 1, pace=lambda _, rate: float(rate)),
    "egemaps": Kind(BASE, ("egemaps",), width=lambda _: EGEMAPS_BANDS, pace=_hundred, cost=80, foreign=True),
    "function": Kind(
        (*BASE, "function", "version", "bands", "settings"),
        ("function",),
        width=lambda spec: spec.bands or 0,
        pace=_hundred,
        cost=10,
        foreign=True,
    ),
}
"""Every kind by name."""
