"""Getting a corpus's archive: from a path, a URL, or the manifest; resumed, bounded, and checked before anyone sees it.

A file under its final name is complete and has the right checksum; everything else is a `.part` file.
"""

from __future__ import annotations

import copy
import fcntl
import hashlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import platformdirs

from featurestore.corpus.manifest import Archive, Manifest
from featurestore.errors import ChecksumMismatchError, DownloadError, SourceError
from pipelines.ingest.http_transfer import ADVICE, DownloadProgress, Patience, fill

Tell = Callable[[str], None]
Pin = tuple[str, str]
"""Algorithm and checksum that an archive is held to."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TRUST_FILE = "trust.toml"


class Fetcher:
    """Downloads archives once into the user's cache.

    Parameters
    ----------
    tell : callable
        Is given one line before a first download starts, with the licence and the citation.
    progress : callable
        Is told the bytes so far and all bytes (None if unknown).
    reading : callable
        For the name of a corpus, returns what is told the files that have been read so far, and of how many.
    hashing : callable
        The same for the bytes of an archive whose checksum is computed.
    trust_first : bool
        Accept an archive whose checksum nobody has published, and pin what came.
    folder : path, optional
        Where archives are kept; the user's cache by default.
    """

    def __init__(
        self,
        tell: Tell,
        progress: DownloadProgress,
        *,
        reading: Callable[[str], DownloadProgress] = lambda _: silent,
        hashing: Callable[[str], DownloadProgress] = lambda _: silent,
        trust_first: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.tell = tell
        self.progress = progress
        self.reading = reading
        self.hashing = hashing
        self.trust_first = trust_first
        self.folder = folder or Path(platformdirs.user_cache_dir("featurestore")) / "downloads"
        self._dry = False

    def dry(self) -> Fetcher:
        """Return one that takes what was downloaded before, and refuses to download anything."""
        other = copy.copy(self)
        other._dry = True
        return other

    def local(self, source: str | None, manifest: Manifest) -> str | None:
        """Return a source as a local path; a URL is downloaded first.

        A URL's archive needs no checksum if the manifest pins every file in it.
        """
        if source is None or urlsplit(source).scheme not in ("http", "https"):
            return source
        known = {archive.url: archive for archive in manifest.archives}
        archive = known.get(source) or archive_at(source)
        return str(self._download(archive, manifest, trust_first=self.trust_first or bool(manifest.index)))

    def archive(self, manifest: Manifest) -> Path:
        """Download a corpus from the first of its addresses that answers.

        Raises
        ------
        SourceError
            If the corpus cannot be downloaded; the message names `--source`.
        """
        if not manifest.archives:
            raise SourceError(
                f"{manifest.name!r} cannot be downloaded ({manifest.licence}): get it from "
                f"{manifest.homepage or 'its owner'} and give its archive or folder with --source."
            )
        failures: list[DownloadError] = []
        for archive in manifest.archives:
            try:
                return self._download(archive, manifest, trust_first=self.trust_first or bool(manifest.index))
            except DownloadError as error:
                failures.append(error)
        raise failures[0]

    def _download(self, archive: Archive, manifest: Manifest, *, trust_first: bool) -> Path:
        folder = self.folder / manifest.name
        if not (folder / archive.name).exists():
            if self._dry:
                raise SourceError(
                    f"{manifest.name!r} has not been downloaded, and a dry run downloads nothing: give an archive or "
                    "folder with --source."
                )
            self.tell(f"{manifest.name}: downloading {archive.url} (licence: {terms(manifest)})")
        return download(archive, folder, self.progress, trust_first=trust_first)


def terms(manifest: Manifest) -> str:
    """Return a corpus's licence with the address of its text, and whom to cite."""
    said = (manifest.licence, manifest.licence_url, manifest.citation and f"cite: {manifest.citation}")
    return "; ".join(filter(None, said))


def silent(done: int, total: int | None) -> None:
    """Show no progress."""


def download(
    archive: Archive,
    folder: str | Path,
    progress: DownloadProgress = silent,
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
            _trust(place / TRUST_FILE, archive.url, _file_checksum(target, "sha256"))
    except OSError as error:
        existing = next(folder for folder in target.parents if folder.exists())
        free = shutil.disk_usage(existing).free
        raise DownloadError(
            f"cannot write {str(target)!r} ({error.strerror}; {free} bytes free). Make room and run again."
        ) from error
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
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise DownloadError(f"{archive.url} is plain http and no sha256 is pinned for it. {ADVICE}")
    if known := _trusted(folder / TRUST_FILE).get(archive.url):
        return "sha256", known
    if archive.md5:
        return "md5", archive.md5
    if trust_first:
        return None
    raise DownloadError(
        f"no checksum is known for {archive.url}. Accept what comes now and pin it with --trust-first-download, or "
        "give the archive with --source."
    )


def _fetch(archive: Archive, target: Path, pin: Pin | None, progress: DownloadProgress, patience: Patience) -> None:
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
        if pin and not _fits(part, pin):
            found = _checksum(part, pin[0])
            Path(part.name).unlink()
            raise ChecksumMismatchError(
                f"{archive.url}: {pin[0]} is {found}, expected {pin[1]}; the file was removed. The archive changed or "
                "was tampered with: ask its publisher, or give a copy that you trust with --source."
            )
        os.fsync(part.fileno())
        Path(part.name).replace(target)
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)  # so that the new name survives a loss of power
        finally:
            os.close(handle)


def _fits(part: BufferedRandom, pin: Pin | None) -> bool:
    return pin is None or _checksum(part, pin[0]) == pin[1]


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


def _trust(file: Path, url: str, sha256: str) -> None:
    """Record the sha256 of a first download; the file is replaced in one step."""
    records = {**_trusted(file), url: sha256}
    temporary = file.with_suffix(".new")
    lines = [f"{json.dumps(known)} = {json.dumps(records[known])}\n" for known in sorted(records)]
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(file)


def _trusted(file: Path) -> dict[str, str]:
    """Return the recorded sha256 of each URL; `SourceError` if the file cannot be read: then nothing may be trusted."""
    if not file.exists():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{str(file)!r} cannot be read ({error}). Repair it, or delete it to trust anew.") from error
    return {url: sha256 for url, sha256 in values.items() if isinstance(sha256, str)}
