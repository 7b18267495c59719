"""Fetching corpus archives: resumed where they broke off, bounded, and checked before anyone sees them.

A file under its final name is complete and has the right checksum; everything else is a `.part` file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from featurestore.corpus import Archive
from featurestore.errors import ChecksumMismatchError, DownloadError
from pipelines.transfer import ADVICE, Patience, Progress, fill
from pipelines.trust import trust, trusted_checksum

__all__ = ["Patience", "Progress", "archive_at", "download"]

Pin = tuple[str, str]
"""Algorithm and checksum that an archive is held to."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def silent(done: int, total: int | None) -> None:
    """Show no progress."""


def download(
    archive: Archive,
    folder: str | Path,
    progress: Progress = silent,
    *,
    trust_first: bool = False,
    patience: Patience | None = None,
) -> Path:
    """Fetch an archive into a folder and return its path; at once if it is there already.

    Parameters
    ----------
    archive : Archive
        The URL with a pinned sha256, or with the publisher's md5.
    folder : str or path
        Made if it is not there; also holds `trust.toml` and unfinished `.part` files.
    progress : function of the bytes so far and all bytes (None if unknown)
    trust_first : bool
        Accept an archive without a known checksum, and record the one it has in `trust.toml`; a different one later
        is an error.
    patience : Patience, optional
        How long to try.

    Raises
    ------
    ChecksumMismatchError
        If the bytes are not the pinned ones; they are removed.
    DownloadError
        If the URL is not safe, the server fails or sends too much, or the disk is full.
    """
    place = Path(folder)
    target = place / archive.name
    pin = _pin(archive, place, trust_first)
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not (target.exists() and pin and _file_checksum(target, pin[0]) == pin[1]):
            _fetch(archive, target, pin, progress, patience or Patience())
        if pin is None:
            trust(place, archive.url, _file_checksum(target, "sha256"))
    except OSError as error:
        raise _unwritable(target, error) from error
    return target


def archive_at(url: str) -> Archive:
    """Describe an archive that a user names by its URL alone; its checksum is unknown.

    Examples
    --------
    >>> archive_at("https://example.org/data/takes.zip?download=1").name
    '70864b96-takes.zip'
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)
    prefix = hashlib.sha256(url.encode()).hexdigest()[:8]
    return Archive(url=url, name=f"{prefix}-{name[-80:] or 'archive'}")


def _pin(archive: Archive, folder: Path, trust_first: bool) -> Pin | None:
    """Return what to hold the archive to; None for a first download that is trusted."""
    parts = urlsplit(archive.url)
    if parts.scheme not in ("https", "http"):
        raise DownloadError(f"{archive.url!r} is no https:// address. {ADVICE}")
    if archive.sha256:
        return "sha256", archive.sha256
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise DownloadError(f"{archive.url} is plain http and no sha256 is pinned for it. {ADVICE}")
    if known := trusted_checksum(folder, archive.url):
        return "sha256", known
    if archive.md5:
        return "md5", archive.md5
    if trust_first:
        return None
    raise DownloadError(
        f"no checksum is known for {archive.url}. Accept what comes now and pin it with --trust-first-download, or "
        "give the archive with --source."
    )


def _fetch(archive: Archive, target: Path, pin: Pin | None, progress: Progress, patience: Patience) -> None:
    """Fetch into the part file, check, publish; a resumed file with the wrong checksum is fetched once from scratch."""
    with _part_file(target) as part:
        if pin is None:
            part.truncate(0)  # a part whose whole is unknown cannot be continued safely
        resumed = part.seek(0, os.SEEK_END) > 0
        checked = pin is not None
        if not (resumed and _fits(part, pin)):
            fill(archive.url, archive.bytes, part, progress, patience, checked=checked)
        if resumed and not _fits(part, pin):
            part.truncate(0)
            fill(archive.url, archive.bytes, part, progress, patience, checked=checked)
        _check(archive, part, pin)
        os.fsync(part.fileno())
        Path(part.name).replace(target)
        _sync_folder(target.parent)


def _fits(part: BufferedRandom, pin: Pin | None) -> bool:
    return pin is None or _checksum(part, pin[0]) == pin[1]


def _check(archive: Archive, part: BufferedRandom, pin: Pin | None) -> None:
    if pin is None or _fits(part, pin):
        return
    found = _checksum(part, pin[0])
    Path(part.name).unlink()
    raise ChecksumMismatchError(
        f"{archive.url}: {pin[0]} is {found}, expected {pin[1]}; the file was removed. The archive changed or was "
        "tampered with: ask its publisher, or give a copy that you trust with --source."
    )


@contextmanager
def _part_file(target: Path) -> Iterator[BufferedRandom]:
    """Open the part file for this process alone; the lock ends with the process."""
    path = target.with_name(target.name + ".part")
    with path.open("a+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(f"another process is fetching {str(path)!r}. Wait for it, then run again.") from error
        yield part


def _file_checksum(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return _checksum(stream, algorithm)


def _checksum(stream: BufferedReader | BufferedRandom, algorithm: str) -> str:
    stream.seek(0)
    return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(target: Path, error: OSError) -> DownloadError:
    existing = next(place for place in target.parents if place.exists())
    free = shutil.disk_usage(existing).free
    return DownloadError(
        f"cannot write {str(target)!r} ({error.strerror}; {free} bytes free). Make room and run again."
    )
