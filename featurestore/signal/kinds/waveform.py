"""The kind `waveform`: the samples themselves."""

from __future__ import annotations

import numpy as np

from featurestore.errors import AudioError
from featurestore.signal.arrays import Float32, Signal
from featurestore.specs.features import FeatureSpec


class Waveform:
    """The samples of a signal, one a frame; calls as of `registry.Transform`."""

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        """Take a spec and a rate as every kind does; the samples depend on neither."""

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
