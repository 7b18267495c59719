"""Requests to object storage: bounded retries, conditional writes whose outcome is always known, errors in one line.

obstore sends them. Retries are made here and not by obstore, since here a write whose answer was lost can be read back
and compared.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from featurestore.errors import DamagedObjectError, MissingPackageError, StorageError
from featurestore.storage.bucket_address import ENDPOINTS, credentials, parse_uri
from featurestore.storage.protocol import Data

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ClientConfig, S3Store

ATTEMPTS = 10
"""Times that a request is sent before its failure is an error."""
FEW_ATTEMPTS = 2
"""The same after a request that failed in all attempts: otherwise work that is given up would end slowly."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Bounds of the seconds between attempts, which double each time; a random share of them is waited."""
CONNECT_SECONDS, SILENT_SECONDS = "10s", "60s"
"""How long a connection may take to be made, and how long it may be silent."""
PASSING = {408, 409, 425, 429, *range(500, 600)}
"""Statuses after which the same request may succeed: overload, throttling, conflicts between writers."""

LASTING = ("Content-Length Header missing", "error following redirect")
"""Messages of failures that no further attempt mends."""
INSTANCE = "169.254.169.254"
"""The last place to ask for credentials, which only machines in the cloud have."""

_processes: list[int] = []
"""The process that sent the first request; its forks can send none."""
Value = TypeVar("Value")


def refuse_forks(uri: str) -> None:
    """Refuse a fork with `StorageError`: it has none of the threads of its parent's client."""
    if not _processes:
        _processes.append(os.getpid())
    if _processes[0] != os.getpid():
        raise StorageError(
            f"{uri}: a forked process cannot go on with its parent's connections: start workers with "
            "multiprocessing_context='spawn', or read in this process."
        )


class Found(NamedTuple):
    """What a service reports of an object."""

    size: int
    """Bytes."""
    e_tag: str
    """Differs where the bytes do."""
    modified: float
    """When it was written by the service's clock, in seconds since 1970."""


class ChangedError(Exception):
    """The object has been replaced or removed since it was looked at."""


class Requests:
    """Requests to one bucket below one prefix.

    `lists_all` says that a listing is complete; the index of a web server may not be.

    Parameters
    ----------
    uri : str
        `s3://BUCKET/PREFIX`. Credentials, region and endpoint come from the environment or a profile of AWS.

    Raises
    ------
    StorageError
        If the URI is not of this form, or has a password in it.
    """

    lists_all = True

    def __init__(self, uri: str) -> None:
        self.bucket, self.prefix = parse_uri(uri)
        self.uri = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        self.endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")
        self.ranged = True
        """Whether the service sends parts of an object."""
        self._failing = False
        """Whether the last request failed in all attempts."""

    @property
    def service(self) -> S3Store:
        """The client; `StorageError` in a fork, which has none of the threads of its parent's client."""
        refuse_forks(self.uri)
        return _service(self.uri, self.endpoint)

    def get(self, key: str, most: int) -> tuple[bytes, Found]:
        """Return an object's bytes and what the service reports of it.

        Raises
        ------
        FileNotFoundError
            If there is none.
        DamagedObjectError
            If it has more than `most` bytes.
        """
        import obstore

        def whole() -> tuple[bytes, Found]:
            """Read all of the object once; `_CutShortError` if the answer ends early."""
            answer = obstore.get(self.service, key)
            found = _found(answer.meta)
            if found.size > most:
                raise DamagedObjectError(key, f"it cannot be read: larger than {most:,} bytes")
            return self._complete(answer.bytes(), found.size), found

        return self._tried("reading", key, whole)

    def get_part(self, key: str, start: int, stop: int, e_tag: str) -> bytes:
        """Return bytes `start` to `stop` of an object; `ChangedError` if it has another ETag or ends before."""
        import obstore
        from obstore.exceptions import PreconditionError

        options: GetOptions = {"range": (start, stop), "if_match": e_tag}

        def part() -> bytes:
            """Read the part once; `_CutShortError` if the answer ends early."""
            return self._complete(obstore.get(self.service, key, options=options).bytes(), stop - start)

        try:
            return self._tried("reading", key, part)
        except (PreconditionError, FileNotFoundError) as error:
            raise ChangedError(key) from error

    def head(self, key: str) -> Found | None:
        """Return what the service reports of an object; None if there is none."""
        import obstore

        try:
            return self._tried("looking for", key, lambda: _found(obstore.head(self.service, key)))
        except FileNotFoundError:
            return None

    def entries(self, prefix: str, most: int | None = None) -> dict[str, Found]:
        """Return all objects below a folder, or the first `most`; each request lists a thousand."""
        import obstore

        def listed() -> dict[str, Found]:
            """List the objects once."""
            objects: dict[str, Found] = {}
            for page in obstore.list(self.service, prefix or None, chunk_size=1000):
                objects |= {entry["path"]: _found(entry) for entry in page}
                if most is not None and len(objects) >= most:
                    break
            return objects

        return self._tried("listing", prefix, listed)

    def folders(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a folder, of objects and of folders."""
        import obstore

        def named() -> list[str]:
            """Return the paths one level below, once."""
            level = obstore.list_with_delimiter(self.service, prefix or None)
            return [*level["common_prefixes"], *(entry["path"] for entry in level["objects"])]

        return sorted(path.rstrip("/").rpartition("/")[2] for path in self._tried("listing", prefix, named))

    def swap(self, key: str, data: Data, e_tag: str | None) -> str | None:
        """Write an object in place of the one with an ETag, or if there is none; return its own ETag.

        None if there is another object. The outcome is always known: after a lost answer the object is read back and
        compared, and after a conflict between writers, whose winner is unknown, the write is tried again.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        unsure = False
        for pause in self._pauses():
            try:
                mode: Any = "create" if e_tag is None else {"e_tag": e_tag}
                made = str(obstore.put(self.service, key, bytes(data), mode=mode)["e_tag"])
            except (AlreadyExistsError, PreconditionError):
                found = self.head(key)
                if found is not None and found.e_tag != e_tag:
                    return found.e_tag if unsure and self._holds(key, found, data) else None
                if found is None and e_tag is not None:
                    return None
                reason = "conflicts with other writers"
            except Exception as error:
                if e_tag is not None and isinstance(error, FileNotFoundError):
                    self._refuse_missing_bucket(error)
                    return None  # it was removed since it was looked at
                reason, unsure = self._passing(error, "writing", key), True
            else:
                self._failing = False
                return made
            time.sleep(pause)
        raise StorageError(self._gave_up("writing", key, reason))

    def refuse_overwriting(self) -> None:
        """Try on an object of no meaning whether the service honours conditional writes; `StorageError` if not."""
        key = f"tmp/canary/{secrets.token_hex(8)}"
        first = self.swap(key, b"first", None)
        try:
            second = self.swap(key, b"second", None)
            third = self.swap(key, b"third", '"0123456789abcdef0123456789abcdef"')
            left, _ = self.get(key, 100)
            if first is None or second is not None or third is not None or left != b"first":
                raise StorageError(
                    f"{self.uri}: the service writes over objects that it was told to keep (it does not honour "
                    "If-None-Match and If-Match), so builders would destroy each other's work: use one that does."
                )
            if self.swap(key, b"last", first) is None:
                raise StorageError(
                    f"{self.uri}: the service refuses to replace an object by its ETag (If-Match): use one that can."
                )
        finally:
            self.delete(key)

    def put(self, key: str, data: Data) -> None:
        """Write an object in place of any other; only for objects that no other process writes."""
        import obstore

        self._tried("writing", key, lambda: obstore.put(self.service, key, bytes(data), use_multipart=False))

    def delete(self, key: str) -> None:
        """Remove an object, if there is one."""
        import obstore

        try:
            self._tried("removing", key, lambda: obstore.delete(self.service, key))
        except FileNotFoundError:
            return

    def _holds(self, key: str, found: Found, data: Data) -> bool:
        """Return whether an object has these bytes."""
        try:
            return found.size == len(data) and self.get(key, found.size)[0] == data
        except (FileNotFoundError, DamagedObjectError):
            return False

    def _tried(self, doing: str, key: str, call: Callable[[], Value]) -> Value:
        """Return what a request returns; after a failure that may pass, pause and send it again."""
        reason = ""
        for pause in self._pauses():
            try:
                value = call()
            except (DamagedObjectError, ChangedError):
                raise
            except Exception as error:
                if type(error).__name__ in ("PreconditionError", "NotSupportedError"):
                    raise
                if isinstance(error, FileNotFoundError):
                    self._refuse_missing_bucket(error)
                    raise
                reason = self._passing(error, doing, key)
            else:
                self._failing = False
                return value
            time.sleep(pause)
        raise StorageError(self._gave_up(doing, key, reason))

    def _complete(self, data: Any, size: int) -> bytes:  # noqa: ANN401 (obstore's buffer)
        whole = bytes(data)
        if len(whole) != size:
            raise _CutShortError(f"{len(whole):,} of {size:,} bytes came")
        return whole

    def _passing(self, error: Exception, doing: str, key: str) -> str:
        """Return the reason of a failure that may pass; raise any other as an error that says what to do."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        if isinstance(error, StorageError) or not isinstance(error, BaseError | _CutShortError | OSError):
            raise error
        self._refuse_missing_bucket(error)
        found, reason = re.search(r"status code: (\d{3})", str(error)), self._reason(error)
        status = int(found[1]) if found else None
        denied = isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in (401, 403)
        if denied or INSTANCE in str(error):
            said = f"is not allowed ({reason}): {self.advice(denied=True)}"
            raise StorageError(f"{self.uri}: {doing} {key or 'its objects'} {said}.") from error
        if (status is not None and status not in PASSING) or any(text in str(error) for text in LASTING):
            said = f"failed ({reason}): {self.advice(denied=False)}"
            raise StorageError(f"{self.uri}: {doing} {key or 'its objects'} {said}.") from error
        return reason

    def advice(self, *, denied: bool) -> str:
        """Say what to check after a failure."""
        if denied:
            return "check AWS_PROFILE or AWS_ACCESS_KEY_ID in the environment, and what its owner may do in this bucket"
        return "check bucket, AWS_REGION and AWS_ENDPOINT_URL"

    def _refuse_missing_bucket(self, error: Exception) -> None:
        if "NoSuchBucket" in str(error):
            raise StorageError(
                f"{self.uri}: there is no bucket {self.bucket!r}: make it, or check the name, AWS_REGION and "
                "AWS_ENDPOINT_URL."
            ) from error

    def _pauses(self) -> Iterator[float]:
        """Yield the seconds to wait after each attempt: random, so that clients spread, and doubling in the mean."""
        for attempt in range(FEW_ATTEMPTS if self._failing else ATTEMPTS):
            yield random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))

    def _gave_up(self, doing: str, key: str, reason: str) -> str:
        self._failing = True
        return (
            f"{self.uri}: {doing} {key or 'its objects'} failed again and again, at last by: {reason}. Check the "
            "connection and the service, then run the command again to continue."
        )

    def _reason(self, error: Exception) -> str:
        """Say in a few words what went wrong, without URLs, which may hold signatures."""
        text = str(error)
        status = re.search(r"status code: (\d{3}[^:\n]*)", text)
        code = re.search(r"<Code>(\w{1,60})</Code>", text)
        if status:
            return status[1].strip() + (f", {code[1]}" if code else "")
        first = re.sub(r"\S+://\S+", "…", text.partition("\n")[0])
        return first.rpartition(": ")[2][:120] or type(error).__name__


@lru_cache(16)
def _service(uri: str, endpoint: str) -> S3Store:
    """Return a client, whose connections all storages of a place share."""
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise MissingPackageError(
            f"{uri}: stores in buckets need obstore (MIT): pip install 'featurestore[s3]'."
        ) from error
    bucket, prefix = parse_uri(uri)
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options=client_options(endpoint, "1h"),
        retry_config={"max_retries": 0},
        credential_provider=credentials(uri),
        config={"endpoint": endpoint} if endpoint else None,  # as an argument of its own it may not be None
    )


def client_options(address: str, longest: str) -> ClientConfig:
    """Return the limits of a client's connections; http is allowed if the address says so."""
    return {
        "allow_http": address.startswith("http://"),
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": SILENT_SECONDS,
        "timeout": longest,
    }


class _CutShortError(Exception):
    """An answer that ended early."""


def _found(entry: ObjectMeta) -> Found:
    return Found(entry["size"], entry["e_tag"] or "", entry["last_modified"].timestamp())
