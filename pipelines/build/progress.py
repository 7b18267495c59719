"""What a build reports while it runs, and how it waits for others that use the same store."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from featurestore.errors import StoreBusyError
from featurestore.storage.writers import Holder
from featurestore.store import Store
from pipelines.build.tasks import lease_name


class Progress(Protocol):
    """What a build reports while it runs."""

    def begin(self, rows: int, standing: int) -> None:
        """Start: rows to write, and rows that stand already."""

    def advance(self, rows: int) -> None:
        """Report that so many more rows are written."""

    def tell(self, text: str) -> None:
        """Report what the build waits for, or does without."""

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


POLL = 0.1
"""Seconds between looks at what others are at."""

FIRST_LINE = 2.0
"""Seconds of waiting that nobody needs to be told of."""

NEXT_LINE = 10.0
"""Seconds between lines after that."""


@contextmanager
def held_shared(store: Store, progress: Progress) -> Iterator[None]:
    """Hold a store among other builders while the body runs, as soon as no collection or repair has it alone."""
    teller = _Teller(progress)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(store.storage.hold(exclusive=False))
                break
            except StoreBusyError:
                teller.tell(f"waiting for a gc or repair that has locked {store.uri}")
                time.sleep(POLL)
        yield


def wait_for_leases(store: Store, leased: Collection[str], progress: Progress) -> None:
    """Wait until another builder has ended one of the shards that it is at, gives it up, or gives no sign of life."""
    if not leased:
        return
    teller = _Teller(progress)
    while True:
        holders = [holder for address in leased if (holder := store.storage.holder(lease_name(address)))]
        if len(holders) < len(leased):
            break
        teller.tell(_who(holders))
        time.sleep(POLL)
    store.storage.sweep()  # so that leases of a holder that was watched here are free to workers too


def _who(holders: Sequence[Holder]) -> str:
    """Say who holds leases, and for how long nothing has been heard of it."""
    one = max(holders, key=lambda holder: holder.silence)
    mine = sum(holder[:2] == one[:2] for holder in holders)
    others = f" (others hold {len(holders) - mine:,})" if mine < len(holders) else ""
    shards = f"{mine:,} shard{'s' * (mine != 1)}"
    return (
        f"waiting for {one.host} (process {one.pid}), which holds {shards} that this build needs{others}; "
        f"its sign of life is {one.silence:.0f} s old"
    )


class _Teller:
    """Tells that somebody waits, from time to time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._next = time.monotonic() + FIRST_LINE

    def tell(self, text: str) -> None:
        """Tell it if it is time."""
        if time.monotonic() >= self._next:
            self._progress.tell(text)
            self._next = time.monotonic() + NEXT_LINE
