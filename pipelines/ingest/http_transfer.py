"""Moving bytes over HTTP into a file: resumed by range, bounded in size and time, never downgraded from https.

A server may send for ever what is no body: answers of 100, bodies of redirects, trailers. So a redirect's body is not
read at all, and whatever brings the body forward too slowly is cut off.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from featurestore.errors import DownloadError

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

DownloadProgress = Callable[[int, int | None], None]
"""Called with the bytes fetched so far and all bytes, or None where the size is unknown."""

ADVICE = "Without a network, fetch the archive elsewhere and give it with --source."
LARGEST_UNKNOWN = 64 * 2**30
"""Bytes fetched at most where neither the manifest nor the server says a size."""
BLOCK = 2**15
"""Bytes written at a time; what is lost at most when a connection breaks."""
MOST_REDIRECTS = 5
_TEMPORARY_FAILURES = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download is tried: attempts, waits, and time limits in seconds."""

    idle_attempts: int = 5
    """Attempts in a row that bring no byte."""
    attempts: int = 100
    """Attempts in all."""
    first_wait: float = 0.5
    """Wait after a failure; it doubles while nothing comes."""
    connect: float = 10.0
    read: float = 30.0
    window: float = 60.0
    """A connection is cut off that has brought less than `least_speed` over so many seconds."""
    least_speed: int = 1024
    """Bytes of the body a second."""
    overall: float = 24 * 3600.0
    """All attempts together."""


class _BrokenOffError(Exception):
    """The connection ended before the body did; what has come is kept."""


def fill(
    url: str,
    size: int | None,
    part: BufferedRandom,
    progress: DownloadProgress,
    patience: Patience,
    *,
    checked: bool = True,
) -> None:
    """Append to a file what is missing of a URL's body, asking again from where a connection broke off.

    Parameters
    ----------
    size : int, optional
        Bytes of the whole body, where they are known beforehand; 1 % more is a reason to stop.
    checked : bool
        Whether the file is held to a checksum later. If not, a body that does not say where it ends is refused, since
        one that is cut could not be told from it.

    Raises
    ------
    DownloadError
        If the server refuses, sends too much or too slowly, redirects to where it must not, or keeps failing.
    """
    transfer = Transfer(url, size, part, progress, patience, checked)
    idle, reason = 0, "no attempt was made"
    for _ in range(patience.attempts):
        before = part.seek(0, os.SEEK_END)
        try:
            return transfer.ask()
        except _BrokenOffError as error:
            idle = 0 if part.seek(0, os.SEEK_END) > before else idle + 1
            reason = str(error)
        if idle >= patience.idle_attempts or transfer.seconds_left < 0:
            break
        time.sleep(min(patience.first_wait * 2**idle, max(0.0, transfer.seconds_left)))
    raise DownloadError(f"{url} could not be fetched ({reason:.200}). {ADVICE}")


def next_url(current: str, location: str) -> str:
    """Resolve a redirect; `DownloadError` for one that leaves https or is no web address."""
    try:
        target = urljoin(current, location)
        scheme, _ = urlsplit(target).scheme, urlsplit(target).port
    except ValueError as error:
        raise DownloadError(f"{current} redirects to {location!r:.200}, which is no address. {ADVICE}") from error
    if scheme not in ("https", "http"):
        raise DownloadError(f"{current} redirects to {target}, which is no web address. {ADVICE}")
    if scheme == "http" and urlsplit(current).scheme == "https":
        raise DownloadError(f"{current} redirects to {target}, which is not https. {ADVICE}")
    return target


@dataclass
class Transfer:
    """What the attempts at one body share."""

    url: str
    size: int | None
    part: BufferedRandom
    progress: DownloadProgress
    patience: Patience
    checked: bool
    version: str = ""
    """What the server calls the bytes that are there: its entity tag or the time of their last change."""
    done: int = 0
    """Bytes of the body that are there."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """What is left of the time for all attempts; negative when it is over."""
        return self.begun + self.patience.overall - time.monotonic()

    def ask(self) -> None:
        """Send one request for the missing bytes and append what comes."""
        import requests  # 60 ms that commands without a network need not pay
        from urllib3.exceptions import HTTPError

        self.done = self.part.seek(0, os.SEEK_END)
        with requests.Session() as session, Watch(self) as watch:
            for scheme in ("http://", "https://"):
                session.mount(scheme, watch.adapter())
            try:
                with self._response(session) as answer:
                    self._settle_start(answer)
                    self._append(answer)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
                    raise  # the file, and not the server
                if isinstance(error, requests.Timeout):
                    reason = "the server does not answer in time"
                elif isinstance(error, requests.ConnectionError):
                    reason = "the server cannot be reached, or broke off"
                else:
                    reason = f"{type(error).__name__}: {error}"
                raise _BrokenOffError(watch.reason or reason) from error
            if watch.reason:
                raise _BrokenOffError(watch.reason)

    @contextmanager
    def _response(self, session: requests.Session) -> Iterator[requests.Response]:
        """Open the URL from a byte on, following redirects one by one without reading their bodies."""
        import requests

        headers = {"Accept-Encoding": "identity"}
        if self.done:
            headers |= {"Range": f"bytes={self.done}-", **({"If-Range": self.version} if self.version else {})}
        limits, url = (self.patience.connect, self.patience.read), self.url
        for _ in range(MOST_REDIRECTS + 1):
            request = session.prepare_request(requests.Request("GET", url, headers=headers))
            how: dict[str, Any] = dict(session.merge_environment_settings(url, {}, True, None, None))
            with session.get_adapter(url).send(request, timeout=limits, **how) as answer:
                if answer.is_redirect:
                    url = next_url(url, answer.headers["Location"])
                    continue
                if answer.status_code in _TEMPORARY_FAILURES:
                    raise _BrokenOffError(f"the server answered {answer.status_code}")
                if answer.status_code not in (200, 206, 416):
                    raise DownloadError(f"{url} answered {answer.status_code} {answer.reason:.80}. {ADVICE}")
                yield answer
                return
        raise DownloadError(f"{self.url} redirects more than {MOST_REDIRECTS} times. {ADVICE}")

    def _settle_start(self, answer: requests.Response) -> None:
        """Go on where the answer starts, and empty the file if that is the first byte."""
        if answer.status_code == 416:
            self.part.truncate(0)
            raise _BrokenOffError("the server has no such range")
        tag = answer.headers.get("ETag", "")
        self.version = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
        if answer.status_code == 206:
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {self.done}-"):
                raise DownloadError(f"{self.url}: the server answered with another range than asked for. {ADVICE}")
        else:
            self.part.truncate(0)
            self.done = 0

    def _append(self, answer: requests.Response) -> None:
        announced = answer.headers.get("Content-Length", "")
        told = int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
        if told is None and not self.checked and "chunked" not in answer.headers.get("Transfer-Encoding", "").lower():
            raise DownloadError(
                f"{self.url} does not announce its length and no checksum is known for it, so a truncated "
                f"download could not be detected. {ADVICE}"
            )
        total = self.size or (None if told is None else self.done + told)
        most = total + total // 100 + 1 if total else LARGEST_UNKNOWN
        for block in answer.iter_content(BLOCK):
            self.done += len(block)
            if self.done > most:
                Path(self.part.name).unlink()
                raise DownloadError(f"{self.url} sends more than the expected {total or most} bytes; stopped. {ADVICE}")
            self.part.write(block)
            self.progress(self.done, total)
        self.part.flush()


class Watch:
    """Shuts the connections of a transfer down, from a thread of its own, when its body comes too slowly."""

    def __init__(self, transfer: Transfer) -> None:
        self.reason = ""
        """Why connections were cut off; empty if they were not."""
        self._transfer = transfer
        self._sockets: list[socket.socket] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def adapter(self) -> HTTPAdapter:
        """Return what connects, so that this watch knows its sockets."""
        from requests.adapters import HTTPAdapter
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager

        sockets = self._sockets

        def watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
            """Return a pool whose connections note their sockets."""

            class Connection(pool.ConnectionCls):  # type: ignore[misc, name-defined]
                def connect(self) -> None:
                    """Connect, and note the socket."""
                    super().connect()
                    sockets.append(self.sock)

            return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

        class Adapter(HTTPAdapter):
            def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
                """Make the manager of direct connections, with watched pools."""
                super().init_poolmanager(*args, **kwargs)
                self.poolmanager.pool_classes_by_scheme = pools

            def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:  # noqa: ANN401
                """Return the manager of connections by a proxy, with watched pools."""
                manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
                manager.pool_classes_by_scheme = pools
                return manager

        pools = {"http": watched(HTTPConnectionPool), "https": watched(HTTPSConnectionPool)}
        return Adapter()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        patience, since, before = self._transfer.patience, time.monotonic(), self._transfer.done
        while not self._ended.wait(min(1.0, patience.window / 4)):
            now, done = time.monotonic(), self._transfer.done
            if self._transfer.seconds_left < 0:
                self._cut(f"it has not ended after {patience.overall:g} s")
            elif now - since >= patience.window:
                if done - before < patience.least_speed * (now - since):
                    self._cut(f"slower than {patience.least_speed:,} bytes a second over {patience.window:g} s")
                since, before = now, done

    def _cut(self, reason: str) -> None:
        self.reason = reason
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
