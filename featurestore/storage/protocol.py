"""The few operations that a store needs from its storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Buffer = NDArray[np.uint8]


class Storage(Protocol):
    """A map from keys (relative POSIX paths) to immutable bytes.

    An object becomes visible whole or not at all. Everything but `replace` and `delete` is write-once.
    """

    @property
    def uri(self) -> str:
        """The address that opens this storage again, in this process or another."""

    @property
    def mapped(self) -> bool:
        """Whether `buffer` maps an object into memory; otherwise it fetches all of its bytes."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes; `MissingObjectError` if there is none."""

    def buffer(self, key: str) -> Buffer:
        """Return an object's bytes as a read-only array, mapped where possible; `MissingObjectError` if none."""

    def exists(self, key: str) -> bool:
        """Tell whether an object stands under this key."""

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview, *, durable: bool = True) -> bool:
        """Publish an object if none stands there; return whether it was written."""

    def adopt(self, key: str, path: Path) -> bool:
        """Publish a local file's bytes if no object stands there, by link where possible; return whether it was."""

    def replace(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Publish an object in place of any other, atomically."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a prefix."""

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield all keys below a prefix with their sizes in bytes, sorted."""

    def free_bytes(self) -> int | None:
        """Return the space left, or None where that is unknown."""

    def sweep(self) -> int:
        """Remove what writers that no longer live have left unfinished; return how many objects."""

    def modified(self, key: str) -> float:
        """Return when an object came to stand under its key, in seconds since 1970."""

    def hold(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the storage while a body runs: builders share it, gc and repair have it alone.

        `StoreBusyError` if it is to be held exclusively and somebody else holds it.
        """

    def claim(self, name: str) -> bool:
        """Take a lease of some work, so that others do something else meanwhile; return whether it was free.

        Leases save work and nothing else: one of a dead process, or an old one, is free.
        """

    def claimed(self, name: str) -> bool:
        """Tell whether a living process holds a lease."""

    def release(self, name: str) -> None:
        """Give a lease back."""
