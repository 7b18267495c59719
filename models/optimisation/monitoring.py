"""Which epochs were better than all before, read from the history of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def improvements(history: Sequence[Mapping[str, Any]], monitor: str) -> list[bool]:
    """Tell of each finished epoch whether its validation figure is better than all before it.

    Lower is better for `loss`, higher for the others. A draw is no better, and neither is an epoch without a figure,
    as there are where the validation side is empty.
    """
    best, found = None, []
    for record in history:
        value = record["validation"][monitor]
        worth = None if value is None else (-value if monitor == "loss" else value)
        found.append(worth is not None and (best is None or worth > best))
        best = worth if found[-1] else best
    return found


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Return the number of the best epoch, the first of equals; 0 if none has a figure."""
    return max((number for number, better in enumerate(improvements(history, monitor), 1) if better), default=0)


def stale_epochs(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Return how many epochs passed since the best one."""
    return len(history) - best_epoch(history, monitor)
