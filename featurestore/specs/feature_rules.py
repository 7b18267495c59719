"""What the numbers of a feature spec must satisfy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from featurestore.specs.kinds import KINDS, Rules

if TYPE_CHECKING:
    from featurestore.specs.features import FeatureSpec

LONGEST_SECONDS = 3600.0


def broken_rules(spec: FeatureSpec) -> Iterator[str]:
    """Yield, as a sentence without its full stop, each rule that a spec breaks."""
    groups = (_common, _spectral, KINDS[spec.kind].rules)
    for group in groups:
        yield from (rule for holds, rule in group(spec) if not holds)


def _common(spec: FeatureSpec) -> Rules:
    yield spec.rate is None or 1000 <= spec.rate <= 384_000, "rate must lie within 1,000 and 384,000 Hz"
    yield spec.trim_db is None or 0 < spec.trim_db <= 200, "trim_db must lie above 0 and be at most 200"
    within = spec.seconds is None or 0 < spec.seconds <= LONGEST_SECONDS
    yield within, f"seconds must lie above 0 and be at most {LONGEST_SECONDS:g}"


def _spectral(spec: FeatureSpec) -> Rules:
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
    count = spec.coefficients
    yield count is None or 1 <= count <= spec.mels, "coefficients must lie within 1 and mels"
