"""What a container's module hands on to the decoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prepared:
    """An audio file that has been checked."""

    data: bytes
    """What libsndfile decodes."""
    samples: int | None = None
    """Samples of each channel, where fewer of those that are decoded count; None where all do."""
