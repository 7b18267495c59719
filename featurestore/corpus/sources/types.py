"""Where the files of a corpus come from: a source lists its files and hands out their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from featurestore.errors import SourceError


class FileState(NamedTuple):
    """What differs once a file has been changed or replaced; times in nanoseconds since 1970."""

    size: int
    """In bytes."""
    modified: int
    """When its bytes were last changed, or what was set for that."""
    changed: int
    """When anything of it was last changed, which no program can set."""
    inode: int


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a source: its path with `/` between the parts, and its size in bytes as announced."""

    path: str
    size: int
    state: FileState | None = field(default=None, compare=False)
    """Of a file in a folder; None for links and in archives."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A regular file of an archive whose name was checked, while the archive is open at it."""

    path: str
    size: int
    """Size in bytes, as announced."""
    read: Callable[[], bytes]
    """Returns its bytes; what is damaged raises the errors of the archive's library."""


Wanted = Callable[[str], bool]


def everything(path: str) -> bool:
    """Want every file."""
    return True


class Source(Protocol):
    """A place that holds files."""

    @property
    def name(self) -> str:
        """Its name in messages."""

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
