"""The few operations that a store needs from its storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from featurestore.storage.writers import Holder

Buffer = NDArray[np.uint8]


class Version(NamedTuple):
    """What tells an object from another that has taken its place."""

    size: int
    """Bytes of the object."""
    mark: tuple[int, ...]
    """Differs where the bytes may."""


class Storage(Protocol):
    """A map from keys (relative POSIX paths) to immutable bytes.

    An object becomes visible whole or not at all. Everything but `replace` and `delete` is write-once. A key that no
    object can have (`featurestore.storage.keys.KEY`) is a `DamagedObjectError` in every method that takes one.
    """

    @property
    def uri(self) -> str:
        """The address that opens this storage again, in this process or another."""

    @property
    def mapped(self) -> bool:
        """Whether a part of an object is read where it lies; otherwise all of its bytes are fetched for it."""

    def stands(self) -> bool:
        """Tell whether there is a store; `StorageError` if nobody may look."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes; `MissingObjectError` if there is none, `DamagedObjectError` if it is too large."""

    def read(self, key: str, start: int, out: Buffer) -> Version:
        """Fill a buffer with an object's bytes from a position on; return which version of the object they are of.

        `MissingObjectError` if there is none, `DamagedObjectError` if it ends before.
        """

    def size(self, key: str) -> int:
        """Return the number of an object's bytes; `MissingObjectError` if there is none."""

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
        """Return the sorted names one level below a prefix, of objects and of what lies between."""

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield all that lies below a prefix with sizes in bytes, sorted: keys, and what is no part of a store."""

    def changed(self, prefix: str) -> tuple[int, ...]:
        """Return what differs once a name one level below a prefix has been made, replaced or removed."""

    def free_bytes(self) -> int | None:
        """Return the space left, or None where that is unknown."""

    def sweep(self) -> int:
        """Remove what writers that no longer live have left unfinished; return how many objects."""

    def modified(self, key: str) -> float:
        """Return when an object came to stand under its key, in seconds since 1970."""

    def hold(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the storage while a body runs: builders share it, gc and repair have it alone.

        `StoreBusyError` if somebody holds it, and one of both is to have it alone.
        """

    def sign(self) -> str:
        """Return the name of this process's sign of life while it holds the storage."""

    def shows(self, sign: str) -> bool:
        """Tell whether a sign of life stands here, and so whether both processes see the same storage."""

    def claim(self, name: str) -> bool:
        """Take a lease of some work while holding the storage, so that others do something else meanwhile.

        Return whether it was free. Leases save work and nothing else: one of a process that is gone is free.
        """

    def holder(self, name: str) -> Holder | None:
        """Return the living process that holds a lease; None if it is free."""

    def release(self, name: str) -> None:
        """Give a lease back."""
