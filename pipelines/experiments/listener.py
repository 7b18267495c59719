"""How an experiment reports while it runs; it never prints itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from models.training_loop import Progress as TrainingProgress
    from pipelines.build.report import Progress as BuildProgress


class Listener(Protocol):
    """Hears how an experiment goes. Derive yours from `Silent` and override what you want to hear."""

    def notice(self, text: str) -> None:
        """Hear a remark, one line."""

    def download(self) -> Callable[[int, int | None], None]:
        """Return what hears of a download: bytes so far, and of how many, if that is known."""

    def build(self, corpus: str) -> BuildProgress:
        """Return what hears of a build."""

    def training(self, title: str) -> TrainingProgress:
        """Return what hears of a training."""


class Silent:
    """Ignores everything."""

    def notice(self, text: str) -> None:
        """Ignore a remark."""

    def download(self) -> Callable[[int, int | None], None]:
        """Ignore a download."""
        return lambda _done, _total: None

    def build(self, corpus: str) -> BuildProgress:
        """Ignore a build."""
        from pipelines.build.report import Silent

        return Silent()

    def training(self, title: str) -> TrainingProgress:
        """Ignore a training."""
        from models.training_loop import Silence

        return Silence()


SILENT = Silent()
"""The listener where none is given."""
