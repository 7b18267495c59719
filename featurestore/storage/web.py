"""A store on a web server, which is only read: any server of static files, or a repository of the Hugging Face Hub.

Such a server lists nothing. Its objects are listed in `objects.json`, which `push` leaves in a store; without it a
dataset is found by its name, and everything else by the records that refer to it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from featurestore.checksummed_json import reading, unsealed
from featurestore.errors import MissingPackageError, StorageError
from featurestore.storage.bucket import BucketStorage, has_marker
from featurestore.storage.bucket_requests import Found, Requests, client_options, refuse_forks
from featurestore.storage.object_cache import ObjectCache
from featurestore.storage.protocol import INDEX, KEY, Buffer, Data, Version, largest
from featurestore.storage.writers import Holder

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import HTTPStore

INDEX_LIFE = 60.0
"""Seconds for which the index of a store is believed."""
LONGEST_REQUEST = "10m"
"""How long an answer may take to come as a whole."""
PATH = re.compile(r"(/[A-Za-z0-9_.=+~-]+)*")


class WebRequests(Requests):
    """Requests to a web server: the reading half of `Requests`, with the same retries and errors.

    Redirects are followed ten times at most, and never from https to http.
    """

    lists_all = False

    def __init__(self, uri: str) -> None:
        self.uri = self.endpoint = web_address(uri)
        self.ranged = True
        self.bucket, self.prefix = "", urlsplit(self.uri).path.strip("/")
        self._failing = False
        self._index: dict[str, Found] | None = None
        self._until = 0.0

    @property
    def service(self) -> HTTPStore:  # type: ignore[override]
        """The client."""
        refuse_forks(self.uri)
        return _service(self.uri)

    def get_part(self, key: str, start: int, stop: int, e_tag: str) -> bytes:
        """Return bytes `start` to `stop` of an object; a server that knows no ranges sends all of it.

        Entity tags are not compared, as some servers have none: what is read is held against a record.
        """
        import obstore
        from obstore.exceptions import NotSupportedError

        del e_tag
        options: GetOptions = {"range": (start, stop)}

        def part() -> bytes:
            """Read the part once; `_CutShortError` if the answer ends early."""
            return self._complete(obstore.get(self.service, key, options=options).bytes(), stop - start)

        if self.ranged:
            try:
                return self._tried("reading", key, part)
            except NotSupportedError:
                self.ranged = False
        data, _ = self.get(key, largest(key))
        return data[start:stop]

    def index(self) -> dict[str, Found] | None:
        """Return the objects that the store's index lists; None if it has no index."""
        if time.monotonic() > self._until:
            try:
                data, _ = self.get(INDEX, largest(INDEX))
            except FileNotFoundError:
                self._index = None
            else:
                self._index = parse_index(data)
            self._until = time.monotonic() + INDEX_LIFE
        return self._index

    def entries(self, prefix: str, most: int | None = None) -> dict[str, Found]:
        """Return what the index has below a folder; nothing if there is none."""
        del most
        below = f"{prefix}/" if prefix else ""
        return {key: found for key, found in (self.index() or {}).items() if key.startswith(below)}

    def folders(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a folder in the index."""
        start = len(prefix) + 1 if prefix else 0
        return sorted({key[start:].partition("/")[0] for key in self.entries(prefix)})

    def advice(self, *, denied: bool) -> str:
        """Say what to check after a failure."""
        return "only servers that anybody may read are supported" if denied else "check the address"


class WebStorage:
    """Objects below an address, read as those of a bucket are; every write is a `StorageError`."""

    def __init__(self, uri: str, cache: ObjectCache | None = None) -> None:
        self._requests = WebRequests(uri)
        self._cache = cache or ObjectCache.chosen()
        self._read = BucketStorage(self._requests.uri, self._cache, self._requests)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.uri, self._cache)

    @property
    def uri(self) -> str:
        """The address."""
        return self._requests.uri

    @property
    def random_access(self) -> bool:
        """Parts of an object cost a request each."""
        return False

    def is_store(self) -> bool:
        """Return whether there is a store's marker."""
        return has_marker(self._requests)

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self._read.get(key)

    def read(self, key: str, start: int, out: Buffer) -> Version:
        """Fill a buffer from an object."""
        return self._read.read(key, start, out)

    def size(self, key: str) -> int:
        """Return an object's bytes."""
        return self._read.size(key)

    def exists(self, key: str) -> bool:
        """Return whether there is an object of this key."""
        return self._read.exists(key)

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a prefix, by the index; `StorageError` if there is none."""
        self._require_index()
        return self._read.children(prefix)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield what lies below a prefix, by the index; `StorageError` if there is none."""
        self._require_index()
        return self._read.walk(prefix)

    def changed(self, prefix: str) -> tuple[int, ...]:
        """Return nothing: nobody watches a web server."""
        del prefix
        return ()

    def modified(self, key: str) -> float:
        """Return when an object was written, if the server says so."""
        return self._read.modified(key)

    def free_bytes(self) -> int | None:
        """Return None."""
        return None

    def sweep(self) -> int:
        """Return 0."""
        return 0

    def fresh(self) -> WebStorage:
        """Return the same storage without copies on this machine."""
        return WebStorage(self.uri, ObjectCache(self._cache.folder, 0))

    def expect(self, keys: Iterable[str]) -> None:
        """Begin to fetch objects that are read next."""
        self._read.expect(keys)

    def distrust(self, key: str) -> bool:
        """Drop the copy of an object whose bytes are not sound."""
        return self._read.distrust(key)

    def put_if_absent(self, key: str, data: Data, *, durable: bool = True) -> bool:
        """Refuse."""
        del data, durable
        self._refuse(key)

    def adopt(self, key: str, path: Path) -> bool:
        """Refuse."""
        del path
        self._refuse(key)

    def replace(self, key: str, data: Data) -> None:
        """Refuse."""
        del data
        self._refuse(key)

    def delete(self, key: str) -> None:
        """Refuse."""
        self._refuse(key)

    def hold(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Refuse: a storage is held only to write."""
        del exclusive
        self._refuse()

    def heartbeat(self) -> str:
        """Refuse."""
        self._refuse()

    def has_heartbeat(self, name: str) -> bool:
        """Return False."""
        del name
        return False

    def claim(self, name: str) -> bool:
        """Refuse."""
        del name
        self._refuse()

    def holder(self, name: str) -> Holder | None:
        """Return None."""
        del name
        return None

    def release(self, name: str) -> None:
        """Do nothing."""

    def _require_index(self) -> None:
        if self._requests.index() is None:
            raise StorageError(
                f"{self.uri}: a web server lists nothing, and there is no {INDEX}, which 'featurestore push' writes: "
                "call the dataset by its full name."
            )

    def _refuse(self, key: str = "") -> NoReturn:
        raise StorageError(
            f"{self.uri}: stores on web servers are only read{key and f', and {key} would be written'}: pull the "
            "dataset, or give the address as --base of a store of your own."
        )


@lru_cache(16)
def _service(uri: str) -> HTTPStore:
    """Return a client, whose connections all storages of a place share."""
    try:
        from obstore.store import HTTPStore
    except ImportError as error:
        raise MissingPackageError(
            f"{uri}: stores on web servers need obstore (MIT): pip install 'featurestore[s3]'."
        ) from error
    return HTTPStore(
        uri,
        client_options=client_options(uri, LONGEST_REQUEST),
        retry_config={"max_retries": 0},
    )


def web_address(uri: str) -> str:
    """Return the address of a store without a slash at its end; `StorageError` if it is none that can be one."""
    try:
        parts = urlsplit(uri)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if sound and "@" in parts.netloc:
        raise StorageError("a store's address holds no user and no password, since it is kept in records.")
    path = parts.path.rstrip("/") if sound else ""
    if not sound or not PATH.fullmatch(path) or parts.query or parts.fragment or {".", ".."} & {*path.split("/")}:
        raise StorageError(
            f"{uri!r:.200} is no address of a store: write https://SERVER/FOLDER, of letters, digits and any of "
            "-_.=+~ and /, without a question."
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def parse_index(data: bytes) -> dict[str, Found]:
    """Return the objects of an index with their sizes; `DamagedObjectError` if it is not sound."""
    body = unsealed(INDEX, data)
    with reading(INDEX, "an index of objects"):
        found = {key: Found(size, "", 0.0) for key, size in body["objects"]}
        if not all(KEY.fullmatch(key) and type(one.size) is int and one.size >= 0 for key, one in found.items()):
            raise ValueError("it names what no store holds")
    return found
