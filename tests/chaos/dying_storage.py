"""A storage that kills its process at its n-th operation, as a loss of the machine would."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from featurestore.storage import Storage
from featurestore.store import Store

COUNTED = ("get", "read", "size", "exists", "put_if_absent", "adopt", "replace", "delete", "children", "walk",
           "modified", "changed", "sweep", "claim", "holder", "release")  # fmt: skip


class DyingStorage:
    """Passes everything on to a real storage; operation number `last` never happens, and neither does any later one.

    With `after` the process dies right after the operation instead of right before it.
    """

    def __init__(self, storage: Storage, last: int, *, after: bool = False) -> None:
        self._storage = storage
        self._last = last
        self._after = after
        self.count = 0

    def fresh(self) -> DyingStorage:
        return self

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._storage, name)
        return self._counted(value) if name in COUNTED else value

    def _counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self._last and not self._after:
                die()
            result = operation(*arguments, **options)
            if self.count == self._last:
                die()
            return result

        return call


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies(store: Store, last: int, work: Callable[[Store], object], *, after: bool = False) -> bool:
    """Run work on a store in a child process that is killed at its n-th storage operation; tell if it came to that."""
    child = os.fork()
    if child == 0:
        try:
            work(Store(DyingStorage(store.storage, last, after=after)))
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"the work failed before operation {last}")
    return False
