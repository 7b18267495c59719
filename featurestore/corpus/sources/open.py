"""Opening a source by its content: a folder, a zip or a tar archive."""

from __future__ import annotations

from pathlib import Path

from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.folder import FolderSource
from featurestore.corpus.sources.tar import TarSource
from featurestore.corpus.sources.types import Source
from featurestore.corpus.sources.zip import ZipSource
from featurestore.errors import SourceError


def open_archive(path: Path, limits: Limits) -> Source:
    """Open an archive by the first bytes of the file.

    Raises
    ------
    SourceError
        If the file is no zip, tar or tar.gz; a few usual mistakes are named.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise SourceError(f"source {str(path)!r} cannot be read ({error.strerror}).") from error
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipSource(path, limits)
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        return TarSource(path, limits)
    raise SourceError(f"source {str(path)!r} is no zip, tar or tar.gz archive{_likeness(head)}.")


def _likeness(head: bytes) -> str:
    """Name what the file looks like, for the mistakes that people make most."""
    if head.startswith(b"version https://git-lfs"):
        return ": it is a Git LFS pointer; run 'git lfs pull' where it came from"
    if head.lstrip()[:1] == b"<":
        return ": it looks like a web page; the download was probably answered by a login or error page"
    if head[:4] in (b"RIFF", b"fLaC", b"OggS"):
        return ": it is one audio file; give the folder that holds the corpus"
    return "; give an archive of one of these kinds, or the folder that holds the files"


def open_source(place: str | Path, limits: Limits | None = None) -> Source:
    """Open a folder or an archive (zip, tar, tar.gz), told by its content and not by its name.

    Raises
    ------
    SourceError
        If nothing is there, or the file is no archive; the message says what it looks like.
    """
    limits = limits or Limits()
    path = Path(place)
    if "://" in str(place):
        raise SourceError(f"source {str(place)!r} is a URL; download it first and give the file.")
    if path.is_dir():
        return FolderSource(path, limits)
    if not path.is_file():
        raise SourceError(f"source {str(place)!r} does not exist. Give an archive or a folder to --source.")
    return open_archive(path, limits)
