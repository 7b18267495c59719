"""The kind `waveform`: the samples themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featurestore.errors import AudioError
from featurestore.features.kind import BASE, FeatureKind
from featurestore.registry import Declared

if TYPE_CHECKING:
    import numpy as np

    from featurestore.signal.arrays import Float32, Signal


class Waveform(FeatureKind):
    """The samples, one a frame."""

    name, fields = "waveform", BASE
    operations = (("waveform", 2, ("numpy",)),)

    def width(self, spec: Declared) -> int:
        """Return 1."""
        return 1

    def pace(self, spec: Declared, rate: int) -> float:
        """Return the rate."""
        return float(rate)

    def transform(self, spec: Any, rate: int) -> Samples:  # noqa: ANN401
        """Return what hands samples on; they depend on neither spec nor rate."""
        return Samples()


class Samples:
    """The samples of a signal, one a frame; calls as of `Transform`."""

    def check(self, samples: int) -> None:
        """Refuse a signal without samples with `AudioError`."""
        check_not_empty(samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return the samples at their level, array [samples, 1], float32."""
        return (signal * gain)[:, None]


def check_not_empty(samples: int) -> None:
    """Refuse a signal without samples with `AudioError`."""
    if samples == 0:
        raise AudioError("no samples: a row needs at least one.")
