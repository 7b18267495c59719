"""What an experiment tells while it runs; it never prints itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.progress import Progress as TrainingProgress
    from pipelines.build.progress import Progress as BuildProgress


class Listener:
    """What hears of an experiment; this one ignores everything, the command line prints."""

    def notice(self, text: str) -> None:
        """Hear a remark, one line."""

    def download(self) -> Callable[[int, int | None], None]:
        """Return what hears of a download: bytes so far, and of how many, if that is known."""
        return lambda _done, _total: None

    def build(self, corpus: str) -> BuildProgress:
        """Return what hears of a build."""
        from pipelines.build.progress import Silent

        return Silent()

    def training(self, title: str) -> TrainingProgress:
        """Return what hears of a training."""
        from models.progress import Silence

        return Silence()


_listeners: list[Listener] = [Listener()]


def listen(listener: Listener) -> None:
    """Let a listener hear of all experiments of this process from now on, in place of the one before."""
    _listeners[:] = [listener]


def listener() -> Listener:
    """Return who listens."""
    return _listeners[0]


def notice(text: str) -> None:
    """Tell the listener a remark."""
    listener().notice(text)
