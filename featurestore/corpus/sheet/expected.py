"""What a complete copy of a corpus, or of a selection of it, holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Expected:
    """What a complete copy holds; empty where unknown."""

    files: int | None = None
    """Number of recordings."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Recordings of each class."""
    speakers: Mapping[str, int] = field(default_factory=dict)
    """Recordings of each speaker."""
    speaker_count: int | None = None
    """Number of speakers where they cannot be listed."""
    fields: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Recordings of each value of other fields, as `{"session": {"Ses01": 1819}}`."""
