"""What a store can contain, recognised by name, and the few operations that a store needs from its storage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import DamagedObjectError
from featurestore.storage.writers import Holder

MARKER = "featurestore.json"
"""The object that marks a folder as a store."""

INDEX = "objects.json"
"""The object that lists what a store held when a dataset was last pushed to it, for servers that list nothing."""

DATASET_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}"

CARD = ("README.md", "features.toml", "policy.toml")
"""The files of a dataset's card, for people; see `featurestore.card`."""

KEY = re.compile(
    r"shards/[0-9a-f]{16}/[0-9a-f]{32}/(zarr\.json|c/0/0)"
    r"|datasets/[0-9a-f]{32}\.json"
    r"|indexes/[0-9a-f]{32}\.npy"
    r"|(tables|listings)/[0-9a-f]{64}\.json"
    r"|sources/[0-9a-f]{64}"
    r"|rejects/[0-9a-f]{16}/[0-9a-f]{64}(\.t\d+-\d*)?(\.c\d+)?\.json"
    rf"|refs/(datasets/[0-9a-f]{{32}}|corpora/[a-z0-9_]{{1,40}}|{DATASET_NAME})\.json"
    rf"|cards/{DATASET_NAME}/({'|'.join(map(re.escape, CARD))})"
    rf"|{re.escape(MARKER)}|{re.escape(INDEX)}"
)
"""What the key of an object can look like."""

FOLDER = re.compile(
    r"|shards(/[0-9a-f]{16}(/[0-9a-f]{32}(/c(/0)?)?)?)?"
    r"|datasets|indexes|tables|listings|sources|rejects(/[0-9a-f]{16})?|refs(/datasets|/corpora)?"
    rf"|cards(/{DATASET_NAME})?"
)
"""What lies between a store's root and an object."""

LARGEST_RECORD = 64_000_000
"""Bytes of the largest record of a shard, and of any name; a larger one is damage, not data."""

LARGEST_DATA = 2**32
"""Bytes of the largest data object of a shard."""

LARGEST = {
    "datasets": 512_000_000,
    "indexes": 2**32,
    "tables": 512_000_000,
    "listings": 512_000_000,
    "sources": 2**31,
    INDEX: 512_000_000,
}
"""Bytes of the largest object of the other kinds that is read into memory as a whole."""


def checked_key(key: str) -> str:
    """Return a key; `DamagedObjectError` if it can be none, so that no record leads out of a store."""
    if not KEY.fullmatch(key):
        raise DamagedObjectError(repr(key)[1:-1], "no object of a store is called so")
    return key


def is_part(path: str) -> bool:
    """Return whether a path below a store's root is what an object, or a folder of objects, is called."""
    return bool(KEY.fullmatch(path) or FOLDER.fullmatch(path))


def names_content(key: str) -> bool:
    """Return whether a key proves that its folder is a store: it has a digest in it, not only a chosen name."""
    return bool(KEY.fullmatch(key)) and bool(re.search(r"[0-9a-f]{32}", key))


def largest(key: str) -> int:
    """Return how many bytes an object may have that is read as a whole."""
    if key.endswith("/c/0/0"):
        return LARGEST_DATA
    return LARGEST.get(key.partition("/")[0], LARGEST_RECORD)


def put(storage: Storage, key: str, data: Data) -> None:
    """Make an object hold these bytes: publish it if there is none, replace one that holds others."""
    if not storage.put_if_absent(key, data) and storage.get(key) != data:
        storage.replace(key, data)


Buffer = NDArray[np.uint8]
Data = bytes | bytearray | memoryview


class Version(NamedTuple):
    """Distinguishes an object from one that has taken its place."""

    size: int
    """Bytes of the object."""
    mark: tuple[int, ...]
    """Differs if the bytes may differ."""


class Storage(Protocol):
    """A map from keys (relative POSIX paths) to immutable bytes.

    An object becomes visible whole or not at all. Everything but `replace` and `delete` is write-once. A key that no
    object can have (`featurestore.storage.protocol.KEY`) is a `DamagedObjectError` in every method that takes one.
    """

    @property
    def uri(self) -> str:
        """The address that opens this storage again, in this process or another."""

    @property
    def random_access(self) -> bool:
        """Whether a part of an object can be read by itself; otherwise all of its bytes are fetched for it."""

    def is_store(self) -> bool:
        """Return whether there is a store; `StorageError` if nobody may look."""

    def get(self, key: str) -> bytes:
        """Return an object's bytes; `MissingObjectError` if there is none, `DamagedObjectError` if it is too large."""

    def read(self, key: str, start: int, out: Buffer) -> Version:
        """Fill a buffer with an object's bytes from a position on; return the version of the object.

        `MissingObjectError` if there is none, `DamagedObjectError` if it ends before.
        """

    def size(self, key: str) -> int:
        """Return the number of an object's bytes; `MissingObjectError` if there is none."""

    def exists(self, key: str) -> bool:
        """Return whether there is an object of this key."""

    def put_if_absent(self, key: str, data: Data, *, durable: bool = True) -> bool:
        """Publish an object if there is none; return whether it was written."""

    def adopt(self, key: str, path: Path) -> bool:
        """Publish a local file's bytes if there is none, by link where possible; return whether it was."""

    def replace(self, key: str, data: Data) -> None:
        """Publish an object in place of any other, atomically."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a prefix, of objects and of what lies between."""

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield all that lies below a prefix with sizes in bytes, sorted: keys, and files that are no objects."""

    def changed(self, prefix: str) -> tuple[int, ...]:
        """Return values that change when a name one level below a prefix is made, replaced or removed."""

    def free_bytes(self) -> int | None:
        """Return the space left, or None where that is unknown."""

    def sweep(self) -> int:
        """Remove what writers that no longer live have left unfinished; return how many objects."""

    def modified(self, key: str) -> float:
        """Return when an object was written under its key, in seconds since 1970."""

    def fresh(self) -> Storage:
        """Return the same storage without the copies that this process and machine keep, to check its own bytes."""

    def expect(self, keys: Iterable[str]) -> None:
        """Begin to fetch objects that are read next, in this order, if they are remote."""

    def distrust(self, key: str) -> bool:
        """Drop the copy of an object whose bytes are not sound; return whether to read it once more."""

    def hold(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the storage while a body runs: builders share it, gc and repair have it alone.

        `StoreBusyError` if somebody else holds it and either needs it alone.
        """

    def heartbeat(self) -> str:
        """Return the name of this process's heartbeat while it holds the storage."""

    def has_heartbeat(self, name: str) -> bool:
        """Return whether this heartbeat is here: whether its process and this one see the same storage."""

    def claim(self, name: str) -> bool:
        """Take a lease on some work while holding the storage, so that others do something else meanwhile.

        Return whether it was free. Leases only save work: that of a process that is gone is free.
        """

    def holder(self, name: str) -> Holder | None:
        """Return the living process that holds a lease; None if it is free."""

    def release(self, name: str) -> None:
        """Give a lease back."""
