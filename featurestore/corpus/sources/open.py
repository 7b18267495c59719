"""The sources that `open_source` opens by their content: a folder, or an archive of one of `CONTAINERS`.

A source lists its files and hands out their bytes. Archives are read member by member and never unpacked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featurestore.corpus.sources.archive_safety import Limits, damage_named, is_junk, unsafe
from featurestore.corpus.sources.tar import is_tar, tar_files
from featurestore.corpus.sources.types import ArchiveFile, FileState, Member, Source, Wanted, everything
from featurestore.corpus.sources.zip import is_zip, zip_files
from featurestore.errors import SourceError
from featurestore.files import read_regular

CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path, Limits], Iterator[ArchiveFile]]], ...] = (
    (is_zip, zip_files),
    (is_tar, tar_files),
)
"""Each kind of archive: how it is known by its first 512 bytes, and what yields its checked regular files."""


@dataclass(frozen=True)
class FolderSource:
    """The regular files of a folder and all folders below it.

    Links to files below the folder are followed. One that leads out of it is refused by name: a folder that somebody
    else made could take any file of the user's for a recording, and a store would keep it. Links that lead nowhere,
    devices, pipes and sockets are listed as files that cannot be read. Links to folders are not followed, so that a
    loop cannot trap the walk: `unread` names those whose files are not found otherwise. Hidden folders are passed over.
    """

    folder: Path
    limits: Limits = field(default_factory=Limits)
    unread: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def members(self) -> Iterator[Member]:
        """Yield the files sorted by path."""
        found: list[Member] = []
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                entries = list(os.scandir(f"{self.folder}/{prefix}" if prefix else str(self.folder)))
            except OSError as error:
                where = f"folder {error.filename!r:.200}"
                raise SourceError(f"{where} cannot be read ({error.strerror}). Check its permissions.") from error
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders += [] if entry.name.startswith(".") else [f"{prefix}{entry.name}/"]
                        continue
                    member = self._member(entry, f"{prefix}{entry.name}")
                except FileNotFoundError:  # gone since it was listed
                    continue
                if member is not None and not is_junk(member.path):
                    found.append(member)
            if len(found) > self.limits.members:
                raise SourceError(f"folder {self.name!r} holds {self.limits.too_many}")
        yield from sorted(found, key=lambda member: member.path)

    def _member(self, entry: os.DirEntry[str], path: str) -> Member | None:
        """Return a file as it is listed; None for a link to a folder."""
        try:
            status = entry.stat()
        except OSError:
            if not entry.is_symlink():
                raise
            return Member(path, 0)  # it leads nowhere: reading it says so
        if stat.S_ISDIR(status.st_mode):
            top, leads_to = self.folder.resolve(), Path(entry.path).resolve()
            inside = leads_to.relative_to(top).parts if leads_to.is_relative_to(top) else (".",)
            if any(part.startswith(".") for part in inside):
                self.unread[path] = "a link to a folder, which is not followed: put the folder or a copy in its place"
            return None
        regular = stat.S_ISREG(status.st_mode)
        return Member(path, status.st_size if regular else 0, None if entry.is_symlink() else file_state(status))

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file that can be read, sorted by path."""
        return self.read_each(member for member in self.members() if wanted(member.path))

    def read_each(self, members: Iterable[Member]) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each of these files that can be read."""
        for member in members:
            try:
                data = self.read(member.path)
            except SourceError as error:
                self.unread[member.path] = str(error)
                continue
            yield member.path, data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file, at most `limits.member_bytes`."""
        if ".." in path.split("/") or path.startswith("/"):
            raise SourceError(f"folder {self.name!r}: {path!r} does not lie below it.")
        try:
            place = (self.folder / path).resolve(strict=True)
            if not place.is_relative_to(self.folder.resolve()):
                raise SourceError(
                    f"{path!r} is a link that leads out of {self.name!r}: give the folder that it leads to, or a copy."
                )
            return read_regular(place, self.limits.member_bytes)
        except (OSError, RuntimeError) as error:  # a loop of links is the latter
            if getattr(error, "errno", None) == errno.EFBIG:
                raise SourceError(f"{path!r} in {self.name!r} is {self.limits.too_large}") from error
            reason, advice = getattr(error, "strerror", None) or error, "Check it."
            if isinstance(error, FileNotFoundError) and (self.folder / path).is_symlink():
                reason, advice = "a link that leads nowhere", "Fetch what it stands for (git annex get, dvc pull)."
            raise SourceError(f"{path!r} in {self.name!r} cannot be read ({reason}). {advice}") from error


def file_state(status: os.stat_result) -> FileState:
    """Return what of a file's status differs once it has changed."""
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


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
        If nothing is there, or the file is no archive; the message names what it looks like.
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
