"""The progress of an experiment, which never prints itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from models.training_loop import TrainingProgress
    from pipelines.build.report import BuildProgress


class Listener(Protocol):
    """Receives the progress of an experiment. Derive yours from `Silent` and override what you want to see."""

    def notice(self, text: str) -> None:
        """Receive a remark, one line."""

    def download(self) -> Callable[[int, int | None], None]:
        """Return what receives the progress of a download: bytes so far, and of how many, if that is known."""

    def reading(self, corpus: str) -> Callable[[int, int | None], None]:
        """Return what receives how many files of a corpus have been read, and of how many, if that is known."""

    def hashing(self, corpus: str) -> Callable[[int, int | None], None]:
        """Return what receives how many bytes of a corpus's archive have been hashed, and of how many."""

    def build(self, corpus: str) -> BuildProgress:
        """Return what receives the progress of a build."""

    def training(self, title: str) -> TrainingProgress:
        """Return what receives the progress of a training."""


class Silent:
    """Ignores everything."""

    def notice(self, text: str) -> None:
        """Ignore a remark."""

    def download(self) -> Callable[[int, int | None], None]:
        """Ignore a download."""
        return lambda _done, _total: None

    def reading(self, corpus: str) -> Callable[[int, int | None], None]:
        """Ignore how far a corpus is read."""
        return lambda _done, _total: None

    def hashing(self, corpus: str) -> Callable[[int, int | None], None]:
        """Ignore how far an archive is hashed."""
        return lambda _done, _total: None

    def build(self, corpus: str) -> BuildProgress:
        """Ignore a build."""
        from pipelines.build.report import SilentBuild

        return SilentBuild()

    def training(self, title: str) -> TrainingProgress:
        """Ignore a training."""
        from models.training_loop import SilentTraining

        return SilentTraining()


SILENT = Silent()
"""The listener where none is given."""
