"""Objects that are fetched by threads in the order in which they will be read, some of them ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

AHEAD = 32
"""Objects that are fetched before they are asked for: records and data of a block of shards, as training draws them."""
FETCHERS = 6
"""Objects that are fetched at a time."""


class FetchAhead:
    """The objects that are being fetched, and those that follow.

    Parameters
    ----------
    fetch : callable
        Keeps a copy of the object with a key; returns whether it could.
    """

    def __init__(self, fetch: Callable[[str], bool]) -> None:
        self._fetch = fetch
        self._waiting: deque[str] = deque()
        self._known: set[str] = set()
        self._coming: dict[str, Future[bool]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def extend(self, keys: Iterable[str]) -> None:
        """Fetch these objects after those that are expected already."""
        with self._lock:
            for key in keys:
                if key not in self._known:
                    self._known.add(key)
                    self._waiting.append(key)
        self._go_on()

    def wait_for(self, key: str) -> None:
        """Wait until an object that is being fetched has come; forget earlier ones, which were not asked for."""
        with self._lock:
            self._known.discard(key)
            coming = self._coming.get(key)
            if coming is None:
                return
            for earlier in [*self._coming]:
                if earlier == key:
                    break
                if self._coming[earlier].done():
                    del self._coming[earlier]
                    self._known.discard(earlier)
            del self._coming[key]
        coming.result()
        self._go_on()

    def _go_on(self) -> None:
        with self._lock:
            while self._waiting and len(self._coming) < AHEAD:
                key = self._waiting.popleft()
                if key not in self._known:
                    continue  # it was read before its turn
                self._pool = self._pool or ThreadPoolExecutor(FETCHERS, "fetch")
                self._coming[key] = self._pool.submit(self._fetch, key)
