"""Opening a source by its content: a folder, or an archive of one of `CONTAINERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featurestore.corpus.sources.archive_safety import Limits, damage_named, is_junk, unsafe
from featurestore.corpus.sources.folder import FolderSource
from featurestore.corpus.sources.tar import is_tar, tar_files
from featurestore.corpus.sources.types import ArchiveFile, Member, Source, Wanted, everything
from featurestore.corpus.sources.zip import is_zip, zip_files
from featurestore.errors import SourceError

CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path, Limits], Iterator[ArchiveFile]]], ...] = (
    (is_zip, zip_files),
    (is_tar, tar_files),
)
"""Each kind of archive: how it is known by its first 512 bytes, and what yields its checked regular files."""


@dataclass(frozen=True)
class ArchiveSource:
    """An archive, which is read member by member and never unpacked."""

    file: Path
    files: Callable[[Path, Limits], Iterator[ArchiveFile]]
    """Yields the regular files, as in `CONTAINERS`."""
    limits: Limits = field(default_factory=Limits)
    unread: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """The archive's path."""
        return str(self.file)

    def members(self) -> Iterator[Member]:
        """Yield the regular files in the archive's order; a compressed tar is decompressed for it."""
        for found in self._walk():
            yield Member(found.path, found.size)

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file in one pass, in the archive's order."""
        total, most = 0, self.limits.produced_in_all(self.file.stat().st_size)
        for found in self._walk():
            if wanted(found.path) and found.size > self.limits.member_bytes:
                self.unread[found.path] = f"it is {self.limits.too_large}"
            elif wanted(found.path):
                with damage_named(self.name):
                    data = found.read()
                total += len(data)
                if total > most:
                    raise unsafe(self.name, found.path, f"over {most} bytes in all files up to it")
                yield found.path, data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file; in a tar after a walk up to it."""
        for found in self._walk():
            if found.path == path:
                with damage_named(self.name):
                    return found.read()
        raise SourceError(f"archive {self.name!r} holds no file {path!r}.")

    def _walk(self) -> Iterator[ArchiveFile]:
        with damage_named(self.name):
            yield from (found for found in self.files(self.file, self.limits) if not is_junk(found.path))


def open_source(place: str | Path, limits: Limits | None = None) -> Source:
    """Open a folder or an archive (zip, tar, tar.gz), known by its content and not by its name.

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
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise SourceError(f"source {str(path)!r} cannot be read ({error.strerror}).") from error
    for known, files in CONTAINERS:
        if known(head):
            return ArchiveSource(path, files, limits)
    likeness = "; give an archive of one of these kinds, or the folder that holds the files"
    if head.startswith(b"version https://git-lfs"):
        likeness = ": it is a Git LFS pointer; run 'git lfs pull' where it came from"
    elif head.lstrip()[:1] == b"<":
        likeness = ": it looks like a web page; the download was probably answered by a login or error page"
    elif head[:4] in (b"RIFF", b"fLaC", b"OggS"):
        likeness = ": it is one audio file; give the folder that holds the corpus"
    raise SourceError(f"source {str(path)!r} is no zip, tar or tar.gz archive{likeness}.")
