"""A decoded recording and what its copies share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from featurestore.signal.arrays import Signal
from featurestore.signal.peak import energy
from featurestore.signal.vocoder import Vocoder
from featurestore.signal.vocoder_analysis import Analysis


@dataclass(frozen=True, eq=False)
class Source:
    """A decoded recording at the rate of its features, with what its copies share, computed on first use."""

    signal: Signal
    """Array [time], float32."""
    rate: int
    """Samples a second."""
    vocoder: Vocoder = field(repr=False)
    """What shifts the pitch at this rate; shared by the sources of an engine."""

    @cached_property
    def analysis(self) -> Analysis:
        """The spectra that pitch shifts start from."""
        return self.vocoder.analyse(self.signal)

    @cached_property
    def even_analysis(self) -> Analysis:
        """The spectra that time stretches start from: those without what makes up for an interpolation."""
        return self.vocoder.evened(self.analysis)

    @cached_property
    def silent(self) -> bool:
        """True if the signal has no power: no noise can stand in a ratio to it."""
        return energy(self.signal) == 0
