"""A personal storage on top of one that is only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from featurestore.errors import MissingObjectError
from featurestore.storage.protocol import Buffer, Data, Storage, Version
from featurestore.storage.writers import Holder

BASE = "?base="
"""Stands between the two addresses in that of a layered storage."""


class LayeredStorage:
    """The objects of two storages; only the upper one is written to, deleted from, and listed for checks.

    An object that the base holds is not written again. A replaced one lies in the upper storage from then on and hides
    the base's.

    Parameters
    ----------
    own : Storage
        The upper storage.
    base : Storage
        The lower one; nothing is ever written to it.
    """

    def __init__(self, own: Storage, base: Storage) -> None:
        self.own = own
        self.base = base

    @property
    def uri(self) -> str:
        """Both addresses in one."""
        return f"{self.own.uri}{BASE}{self.base.uri}"

    @property
    def random_access(self) -> bool:
        """Whether parts of objects are read where they lie in both."""
        return self.own.random_access and self.base.random_access

    def is_store(self) -> bool:
        """Return whether the upper storage holds a store."""
        return self.own.is_store()

    def get(self, key: str) -> bytes:
        """Return an object's bytes, the upper one's first."""
        try:
            return self.own.get(key)
        except MissingObjectError:
            return self.base.get(key)

    def read(self, key: str, start: int, out: Buffer) -> Version:
        """Fill a buffer with a part of an object, the upper one's first."""
        try:
            return self.own.read(key, start, out)
        except MissingObjectError:
            return self.base.read(key, start, out)

    def size(self, key: str) -> int:
        """Return the bytes of an object, the upper one's first."""
        try:
            return self.own.size(key)
        except MissingObjectError:
            return self.base.size(key)

    def exists(self, key: str) -> bool:
        """Return whether either holds the object."""
        return self.own.exists(key) or self.base.exists(key)

    def put_if_absent(self, key: str, data: Data, *, durable: bool = True) -> bool:
        """Publish an object in the upper storage if neither holds it."""
        return not self.base.exists(key) and self.own.put_if_absent(key, data, durable=durable)

    def adopt(self, key: str, path: Path) -> bool:
        """Publish a local file's bytes in the upper storage if neither holds the object."""
        return not self.base.exists(key) and self.own.adopt(key, path)

    def replace(self, key: str, data: Data) -> None:
        """Publish an object in the upper storage."""
        self.own.replace(key, data)

    def delete(self, key: str) -> None:
        """Remove an object of the upper storage."""
        self.own.delete(key)

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a prefix in either."""
        return sorted({*self.own.children(prefix), *self.base.children(prefix)})

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield the keys and sizes of the upper storage."""
        return self.own.walk(prefix)

    def changed(self, prefix: str) -> tuple[int, ...]:
        """Return values that change when a name below a prefix of either changes."""
        return (*self.own.changed(prefix), *self.base.changed(prefix))

    def modified(self, key: str) -> float:
        """Return when an object of the upper storage was written."""
        return self.own.modified(key)

    def free_bytes(self) -> int | None:
        """Return the space left for the upper storage."""
        return self.own.free_bytes()

    def sweep(self) -> int:
        """Remove what dead writers left in the upper storage."""
        return self.own.sweep()

    def fresh(self) -> LayeredStorage:
        """Return both without their copies."""
        return LayeredStorage(self.own.fresh(), self.base.fresh())

    def expect(self, keys: Iterable[str]) -> None:
        """Begin to fetch objects from the storage that holds them."""
        borrowed: list[str] = []
        owned: list[str] = []
        for key in keys:
            (owned if self.own.exists(key) else borrowed).append(key)
        self.own.expect(owned)
        self.base.expect(borrowed)

    def distrust(self, key: str) -> bool:
        """Drop the copy of an object in the storage that holds it."""
        return (self.own if self.own.exists(key) else self.base).distrust(key)

    def hold(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the upper storage."""
        return self.own.hold(exclusive=exclusive)

    def heartbeat(self) -> str:
        """Return the name of the heartbeat in the upper storage."""
        return self.own.heartbeat()

    def has_heartbeat(self, name: str) -> bool:
        """Return whether this heartbeat is in the upper storage."""
        return self.own.has_heartbeat(name)

    def claim(self, name: str) -> bool:
        """Take a lease in the upper storage."""
        return self.own.claim(name)

    def holder(self, name: str) -> Holder | None:
        """Return who holds a lease in the upper storage."""
        return self.own.holder(name)

    def release(self, name: str) -> None:
        """Give a lease of the upper storage back."""
        self.own.release(name)
