"""What a kind of features declares. One that leaves something out cannot be declared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from featurestore.registry import Declared, Operation, check_declared

if TYPE_CHECKING:
    import numpy as np

    from featurestore.signal.arrays import Float32, Signal

BASE = ("kind", "rate", "dtype", "trim_db", "seconds")
"""Fields of every kind."""
SPECTRAL = (
    *(*BASE, "window", "window_length", "hop_length", "fft_length", "centred"),
    *("low_hz", "high_hz", "eps", "decibels", "range_db"),
)
"""Fields of every kind that starts from the power spectrum of windowed frames."""
MEL = (*SPECTRAL, "mels", "mel_scale")
Rules = Iterator[tuple[bool, str]]
"""Whether a spec satisfies a rule, and the rule as a sentence without its full stop."""


class Transform(Protocol):
    """The features of a spec at one sampling rate: a signal in, the frames of one row out."""

    def check(self, samples: int) -> None:
        """Refuse a signal that is too short for a frame, with `AudioError`. No code of the user's is run."""

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return a row, array [frames, width], float32.

        Parameters
        ----------
        signal : array [time], float32
        gain : float32
            Multiplied onto each sample, and rounded, before anything else.
        precision : float32 or float64
            In which a kind with a spectrum computes it.
        warping : (alpha, f0 as a share of fmax) or None
            Vocal tract length perturbation; None for kinds that have no frequency axis.
        """


class FeatureKind(ABC):
    """A kind of features: the fields of its specs, what its rows depend on, and what computes them.

    A subclass with a name in `featurestore/features` is one entry of `featurestore.features.FEATURES`. Arrays and
    kernels are imported in its methods: specs are read without them.
    """

    name: ClassVar[str]
    """What `FeatureSpec.kind` calls it."""
    fields: ClassVar[tuple[str, ...]]
    """Those fields of `FeatureSpec` that it uses; all others are refused and are in no address."""
    settings: ClassVar[tuple[tuple[str, Any, Any, str], ...]] = ()
    """Fields of its own: each with its type (Any for one that `rules` check), its default, and its meaning.

    A default is in no address, so it must never change.
    """
    shared: ClassVar[tuple[str, ...]] = ()
    """Operations that it shares with other kinds, by name in `featurestore.registry.OPERATIONS`."""
    operations: ClassVar[tuple[tuple[str, int, tuple[str, ...]], ...]]
    """Those of its own: name, version, raised whenever its numbers change, and the libraries that these depend on."""
    warps: ClassVar[bool] = False
    """Whether it has a frequency axis that vocal tract length perturbation can bend."""
    cost: ClassVar[float] = 1.0
    """Estimated time that computing a row takes, as a multiple of that of a log-mel row."""
    foreign: ClassVar[bool] = False
    """Whether code from outside computes it, which no process should load before it has to."""
    in_torch: ClassVar[bool] = False
    """Whether `pipelines.torch_rows` computes it too."""

    def __init_subclass__(cls, *, several: bool = False) -> None:
        """Check that nothing is left out; `several` marks a base of several kinds."""
        if not several:
            check_declared(cls, ("name", "fields", "operations", "width", "transform"))

    @property
    def versions(self) -> Mapping[str, Operation]:
        """Version and libraries of each operation of its own."""
        return {name: (version, libraries) for name, version, libraries in self.operations}

    @property
    def all_fields(self) -> tuple[str, ...]:
        """Every field that a spec of this kind may set."""
        return (*self.fields, *(name for name, *_ in self.settings))

    @abstractmethod
    def width(self, spec: Declared) -> int:
        """Return the values of a frame."""

    @abstractmethod
    def transform(self, spec: Any, rate: int) -> Transform:  # noqa: ANN401 (a FeatureSpec, which takes fields from here)
        """Return what computes the features of a spec from signals of a sampling rate in hertz."""

    def pace(self, spec: Declared, rate: int) -> float:
        """Return the frames per second at a sampling rate, as an estimate for what a build will take."""
        return 100.0

    def rules(self, spec: Declared) -> Rules:
        """Yield what the fields of this kind must satisfy."""
        yield from ()

    def completed(self, spec: Declared) -> Mapping[str, Any]:
        """Return the values of fields that a spec leaves open."""
        return {}


class SpectralKind(FeatureKind, several=True):
    """A kind that starts from the power spectrum of windowed frames."""

    warps = True

    def pace(self, spec: Declared, rate: int) -> float:
        """Return the hops per second."""
        return float(rate / spec.hop_length)

    def rules(self, spec: Declared) -> Rules:
        """Yield the rules of windows, transforms and levels."""
        half = (spec.rate or 384_000) / 2
        high = spec.high_hz if spec.high_hz is not None else half
        yield 2 <= spec.fft_length <= 65_536 and spec.fft_length % 2 == 0, "fft_length must be even, 2 to 65,536"
        yield 1 <= spec.window_length <= spec.fft_length, "window_length must lie within 1 and fft_length"
        yield 1 <= spec.hop_length <= spec.fft_length, "hop_length must lie within 1 and fft_length"
        yield 1 <= spec.mels <= 1024, "mels must lie within 1 and 1,024"
        yield 0 <= spec.low_hz < high <= half, "low_hz and high_hz must satisfy 0 <= low < high <= rate / 2"
        yield 1e-30 <= spec.eps <= 1, "eps must lie within 1e-30 and 1"
        yield spec.range_db is None or 0 < spec.range_db <= 400, "range_db must lie above 0 and be at most 400"
        yield spec.range_db is None or spec.decibels is not None, "range_db needs decibels, 'absolute' or 'relative'"
