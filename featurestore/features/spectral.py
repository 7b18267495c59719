"""What the kinds share that start from the power spectrum of windowed frames."""

from __future__ import annotations

from featurestore.features.kind import BASE, FeatureKind, Rules
from featurestore.specs.registry import Declared

SPECTRAL = (
    *BASE,
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
MEL = (*SPECTRAL, "mels", "mel_scale")


class SpectralKind(FeatureKind, several=True):
    """A kind with a frequency axis."""

    warps = True

    def pace(self, spec: Declared, rate: int) -> float:
        """Return the hops in a second."""
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
