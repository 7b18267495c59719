"""The kinds of features, one entry each: its fields and their rules, what computes it, and the shape of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from featurestore.errors import SpecError
from featurestore.specs.operations import OPERATIONS
from featurestore.trusted_code import check_reference

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


Rules = Iterator[tuple[bool, str]]
"""Whether a spec satisfies a rule, and the rule as a sentence without its full stop."""
MOST_BANDS = 8192


def _no_rules(_spec: FeatureSpec) -> Rules:
    yield from ()


@dataclass(frozen=True, slots=True)
class Kind:
    """What the spec of a kind of features consists of."""

    transform: str
    """The class in `featurestore.signal.kinds` that computes it, as `module:Class`; see `Transform` there."""
    fields: tuple[str, ...]
    """Those that a spec of this kind may set; all others are refused and stand in no address."""
    operations: tuple[str, ...]
    """What computes its rows after decoding, by name in `featurestore.specs.operations.OPERATIONS`."""
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
    in_torch: bool = False
    """Whether `pipelines.torch_rows` computes it too."""
    rules: Callable[[FeatureSpec], Rules] = _no_rules
    """What its fields must satisfy beyond the rules of all kinds."""

    def __post_init__(self) -> None:
        module, _, name = self.transform.partition(":")
        if not name or find_spec(f"featurestore.signal.kinds.{module}") is None:
            raise TypeError(f"a kind of features names a transform {self.transform!r}, which is no module:Class")
        for operation in self.operations:
            if operation not in OPERATIONS:
                raise TypeError(f"a kind of features names an operation {operation!r}, which has no version")


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


def _bins(spec: FeatureSpec) -> Rules:
    whole = spec.low_hz == 0 and spec.high_hz is None
    yield spec.rate is not None or whole, "a spectrogram within low_hz and high_hz needs a rate"
    yield len(kept_bins(spec)) > 0, "no bin of the transform lies within low_hz and high_hz"


def _own_function(spec: FeatureSpec) -> Rules:
    try:
        check_reference(spec.function)
    except SpecError as error:
        yield False, str(error).rstrip(".")
    yield (spec.version or 0) >= 1, "a function needs a version, a whole number from 1"
    yield 1 <= (spec.bands or 0) <= MOST_BANDS, f"a function needs bands, 1 to {MOST_BANDS:,}"
    for name, value in spec.settings:
        plain = isinstance(value, str | int | float) and not (isinstance(value, float) and not math.isfinite(value))
        yield plain and str(name).isidentifier(), f"setting {name!r} must be a text, a number or true or false"


def _a_hop(spec: FeatureSpec, rate: int) -> float:
    return rate / spec.hop_length


def _hundred(_spec: FeatureSpec, _rate: int) -> float:
    return 100.0


KINDS = {
    "logmel": Kind(
        "log_mel:LogMel",
        (*BASE, *SPECTRAL, *MEL),
        ("stft", "mel", "log"),
        width=lambda spec: spec.mels,
        pace=_a_hop,
        warps=True,
        in_torch=True,
    ),
    "spectrogram": Kind(
        "spectrogram:Spectrogram",
        (*BASE, *SPECTRAL),
        ("stft", "bins", "log"),
        width=lambda spec: len(kept_bins(spec)),
        pace=_a_hop,
        warps=True,
        rules=_bins,
    ),
    "mfcc": Kind(
        "mfcc:Mfcc",
        (*BASE, *SPECTRAL, *MEL, "coefficients"),
        ("stft", "mel", "log", "dct"),
        width=lambda spec: spec.coefficients or 0,
        pace=_a_hop,
        warps=True,
    ),
    "waveform": Kind("waveform:Waveform", BASE, ("waveform",), width=lambda _: 1, pace=lambda _, rate: float(rate)),
    "egemaps": Kind(
        "egemaps:Egemaps",
        BASE,
        ("egemaps",),
        width=lambda _: EGEMAPS_BANDS,
        pace=_hundred,
        cost=80,
        foreign=True,
    ),
    "function": Kind(
        "own_function:OwnFunction",
        (*BASE, "function", "version", "bands", "settings"),
        ("function",),
        width=lambda spec: spec.bands or 0,
        pace=_hundred,
        cost=10,
        foreign=True,
        rules=_own_function,
    ),
}
"""Every kind by name."""
