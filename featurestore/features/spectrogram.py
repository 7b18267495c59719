"""The kind `spectrogram`: the logarithm of the power in each bin of the transform."""

from __future__ import annotations

import math
from typing import Any

from featurestore.features.kind import SPECTRAL, Rules, SpectralKind, Transform
from featurestore.registry import Declared


class Spectrogram(SpectralKind):
    """The logarithm of the power in each bin from `low_hz` to `high_hz`, both included, natural or in decibels."""

    name, fields = "spectrogram", SPECTRAL
    shared, operations = ("stft", "log"), (("bins", 1, ("numba", "numpy")),)

    def width(self, spec: Declared) -> int:
        """Return the number of bins."""
        return len(kept_bins(spec))

    def rules(self, spec: Declared) -> Rules:
        """Yield the rules of a spectrum, and that bins are left."""
        yield from super().rules(spec)
        whole = spec.low_hz == 0 and spec.high_hz is None
        yield spec.rate is not None or whole, "a spectrogram within low_hz and high_hz needs a rate"
        yield len(kept_bins(spec)) > 0, "no bin of the transform lies within low_hz and high_hz"

    def transform(self, spec: Any, rate: int) -> Transform:  # noqa: ANN401
        """Return the log power under bands of one bin each."""
        import numpy as np

        from featurestore.signal.log_power import LogPower

        bins = np.arange(spec.fft_length // 2 + 1)
        return LogPower(spec, (np.array(kept_bins(spec))[:, None] == bins[None, :]).astype(np.float64), rate)


def kept_bins(spec: Declared) -> range:
    """Return the bins of the transform that lie within `low_hz` and `high_hz`, both ends included.

    Without a rate both ends are the transform's own.
    """
    bins = spec.fft_length // 2 + 1
    if spec.rate is None:
        return range(bins)
    a_hertz = spec.fft_length / spec.rate
    high = bins - 1 if spec.high_hz is None else math.floor(spec.high_hz * a_hertz + 1e-9)
    return range(math.ceil(spec.low_hz * a_hertz - 1e-9), high + 1)
