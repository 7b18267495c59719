"""From what another tool wrote down to a manifest in memory, and to the recordings that its data names.

Lists are often written on another machine or from another folder, so the same leading folders may be left out of all
paths, or put before all of them. Nothing outside of the folder or archive that the user gives is ever opened.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from featurestore.corpus.importers.data_folder import MOST_FIELDS, FoundCorpus, Row
from featurestore.corpus.labels.fields import is_missing, is_segment, is_segment_field
from featurestore.corpus.manifest import AudioFiles, LabelRule, Manifest, Scheme, TableRule, Translation
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import FolderSource
from featurestore.corpus.sources.types import Member, Source, Wanted, everything
from featurestore.corpus.splits.applicable import usual_splits
from featurestore.corpus.suggest.propose import corpus_name, pattern_of
from featurestore.corpus.suggest.roles import class_field, holds_numbers, tells_apart
from featurestore.errors import SourceError

WHOLE_PATH = 64
"""More parts than a path may have: the whole path identifies a recording."""
SAMPLES = 200
"""Recordings that a way of changing paths is tried on."""
STARTS = 5
"""Recordings whose places suggest a way."""


def translated_manifest(
    found: FoundCorpus, place: Path, known: tuple[str, ...] = (), limits: Limits | None = None
) -> Manifest:
    """Return the manifest of a corpus that another tool described.

    Its folder `place` is the source where none is given; it takes no name of a `known` corpus. Every other field of
    the rows becomes a scheme of its name, so that `FOLDER/gender` predicts that one instead.

    `SourceError` if there are no rows, more than a source may have files, or none of their fields can be a class.
    """
    most = (limits or Limits()).members
    widest = max((len(row) for _, row in found.rows), default=0)
    if not found.rows:
        raise SourceError(f"the {found.format} data names no recording. Give the folder that holds its lists.")
    if len(found.rows) > most or widest > MOST_FIELDS:
        raise SourceError(
            f"the {found.format} data has {len(found.rows):,} recordings of up to {widest:,} fields; at most "
            f"{most:,} (--max-files raises it) and {MOST_FIELDS} are read. Split it."
        )
    fields: dict[str, Counter[str]] = {}
    for _, row in found.rows:
        for name, value in row.items():
            if not is_missing(value):
                fields.setdefault(name, Counter())[value] += 1
    reserved = ("speaker", "text", "split")
    others = {name: fields[name] for name in fields if name not in reserved and not is_segment_field(name)}
    target = class_field(others)
    if target is None:
        raise SourceError(_no_class(found, place, fields, others))
    paths = _corpus_paths([written for written, _ in found.rows])
    rows, notes = _without_idle_segments(found.rows, target)
    names = {written: name for name, written in paths.items()}
    lines = sorted(json.dumps({**row, "file": names[written]}, sort_keys=True) for written, row in rows)
    translation = Translation(found.format, "\n".join(lines).encode("ascii") + b"\n", paths)
    suffixes = {PurePosixPath(path).suffix.casefold() for path in paths}
    schemes = [name for name in others if re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,39}", name)]
    return Manifest(
        name=corpus_name(str(place.resolve()), known),
        title=found.title or place.resolve().name,
        labels=LabelRule("", target, speaker="speaker" if "speaker" in fields else None, text="text"),
        description=found.description,
        language=found.language,
        homepage=found.homepage,
        licence=found.licence,
        licence_url=found.licence_url,
        splits=usual_splits(fields.get("split", ()), len(fields.get("speaker", ()))),
        audio=AudioFiles(
            include=("*",) if "" in suffixes else tuple(sorted(f"*{pattern_of(suffix)}" for suffix in suffixes)),
            depth=WHOLE_PATH,
        ),
        tables=(TableRule((translation.file,), format="jsonl", match="path"),),
        schemes={name: Scheme(name, target=name) for name in schemes},
        place=str(place),
        translation=translation,
        notes=(*found.notes, *notes, _about(found, target, others)),
    )


def _no_class(found: FoundCorpus, place: Path, fields: Iterable[str], others: Mapping[str, Counter[str]]) -> str:
    """Return why none of the fields can be the class, and what to add."""
    numbers = [name for name, counts in others.items() if holds_numbers(counts)]
    apart = [name for name, counts in others.items() if tells_apart(counts) and name not in numbers]
    alone = f"{', '.join(map(repr, apart))[:200]} has another value for every recording. " if apart else ""
    ranges = f"{', '.join(map(repr, numbers))[:200]} holds numbers, which are no classes: name ranges of them, and a"
    return (
        f"the {found.format} data in {str(place)!r:.200} has no field that could be the class; it has "
        f"{', '.join(map(repr, fields))[:200] or 'none'}. {alone}{ranges if numbers else 'A'}dd a field of two or "
        "more values, such as an emotion."
    )


def _corpus_paths(written: Sequence[str]) -> dict[str, str]:
    """Give each recording its path inside the corpus: as written, or below the folder that all absolute ones share."""
    folders = [PurePosixPath(path).parent.parts for path in written if path.startswith("/")]
    shared = _same_parts(min(folders), max(folders)) if folders else 0
    names = {path: "/".join(PurePosixPath(path).parts[shared:]) if path.startswith("/") else path for path in written}
    paths = {name: path for path, name in names.items()}
    if len(paths) < len(names):
        other = next(path for path, name in names.items() if paths[name] != path)
        raise SourceError(f"{other!r:.160} and {paths[names[other]]!r:.160} would have one path. Name all in one way.")
    return paths


def _without_idle_segments(
    rows: Iterable[tuple[str, Row]], target: str
) -> tuple[list[tuple[str, Row]], tuple[str, ...]]:
    """Leave out segments without a class in recordings that have one as a whole, such as a table of pauses."""
    parted = [(path, row, is_segment(row)) for path, row in rows]
    whole = {path for path, row, segment in parted if not segment and target in row}
    kept = [(path, row) for path, row, segment in parted if not segment or target in row or path not in whole]
    idle = len(parted) - len(kept)
    return kept, (f"{idle:,} segments without {target!r} of recordings that have one are left out",) if idle else ()


def _about(found: FoundCorpus, target: str, others: Iterable[str]) -> str:
    rest = [name for name in others if name != target]
    also = f"; FOLDER/FIELD takes another of {', '.join(rest)[:200]}" if rest else ""
    recordings = len({path for path, _ in found.rows})
    parts = f"{len(found.rows):,} rows of {recordings:,} recordings" if recordings < len(found.rows) else ""
    return f"read as {found.format}: {parts or f'{recordings:,} recordings'}, the class is {target!r}{also}"


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

    `SourceError` if it holds none of the recordings, or twice the same under different folders.
    """
    there = {unicodedata.normalize("NFC", member.path): member.path for member in source.members()}
    paths = dict(translation.paths)
    if isinstance(source, FolderSource):  # an absolute path below the folder is relative to it
        given, top = f"{Path(source.folder).absolute()}/", f"{source.folder.resolve()}/"
        paths = {name: path.removeprefix(given).removeprefix(top) for name, path in paths.items()}
    leave_out, before = _best_way(list(paths.values()), there, source, translation)
    if (leave_out, before) == (0, "") and all(path == name for name, path in paths.items()):
        return source
    places = {_moved(path, leave_out, before): name for name, path in paths.items()}
    return LocatedSource(source, {there[place]: name for place, name in places.items() if place in there})


def _best_way(
    paths: Sequence[str], present: Collection[str], source: Source, translation: Translation
) -> tuple[int, str]:
    """Return how many leading parts to leave out of each path, and what to put in front.

    Under that way most of the paths are files of the source; of several ways it is the one that leaves out least.
    """
    by_name: dict[str, list[str]] = {}
    for path in sorted(present):
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    ways: set[tuple[int, str]] = set()
    for path in paths[:: max(1, len(paths) // STARTS)]:
        for place in by_name.get(path.rpartition("/")[2], ())[:SAMPLES]:
            # the last parts that both have stay; all parts that differ in front are exchanged
            wanted, there = _parts(path), PurePosixPath(place).parts
            same = _same_parts(wanted[::-1], there[::-1])
            ways.add((len(wanted) - same, "/".join(there[: len(there) - same])))
    samples = paths[:: max(1, len(paths) // SAMPLES)]
    found = {way: sum(_moved(path, *way) in present for path in samples) for way in ways}
    best = [way for way, count in found.items() if count and count == max(found.values())]
    if not best:
        first = min(translation.paths.values())
        outside = "; a path outside of the folder is not followed" if first.startswith("/") else ""
        raise SourceError(
            f"none of the {len(translation.paths):,} recordings that the {translation.format} data names lies in "
            f"{source.name!r:.200}, such as {first!r:.200}{outside}. Give the folder that holds them with --source."
        )
    least = min(leave_out for leave_out, _ in best)
    fitting = sorted(before for leave_out, before in best if leave_out == least)
    if len(fitting) > 1 and fitting[0]:
        raise SourceError(
            f"the recordings of the {translation.format} data lie twice in {source.name!r:.200}, below "
            f"{fitting[0]!r:.80} and {fitting[1]!r:.80}. Give the right folder with --source."
        )
    return least, fitting[0]


def _moved(path: str, leave_out: int, before: str) -> str:
    kept = _parts(path)[leave_out:]
    return "/".join([before, *kept] if before else kept)


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path.lstrip("/")).parts


def _same_parts(one: Sequence[str], other: Sequence[str]) -> int:
    """Return with how many equal parts two paths begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
