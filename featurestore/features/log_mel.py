"""The kind `logmel`: the logarithm of the power in mel bands."""

from __future__ import annotations

from typing import Any

from featurestore.features.kind import MEL, SpectralKind, Transform
from featurestore.registry import Declared


class LogMel(SpectralKind):
    """The logarithm of the power in the mel bands plus eps, natural or in decibels."""

    name, fields = "logmel", MEL
    shared, operations = ("stft", "mel", "log"), ()
    in_torch = True

    def width(self, spec: Declared) -> int:
        """Return the number of bands."""
        return int(spec.mels)

    def transform(self, spec: Any, rate: int) -> Transform:  # noqa: ANN401
        """Return the log power under the triangles of a spec."""
        from featurestore.signal.log_power import log_mel_power

        return log_mel_power(spec, rate)
