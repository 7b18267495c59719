"""Folders as sources.

A source lists its files and hands out their bytes. Archives are read member by member and never unpacked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from featurestore.corpus.sources.archive_safety import Limits, is_junk
from featurestore.corpus.sources.types import FileState, Member, Wanted, everything
from featurestore.errors import SourceError
from featurestore.regular_files import read_regular


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
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                entries = list(os.scandir(f"{self.folder}/{prefix}" if prefix else str(self.folder)))
            except OSError as error:
                _refuse(error)
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders += [] if entry.name.startswith(".") else [f"{prefix}{entry.name}/"]
                        continue
                    status = entry.stat()
                except OSError:  # a link that leads nowhere, or a file that has gone
                    continue
                path = f"{prefix}{entry.name}"
                if stat.S_ISREG(status.st_mode) and not is_junk(path):
                    state = None if entry.is_symlink() else file_state(status)
                    found.append(Member(path, status.st_size, state))
            if len(found) > self.limits.members:
                raise SourceError(f"folder {self.name!r} holds {self.limits.too_many}")
        yield from sorted(found, key=lambda member: member.path)

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
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"{path!r} in {self.name!r} cannot be read ({reason}). Check it.") from error


def file_state(status: os.stat_result) -> FileState:
    """Return what of a file's status differs once it has changed."""
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _refuse(error: OSError) -> NoReturn:
    raise SourceError(
        f"folder {error.filename!r:.200} cannot be read ({error.strerror}). Check its permissions."
    ) from error
