"""Moving bytes over HTTP into a file: resumed by range, bounded in size, never downgraded from https."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from featurestore.errors import DownloadError

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int | None], None]
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


class _BrokenOffError(Exception):
    """The connection ended before the body did; what has come is kept."""


def fill(url: str, size: int | None, part: BufferedRandom, progress: Progress, patience: Patience) -> None:
    """Append to a file what is missing of a URL's body, asking again from where a connection broke off.

    Parameters
    ----------
    size : int, optional
        Bytes of the whole body, where they are known beforehand; 1 % more is a reason to stop.

    Raises
    ------
    DownloadError
        If the server refuses, sends too much, redirects to where it must not, or keeps failing.
    """
    idle = 0
    for _ in range(patience.attempts):
        before = part.seek(0, os.SEEK_END)
        try:
            return _ask(url, size, part, progress, patience)
        except _BrokenOffError as error:
            idle = 0 if part.seek(0, os.SEEK_END) > before else idle + 1
            reason = str(error)
        if idle >= patience.idle_attempts:
            break
        time.sleep(patience.first_wait * 2**idle)
    raise DownloadError(f"{url} could not be fetched ({reason:.200}). {ADVICE}")


def next_url(current: str, location: str) -> str:
    """Resolve a redirect, and refuse one that leaves https or is no web address.

    Raises
    ------
    DownloadError
        Naming both addresses.
    """
    target = urljoin(current, location)
    scheme = urlsplit(target).scheme
    if scheme not in ("https", "http"):
        raise DownloadError(f"{current} redirects to {target}, which is no web address. {ADVICE}")
    if scheme == "http" and urlsplit(current).scheme == "https":
        raise DownloadError(f"{current} redirects to {target}, which is not https. {ADVICE}")
    return target


def _ask(url: str, size: int | None, part: BufferedRandom, progress: Progress, patience: Patience) -> None:
    """Send one request for the missing bytes and append what comes."""
    import requests  # 60 ms that commands without a network need not pay

    start = part.seek(0, os.SEEK_END)
    try:
        with requests.Session() as session, _response(session, url, start, patience) as answer:
            start = _agreed_start(url, answer, part, start)
            _append(url, size, answer, part, start, progress)
    except requests.Timeout as error:
        raise _BrokenOffError("the server does not answer in time") from error
    except requests.ConnectionError as error:
        raise _BrokenOffError("the server cannot be reached, or broke off") from error
    except requests.RequestException as error:
        raise _BrokenOffError(f"{type(error).__name__}: {error}") from error


def _agreed_start(url: str, answer: requests.Response, part: BufferedRandom, start: int) -> int:
    """Return the byte that the answer starts at, and empty the file if that is the first."""
    if answer.status_code == 416:
        part.truncate(0)
        raise _BrokenOffError("the server has no such range")
    if answer.status_code == 206:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise DownloadError(f"{url}: the server answered with another range than asked for. {ADVICE}")
        return start
    part.truncate(0)
    return 0


def _append(
    url: str, size: int | None, answer: requests.Response, part: BufferedRandom, start: int, progress: Progress
) -> None:
    announced = answer.headers.get("Content-Length", "")
    total = size or (start + int(announced) if announced.isdecimal() else None)
    most = total + total // 100 + 1 if total else LARGEST_UNKNOWN
    done = start
    for block in answer.iter_content(BLOCK):
        done += len(block)
        if done > most:
            Path(part.name).unlink()
            raise DownloadError(f"{url} sends more than the expected {total or most} bytes; stopped. {ADVICE}")
        part.write(block)
        progress(done, total)
    part.flush()


@contextmanager
def _response(session: requests.Session, url: str, start: int, patience: Patience) -> Iterator[requests.Response]:
    """Open a URL from a byte on, following redirects one by one."""
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    limits = (patience.connect, patience.read)
    for _ in range(MOST_REDIRECTS + 1):
        with session.get(url, headers=headers, stream=True, timeout=limits, allow_redirects=False) as answer:
            if answer.is_redirect:
                url = next_url(url, answer.headers["Location"])
                continue
            if answer.status_code in _TEMPORARY_FAILURES:
                raise _BrokenOffError(f"the server answered {answer.status_code}")
            if answer.status_code not in (200, 206, 416):
                raise DownloadError(f"{url} answered {answer.status_code} {answer.reason}. {ADVICE}")
            yield answer
            return
    raise DownloadError(f"{url} redirects more than {MOST_REDIRECTS} times. {ADVICE}")
