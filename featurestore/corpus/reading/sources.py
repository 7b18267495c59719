"""Where the files of a corpus come from: an archive, a folder, or memory, behind one small protocol.

A source lists its files and hands out their bytes. Archives are read member by member and never unpacked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from featurestore.corpus.reading.unpack import Limits, is_junk
from featurestore.errors import SourceError
from featurestore.regular import read_regular


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a source: its path with `/` between the parts, and its size in bytes as announced."""

    path: str
    size: int


Wanted = Callable[[str], bool]


def everything(path: str) -> bool:
    """Want every file."""
    return True


class Source(Protocol):
    """A place that holds files: `name` says which, for messages."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def members(self) -> Iterator[Member]:
        """Yield every regular file, without the files that macOS adds."""

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file in one pass, in the order of the source."""

    def read(self, path: str) -> bytes:
        """Return the bytes of one file; in a tar this walks from the start, so prefer `iterate` for many."""

    @property
    def unread(self) -> Mapping[str, str]:
        """Why `iterate` has passed over wanted files that cannot be read, or are too large, by path."""


@dataclass(frozen=True)
class MemorySource:
    """Files held in memory, such as those of a synthesised corpus."""

    name: str
    files: Mapping[str, bytes]
    unread: Mapping[str, str] = field(default_factory=dict)

    def members(self) -> Iterator[Member]:
        """Yield the files in name order."""
        for path in sorted(self.files):
            yield Member(path, len(self.files[path]))

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file in name order."""
        for path in sorted(self.files):
            if wanted(path):
                yield path, self.files[path]

    def read(self, path: str) -> bytes:
        """Return the bytes of one file."""
        if path not in self.files:
            raise SourceError(f"{self.name} holds no file {path!r}.")
        return self.files[path]


@dataclass(frozen=True)
class FolderSource:
    """The regular files of a folder and all folders below it.

    Links to files below the folder are followed. One that leads out of it is refused by name: a folder that somebody
    else made could take any file of the user's for a recording, and a store would keep it. Links to folders are not
    followed, so that a loop cannot trap the walk. Devices, pipes, sockets and hidden folders are passed over.
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
        for place, folders, names in os.walk(self.folder, onerror=_refuse):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            found.extend(self._files(Path(place), names))
            if len(found) > self.limits.members:
                raise SourceError(f"folder {self.name!r} holds {self.limits.too_many}")
        yield from sorted(found, key=lambda member: member.path)

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file that can be read, sorted by path."""
        for member in self.members():
            if wanted(member.path):
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
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{path!r} in {self.name!r} cannot be read ({reason}). Check it.") from error

    def _files(self, place: Path, names: list[str]) -> Iterator[Member]:
        for name in names:
            path = (place / name).relative_to(self.folder).as_posix()
            size = _regular_size(place / name)
            if size is not None and not is_junk(path):
                yield Member(path, size)


def _regular_size(file: Path) -> int | None:
    """Return the size of a regular file; None for a device, a pipe, or a link that leads nowhere."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _refuse(error: OSError) -> None:
    raise SourceError(
        f"folder {error.filename!r:.200} cannot be read ({error.strerror}). Check its permissions."
    ) from error


def open_source(place: str | Path, limits: Limits | None = None) -> Source:
    """Open a folder or an archive (zip, tar, tar.gz), told by its content and not by its name.

    Raises
    ------
    SourceError
        If nothing is there, or the file is no archive; the message says what it looks like.
    """
    from featurestore.corpus.reading.archives import (
        open_archive,  # zipfile and tarfile cost 15 ms that a folder need not pay
    )

    limits = limits or Limits()
    path = Path(place)
    if "://" in str(place):
        raise SourceError(f"source {str(place)!r} is a URL; download it first and give the file.")
    if path.is_dir():
        return FolderSource(path, limits)
    if not path.is_file():
        raise SourceError(f"source {str(place)!r} does not exist. Give an archive or a folder to --source.")
    return open_archive(path, limits)
