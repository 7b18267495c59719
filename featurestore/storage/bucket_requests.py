"""Requests to object storage: bounded retries, conditional writes whose outcome is always known, errors in one line.

obstore sends them; what it would retry by itself is retried here, where a write whose answer was lost can be read
back and compared.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from featurestore.errors import DamagedObjectError, MissingPackageError, StorageError
from featurestore.storage.protocol import Data

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import S3Store

ATTEMPTS = 10
"""Times that a request is sent before its failure is an error."""
FIRST_PAUSE = 0.1
FEW_ATTEMPTS = 2
"""The same where the last request failed for good: work that is broken off would end slowly otherwise."""
LONGEST_PAUSE = 5.0
"""Seconds between attempts: twice as many each time, of which a random share is waited."""
CONNECT_SECONDS = "10s"
SILENT_SECONDS = "60s"
"""How long a connection may take to be made, and then be silent."""
PASSING = {408, 409, 425, 429, *range(500, 600)}
"""Statuses after which the same request may succeed: overload, throttling, conflicts of writers at the same time."""

LASTING = ("Content-Length Header missing", "error following redirect")
"""What no further attempt changes."""
INSTANCE = "169.254.169.254"
"""Who is asked for credentials last: a machine in the cloud knows its own, any other one has none then."""

_processes: list[int] = []
"""The process that sent the first request, after which its forks can send none."""
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
    """The object is not the one that was asked for any more."""


class Requests:
    """What is asked of one bucket below one prefix.

    `lists_all` says that a listing has all that stands there; of a web server's index nobody knows.

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
        """Whether the last request failed for good."""

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
        """Return all objects below a folder, or the first of them; a thousand come with each request."""
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

        None if there is another object. An answer that was lost leaves no doubt: what is there is read back and
        compared, and a conflict with another writer, of which nobody knows who won, is tried again.
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

    def put(self, key: str, data: Data) -> None:
        """Write an object in place of any other; for what only this process writes."""
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
        """Return what a request returns, sent again after a pause while its failure may pass."""
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
        """Yield the seconds to wait after each attempt: twice as many each time, by chance, so that many spread."""
        for attempt in range(FEW_ATTEMPTS if self._failing else ATTEMPTS):
            yield random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))

    def _gave_up(self, doing: str, key: str, reason: str) -> str:
        self._failing = True
        return (
            f"{self.uri}: {doing} {key or 'its objects'} failed again and again, at last by: {reason}. Check the "
            "connection and the service, then run the command again to continue."
        )

    def _reason(self, error: Exception) -> str:
        """Say in a few words what went wrong, without addresses, which may be signed."""
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
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": SILENT_SECONDS,
            "timeout": "1h",
        },
        retry_config={"max_retries": 0},
        credential_provider=_profile(uri),
        endpoint=endpoint or None,
    )


class _CutShortError(Exception):
    """An answer that ended early."""


ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
"""Variables that name another service than that of AWS, first the one that counts most."""
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"([A-Za-z0-9_.=+-]+(/[A-Za-z0-9_.=+-]+)*)?")


def parse_uri(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://BUCKET/PREFIX`.

    Raises
    ------
    StorageError
        If it has another form or a password in it, which is not repeated.
    """
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise StorageError(
            "a store's URI holds no user and no password, since it is kept in records: give them by AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    prefix = parts.path.strip("/")
    sound = BUCKET.fullmatch(parts.netloc) and PREFIX.fullmatch(prefix) and not parts.query and not parts.fragment
    if not sound or any(set(part) == {"."} for part in prefix.split("/") if part):
        raise StorageError(
            f"{uri!r:.200} is no store in a bucket: write s3://BUCKET/PREFIX, the prefix of letters, digits and any "
            "of -_.=+ and /."
        )
    return parts.netloc, prefix


def _profile(uri: str) -> Any:  # noqa: ANN401 (obstore's protocol)
    """Return what gets credentials from a profile; None where the environment has them, or no profile is there."""
    if os.environ.get("AWS_ACCESS_KEY_ID") and not os.environ.get("AWS_PROFILE"):
        return None
    named = os.environ.get("AWS_PROFILE")
    files = ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config")
    if not named and not any(Path(os.environ.get(name, usual)).expanduser().exists() for name, usual in files):
        return None
    try:
        import boto3
        import botocore.exceptions
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise MissingPackageError(
            f"{uri}: profiles of AWS are read by boto3 (Apache-2.0): pip install 'featurestore[s3]', or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    try:
        return Boto3CredentialProvider(boto3.Session())
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        if not named:
            return None
        raise StorageError(f"{uri}: the profile AWS_PROFILE={named} gives no credentials: check ~/.aws.") from error


def _found(entry: ObjectMeta) -> Found:
    return Found(entry["size"], entry["e_tag"] or "", entry["last_modified"].timestamp())
