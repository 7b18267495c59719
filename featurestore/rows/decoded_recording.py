"""A decoded recording and what its copies share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.envelope import Envelope, envelope
from featurestore.signal.kernels.level import energy
from featurestore.signal.self_similarity import Resemblance, resemblance
from featurestore.specs.features import FeatureSpec


@dataclass(frozen=True, eq=False)
class DecodedRecording:
    """A decoded recording at the rate of its features, with what its copies share, computed on first use."""

    signal: Signal
    """Array [time], float32."""
    rate: int
    """Samples a second."""
    recorded_rate: int
    """Those of the recording."""
    start: int = 0
    """Samples, at `rate`, that were cut away before the first one."""
    seconds: float = 0.0
    """The length of the recording that is held against a limit."""

    @cached_property
    def similar(self) -> Resemblance:
        """What changes of pitch and duration start from."""
        return resemblance(self.signal, self.rate)

    @cached_property
    def envelope(self) -> Envelope:
        """What pitch shifts that keep the formants start from."""
        return envelope(self.signal, self.rate)

    @cached_property
    def silent(self) -> bool:
        """True if the signal has no power: no noise can stand in a ratio to it."""
        return energy(self.signal) == 0

    def remark(self, features: FeatureSpec) -> dict[str, float]:
        """Return what the key of its clean row does not tell: see `ShardRecord.remarks`."""
        end = features.samples(self.rate)
        found: dict[str, float] = {}
        if self.silent or self.energy(0, len(self.signal) if end is None else end) == 0:
            found["silent"] = True
        if self.recorded_rate < self.rate:
            found["rate"] = self.recorded_rate
        return found

    def energy(self, start: int, stop: int) -> float:
        """Return the sum of squares of samples `[start, stop)`; equal on every processor, as decisions hang on it."""
        start, stop = (min(max(0, place), len(self.signal)) for place in (start, stop))
        return float(self._energies[stop] - self._energies[start]) if start < stop else 0.0

    @cached_property
    def _energies(self) -> Float64:
        """The sums of squares of the samples before each, one added after the other."""
        return np.concatenate([[0.0], np.cumsum(np.square(self.signal, dtype=np.float64))])
