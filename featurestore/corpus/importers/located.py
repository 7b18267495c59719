"""Finding the recordings that another tool's data names, below the folder or archive that the user gives.

Nothing outside of that place is ever opened. Lists are often written on another machine or from another folder, so
the same leading folders may be left out of all paths, or put before all of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from featurestore.corpus.manifest.model import Translation
from featurestore.corpus.sources.folder import FolderSource
from featurestore.corpus.sources.types import Member, Source, Wanted, everything
from featurestore.errors import SourceError

SAMPLES = 200
"""Recordings that a way of changing paths is tried on."""
STARTS = 5
"""Recordings whose places suggest a way."""

Way = tuple[int, str]
"""How many leading parts to leave out of each path, and what to put in front."""


@dataclass(frozen=True)
class LocatedSource:
    """The recordings of a source under the paths of a translation; files that it does not name are left out."""

    source: Source
    names: Mapping[str, str]
    """The path inside the corpus of each path inside the source."""

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @property
    def unread(self) -> Mapping[str, str]:
        """The files of the source that cannot be read, by their paths inside the corpus."""
        return {self.names[path]: reason for path, reason in self.source.unread.items() if path in self.names}

    def members(self) -> Iterator[Member]:
        """Yield the named files."""
        for member in self.source.members():
            if member.path in self.names:
                yield Member(self.names[member.path], member.size)

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path inside the corpus and bytes of each named file that is wanted."""
        for path, data in self.source.iterate(lambda one: one in self.names and wanted(self.names[one])):
            yield self.names[path], data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file by its path inside the corpus."""
        return self.source.read(next(place for place, name in self.names.items() if name == path))


def located(source: Source, translation: Translation) -> Source:
    """Return the source itself where the paths fit it as they are, else with the paths of the translation.

    Raises
    ------
    SourceError
        If it holds none of the recordings, or twice the same under different folders.
    """
    there = {unicodedata.normalize("NFC", member.path): member.path for member in source.members()}
    present = frozenset(there)
    change = _in_folder(source) or (lambda path: path)
    paths = {name: change(written) for name, written in translation.paths.items()}
    leave_out, before = _best_way(list(paths.values()), present, source, translation)
    if (leave_out, before) == (0, "") and all(path == name for name, path in paths.items()):
        return source
    places = {_moved(path, leave_out, before): name for name, path in paths.items()}
    return LocatedSource(source, {there[place]: name for place, name in places.items() if place in present})


def _in_folder(source: Source) -> Callable[[str], str] | None:
    """Return what makes an absolute path below a folder relative to it."""
    if not isinstance(source, FolderSource):
        return None
    top = f"{source.folder.resolve()}/"
    given = f"{Path(source.folder).absolute()}/"
    return lambda path: path.removeprefix(given).removeprefix(top)


def _best_way(paths: list[str], present: frozenset[str], source: Source, translation: Translation) -> Way:
    """Return the way under which most recordings are found, the one that leaves out least."""
    step = max(1, len(paths) // SAMPLES)
    samples = paths[::step]
    found = {way: sum(_moved(path, *way) in present for path in samples) for way in _ways(paths, present)}
    best = [way for way, count in found.items() if count and count == max(found.values())]
    if not best:
        raise SourceError(_nothing(source, translation))
    least = min(way[0] for way in best)
    fitting = sorted(way[1] for way in best if way[0] == least)
    if len(fitting) > 1 and fitting[0]:
        raise SourceError(
            f"the recordings of the {translation.format} data lie twice in {source.name!r:.200}, below "
            f"{fitting[0]!r:.80} and {fitting[1]!r:.80}. Give the right folder with --source."
        )
    return least, fitting[0]


def _ways(paths: list[str], present: frozenset[str]) -> set[Way]:
    """Return the ways that a few recordings suggest, each by a file of the source with the same last parts."""
    by_name: dict[str, list[str]] = {}
    for path in sorted(present):
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    ways: set[Way] = set()
    for path in paths[:: max(1, len(paths) // STARTS)]:
        for place in by_name.get(path.rpartition("/")[2], ())[:SAMPLES]:
            ways.add(_way(path, place))
    return ways


def _way(path: str, place: str) -> Way:
    """Return the way from a written path to a file's: all parts that differ in front are exchanged."""
    wanted, there = _parts(path), PurePosixPath(place).parts
    same = 0
    while same < min(len(wanted), len(there)) and wanted[-1 - same] == there[-1 - same]:
        same += 1
    return len(wanted) - same, "/".join(there[: len(there) - same])


def _moved(path: str, leave_out: int, before: str) -> str:
    kept = _parts(path)[leave_out:]
    return "/".join([before, *kept] if before else kept)


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path.lstrip("/")).parts


def _nothing(source: Source, translation: Translation) -> str:
    first = min(translation.paths.values())
    outside = "; a path outside of the folder is not followed" if first.startswith("/") else ""
    return (
        f"none of the {len(translation.paths):,} recordings that the {translation.format} data names lies in "
        f"{source.name!r:.200}, such as {first!r:.200}{outside}. Give the folder that holds them with --source."
    )
