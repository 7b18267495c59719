"""How a training reports its progress; it never prints anything itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StepReport:
    """Where a training stands."""

    epoch: int
    """The first is 1."""
    epochs: int
    step: int
    """Steps done in this epoch."""
    steps: int
    loss: float
    """Loss of the last batch."""
    clips_per_second: float
    seconds_left: float
    """Estimate for the remaining steps of all epochs, without validation."""


class Progress(Protocol):
    """Receives the reports of a training; the command line prints them, a notebook may plot them."""

    def step(self, report: StepReport) -> None:
        """Take the report of a step; there is one every few steps."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Take the record of a finished epoch: its line of `metrics.jsonl`."""

    def stage(self, text: str) -> None:
        """Take a line about what begins now, such as the final evaluation."""


class Silence:
    """Progress that reports nothing."""

    def step(self, report: StepReport) -> None:
        """Ignore a step."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Ignore an epoch."""

    def stage(self, text: str) -> None:
        """Ignore a stage."""
