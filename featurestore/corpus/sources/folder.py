"""Folders as sources.

A source lists its files and hands out their bytes. Archives are read member by member and never unpacked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featurestore.corpus.sources.archive_safety import Limits, is_junk
from featurestore.corpus.sources.types import Member, Wanted, everything
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
        for place, folders, names in os.walk(self.folder, onerror=_refuse):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            for file in (Path(place) / name for name in names):
                path, size = file.relative_to(self.folder).as_posix(), _regular_size(file)
                if size is not None and not is_junk(path):
                    found.append(Member(path, size))
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
