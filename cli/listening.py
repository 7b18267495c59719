"""Experiments heard on a terminal."""

from __future__ import annotations

from collections.abc import Callable

from cli.console import DownloadProgress, RowProgress, TrainingProgress, notice


def print_experiments() -> None:
    """Print on standard error what experiments tell."""
    from pipelines.experiments.listener import Listener, listen

    class Printer(Listener):
        def notice(self, text: str) -> None:
            notice(text)

        def download(self) -> Callable[[int, int | None], None]:
            return DownloadProgress()

        def build(self, corpus: str) -> RowProgress:
            return RowProgress(corpus)

        def training(self, title: str) -> TrainingProgress:
            return TrainingProgress(title)

    listen(Printer())
