"""A bucket as storage: objects appear by conditional requests, and are read through copies on this machine."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from featurestore.errors import DamagedObjectError, FeatureStoreError, MissingObjectError, StorageError
from featurestore.files import read_regular
from featurestore.storage.bucket_holders import holders_in
from featurestore.storage.bucket_listings import Listings, listed_folder
from featurestore.storage.bucket_requests import ChangedError, Found, Requests
from featurestore.storage.fetch_ahead import AHEAD, FetchAhead
from featurestore.storage.folder_lock import LARGEST_MARK, MARK, refuse_newer
from featurestore.storage.object_cache import ObjectCache, copy_name
from featurestore.storage.protocol import (
    FOLDER,
    MARKER,
    Buffer,
    Data,
    Version,
    checked_key,
    is_part,
    largest,
    names_content,
)
from featurestore.storage.writers import Holder

SINGLE_READS = 6
"""Parts of an object that are read one by one before all of it is fetched: a single row takes three."""
MOST_OPEN = 64
"""Copies that stay open."""
KEPT = re.compile(r"shards/[0-9a-f]{16}/[0-9a-f]{32}/zarr\.json|(datasets|tables|listings)/.*")
"""Objects beside shards' data of which a copy is kept: their bytes follow from their keys."""
FIRST = 1000
"""Most objects that are listed to see what lies in a place without a marker."""
PATIENCE = 5
"""Times that `replace` tries again because another writer was faster."""


class BucketStorage:
    """Objects below a prefix of a bucket.

    Every write but a removal is conditional: there must be no object, or the one with the ETag that was seen. A service
    that ignores such conditions is refused before the first write.

    Parameters
    ----------
    uri : str
        `s3://BUCKET/PREFIX`.
    cache : ObjectCache, optional
        Where copies are kept; by default as set in the environment.
    requests : Requests, optional
        Sends the requests; given where the service is not one of buckets.
    """

    def __init__(self, uri: str, cache: ObjectCache | None = None, requests: Requests | None = None) -> None:
        self._requests = requests or Requests(uri)
        self._cache = cache or ObjectCache.chosen()
        self._place = f"{self._requests.endpoint} {self._requests.uri}"
        self._distrusted: set[str] = set()
        self._start()

    def _start(self) -> None:
        """Begin with no knowledge of the bucket in this process."""
        self._process = os.getpid()
        self._listings = Listings(self._requests)
        self._open: OrderedDict[str, _Copy] = OrderedDict()
        self._parts: dict[str, _Parts] = {}
        self._ahead = FetchAhead(self._fetch)
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.uri, self._cache)

    @property
    def uri(self) -> str:
        """The address `s3://BUCKET/PREFIX`."""
        return self._requests.uri

    @property
    def random_access(self) -> bool:
        """Parts of an object cost a request each; shards are fetched whole where many rows are read."""
        return False

    def is_store(self) -> bool:
        """Return whether there is a store: a marker or, without one, an object with a digest in its name."""
        return has_marker(self._requests) or any(map(names_content, self._requests.entries("", FIRST)))

    def get(self, key: str) -> bytes:
        """Return an object's bytes: those of records from the copy of its present version."""
        kept = KEPT.fullmatch(checked_key(key))
        if kept:
            self._ahead.wait_for(key)
        find = self._listings.find_kept if key.startswith("shards/") else self._listings.find
        if kept and (found := find(key)) is not None:
            data = self._cache.get(self._name(key, found), found.size)
            if data is not None:
                return data
        try:
            data, found = self._requests.get(key, largest(key))
        except FileNotFoundError as error:
            self._listings.note(key, None)
            raise MissingObjectError(key) from error
        if kept:
            self._cache.put(self._name(key, found), data)
        return data

    def read(self, key: str, start: int, out: Buffer) -> Version:
        """Fill a buffer from the object's copy; without one, its first few parts are requested one by one."""
        copy = self._copy(key)
        found = copy.found if copy else self._parts[key].found
        if start + len(out) > found.size:
            raise DamagedObjectError(key, f"it ends before byte {start + len(out):,}")
        if copy is None:
            try:
                out[:] = memoryview(self._requests.get_part(key, start, start + len(out), found.e_tag))
            except ChangedError:  # replaced or removed since it was looked at
                self._listings.drop(key)
                self._forget(key)
                return self.read(key, start, out)
            return _version(found)
        done = 0
        while done < len(out):
            count = os.preadv(copy.handle, [out[done:].data], start + done)
            if not count:  # somebody has cut the copy short
                self._cache.remove(self._name(key, found))
                self._forget(key)
                return self.read(key, start, out)
            done += count
        return copy.version

    def size(self, key: str) -> int:
        """Return an object's bytes."""
        found = self._listings.find(checked_key(key))
        if found is None:
            raise MissingObjectError(key)
        return found.size

    def exists(self, key: str) -> bool:
        """Return whether there is an object of this key; one that a listing lacks is asked for by its key."""
        return self._listings.find(checked_key(key)) is not None

    def put_if_absent(self, key: str, data: Data, *, durable: bool = True) -> bool:
        """Publish an object if there is none; return whether it was written. A bucket is durable in any case."""
        del durable
        if key.startswith("sources/") and key in self._listings.below("sources"):
            return False  # so that known recordings are not sent again
        self._begin()
        written = self._swap(checked_key(key), data, None)
        if not written:
            self._listings.drop(key)
        return written

    def adopt(self, key: str, path: Path) -> bool:
        """Publish a file's bytes if there is none."""
        if key in self._listings.below(listed_folder(checked_key(key))):
            return False
        try:
            data = read_regular(path, largest(key))
        except OSError as error:
            raise StorageError(f"{str(path)!r}: {error.strerror}.") from error
        return self.put_if_absent(key, data)

    def replace(self, key: str, data: Data) -> None:
        """Publish an object in place of the one that is there, unless that has changed since it was looked at."""
        self._begin()
        for _ in range(PATIENCE):
            found = self._requests.head(checked_key(key))
            if self._swap(key, data, found.e_tag if found else None):
                return
        raise StorageError(f"{self.uri}: others write {key} at the same time, again and again: run this again.")

    def delete(self, key: str) -> None:
        """Remove an object."""
        holders_in(self._requests).check()
        self._requests.delete(checked_key(key))
        self._listings.note(key, None)
        self._forget(key)

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names of what can belong to a store one level below a prefix."""
        if not FOLDER.fullmatch(prefix):
            raise DamagedObjectError(prefix, "no folder of a store is called so")
        if prefix and listed_folder(f"{prefix}/x") == prefix:
            below = len(prefix) + 1
            names = sorted({key[below:].partition("/")[0] for key in self._listings.below(prefix, fresh=True)})
        else:
            names = self._requests.folders(prefix)
        return [name for name in names if is_part(f"{prefix}/{name}".lstrip("/"))]

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield all that lies below a prefix with sizes in bytes, sorted; heartbeats and leases are left out."""
        begun = time.monotonic()
        found = self._requests.entries(prefix)
        self._listings.keep(found, begun)
        yield from ((key, found[key].size) for key in sorted(found) if not key.startswith("tmp/"))

    def changed(self, prefix: str) -> tuple[int, ...]:
        """Return a value that changes when a name one level below a prefix is made, replaced or removed."""
        found = self._requests.entries(prefix)
        stamp = hashlib.sha256(repr(sorted(found.items())).encode()).digest()
        return (int.from_bytes(stamp[:8], "big"),)

    def free_bytes(self) -> int | None:
        """Return None: a bucket has no end."""
        return None

    def sweep(self) -> int:
        """Return 0: no write is left unfinished. Expired heartbeats and leases are removed by the next collection."""
        return 0

    def modified(self, key: str) -> float:
        """Return when an object was written, by the service's clock."""
        found = self._listings.find(checked_key(key))
        if found is None:
            raise MissingObjectError(key)
        return found.modified

    @contextmanager
    def hold(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the bucket, by a heartbeat in it that is renewed meanwhile."""
        self._begin()
        with holders_in(self._requests).hold(exclusive=exclusive):
            self._listings.clear()  # they may list what a collection removed while this process waited
            yield

    def heartbeat(self) -> str:
        """Return the name of this process's heartbeat."""
        return holders_in(self._requests).writer

    def has_heartbeat(self, name: str) -> bool:
        """Return whether this heartbeat is here."""
        return holders_in(self._requests).has_heartbeat(name)

    def claim(self, name: str) -> bool:
        """Take a lease: an object that is created conditionally, and taken over once it is no longer renewed."""
        return holders_in(self._requests).claim(name)

    def holder(self, name: str) -> Holder | None:
        """Return the living process that holds a lease."""
        return holders_in(self._requests).holder(name)

    def release(self, name: str) -> None:
        """Give a lease back."""
        holders_in(self._requests).release(name)

    def fresh(self) -> BucketStorage:
        """Return the same bucket without copies, to check the bucket's own bytes."""
        return BucketStorage(self.uri, ObjectCache(self._cache.folder, 0))

    def expect(self, keys: Iterable[str]) -> None:
        """Begin to fetch objects that are read next, in this order, as far ahead as the cache has room for."""
        if self._cache.most_bytes:
            self._ahead.extend(key for key in keys if key not in self._open)

    def distrust(self, key: str) -> bool:
        """Drop the copy of an object whose bytes are not sound; return whether to read it again, which helps once."""
        with self._lock:
            again = key not in self._distrusted
            self._distrusted.add(key)
            found = self._open[key].found if key in self._open else None
            if found is not None:
                self._cache.remove(self._name(key, found))
            self._listings.drop(key)
            self._forget(key)
        return again

    def _swap(self, key: str, data: Data, e_tag: str | None) -> bool:
        holders_in(self._requests).check()
        made = self._requests.swap(key, data, e_tag)
        if made is not None:
            self._listings.note(key, Found(len(data), made, time.time()))
            self._forget(key)
        return made is not None

    def _name(self, key: str, found: Found) -> str:
        return copy_name(self._place, key, f"{found.e_tag} {found.size}")

    def _copy(self, key: str) -> _Copy | None:
        """Return the open copy of an object; None if only a part of it is to be requested, which `_parts` counts."""
        if self._process != os.getpid():
            self._start()  # a fork has none of its parent's threads, which may have held locks
        copy = self._open.get(key)
        if copy is not None:
            return copy
        self._ahead.wait_for(checked_key(key))
        with self._lock:
            parts = self._parts.get(key)
            if parts is None:
                found = self._listings.find_kept(key)
                if found is None:
                    raise MissingObjectError(key)
                parts = self._parts[key] = _Parts(found)
            parts.count += 1
        handle = self._cache.open(self._name(key, parts.found), parts.found.size)
        few = SINGLE_READS if self._requests.ranged else 0
        if handle is None and parts.count > few and self._fetch(key):
            handle = self._cache.open(self._name(key, parts.found), parts.found.size)
        if handle is None:
            return None
        with self._lock:
            copy = self._open[key] = _Copy(handle, parts.found)
            self._parts.pop(key, None)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return copy

    def _fetch(self, key: str) -> bool:
        """Make a copy of an object if there is none; return whether there is one. The read reports any error."""
        if not threading.main_thread().is_alive():
            return False  # nobody waits any more
        with suppress(FeatureStoreError, FileNotFoundError):
            found = self._listings.find_kept(key)
            if found is None or found.size > self._cache.most_bytes // (2 * AHEAD):
                return False
            if self._cache.has(self._name(key, found), found.size):
                return True  # who opens it looks whether it is sound
            data, found = self._requests.get(key, largest(key))
            return self._cache.put(self._name(key, found), data)
        return False

    def _forget(self, key: str) -> None:
        """Look an object up again at the next read."""
        with self._lock:
            self._open.pop(key, None)
            self._parts.pop(key, None)

    def _begin(self) -> None:
        """Before the first write, make sure that this is or may become a store, and that the service can hold one."""
        if self._place in _begun:
            return
        if not self.is_store():
            for key in self._requests.entries("", FIRST):
                if not key.startswith("tmp/") and not self.is_store():  # nobody else has begun it since
                    raise StorageError(
                        f"{self.uri} is no store and holds other objects ({key!r:.200}): give --store another prefix."
                    )
        self._requests.refuse_overwriting()
        self._swap(MARKER, MARK, None)
        _begun.add(self._place)


def has_marker(requests: Requests) -> bool:
    """Return whether a place has the marker of a store; `StoreTooNewError` if it is that of a newer format."""
    try:
        mark, _ = requests.get(MARKER, LARGEST_MARK)
    except (FileNotFoundError, DamagedObjectError):
        return False
    if mark != MARK:
        refuse_newer(mark)
    return mark == MARK


_begun: set[str] = set()
"""Places that this process knows to be stores."""


class _Parts:
    """An object that is read part by part, and how many parts were."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.count = 0


class _Copy:
    """An open copy of an object, closed when nothing uses it any more."""

    def __init__(self, handle: int, found: Found) -> None:
        self.handle = handle
        self.found = found
        self.version = _version(found)

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self.handle)


def _version(found: Found) -> Version:
    return Version(found.size, (int.from_bytes(hashlib.sha256(found.e_tag.encode()).digest()[:8], "big"),))
