"""What a build tells while it runs; it never prints itself."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a build reports while it runs."""

    def begin(self, rows: int, standing: int) -> None:
        """Start: rows to write, and rows that stand already."""

    def advance(self, rows: int) -> None:
        """Tell that so many more rows are written."""

    def tell(self, text: str) -> None:
        """Tell what the build waits for, or what it goes on without."""

    def end(self) -> None:
        """Finish, whatever happened."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, rows: int, standing: int) -> None:
        """Do nothing."""

    def advance(self, rows: int) -> None:
        """Do nothing."""

    def tell(self, text: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
