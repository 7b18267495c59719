"""How training tells what it is doing; it never prints itself."""

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
    """What listens to a training; the command line prints, a notebook may draw."""

    def step(self, report: StepReport) -> None:
        """Hear of a step, every few steps."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Hear of a finished epoch: the line that `metrics.jsonl` gets."""

    def stage(self, text: str) -> None:
        """Hear what begins now, such as the final evaluation."""


class Silence:
    """Progress that nobody listens to."""

    def step(self, report: StepReport) -> None:
        """Ignore a step."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Ignore an epoch."""

    def stage(self, text: str) -> None:
        """Ignore a stage."""
