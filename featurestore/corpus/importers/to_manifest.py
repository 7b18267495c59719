"""From what another tool wrote down to a manifest in memory, with which everything else goes on as usual."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from featurestore.corpus.importers.data_folder import MOST_FIELDS, FoundCorpus, Row
from featurestore.corpus.labels.segment_fields import is_segment, is_segment_field
from featurestore.corpus.labels.tables.rows import is_missing
from featurestore.corpus.manifest.model import AudioFiles, LabelRule, Manifest, Scheme, TableRule, Translation
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.splits.applicable import usual_splits
from featurestore.corpus.suggest.propose import corpus_name
from featurestore.corpus.suggest.roles import class_field, holds_numbers, tells_apart
from featurestore.errors import SourceError

WHOLE_PATH = 64
"""More parts than a path may have: recordings are told apart by their whole path."""


def manifest_of(found: FoundCorpus, place: Path, known: tuple[str, ...] = (), limits: Limits | None = None) -> Manifest:
    """Return the manifest of a corpus that another tool described.

    Every other field of the rows becomes a scheme of its name, so that `FOLDER/gender` predicts that one instead.

    Parameters
    ----------
    found : FoundCorpus
    place : path
        Its folder, the source where none is given.
    known : tuple of str
        Names of corpora that it must not take.
    limits : Limits, optional
        It has as many recordings and segments at most as a source may have files.

    Raises
    ------
    SourceError
        If there are no rows, too many, or none of their fields can be a class.
    """
    _check_size(found, (limits or Limits()).members)
    fields = _field_counts(row for _, row in found.rows)
    others = {
        name: counts
        for name, counts in fields.items()
        if name not in ("speaker", "text", "split") and not is_segment_field(name)
    }
    target = class_field(others)
    if target is None:
        numbers = [name for name, counts in others.items() if holds_numbers(counts)]
        ranges = (
            f"{', '.join(map(repr, numbers))[:200]} holds numbers, which are no classes: name ranges of them, and a"
        )
        apart = [name for name, counts in others.items() if tells_apart(counts) and name not in numbers]
        alone = f"{', '.join(map(repr, apart))[:200]} has another value for every recording. " if apart else ""
        raise SourceError(
            f"the {found.format} data in {str(place)!r:.200} has no field that could be the class; it has "
            f"{', '.join(map(repr, fields))[:200] or 'none'}. {alone}{ranges if numbers else 'A'}dd a field of two or "
            "more values, such as an emotion."
        )
    paths = _corpus_paths([written for written, _ in found.rows])
    rows, left_out = _without_idle_segments(found.rows, target)
    translation = Translation(found.format, _as_lines(paths, rows), paths)
    return Manifest(
        name=corpus_name(str(place.resolve()), known),
        title=found.title or place.resolve().name,
        labels=LabelRule("", target, speaker="speaker" if "speaker" in fields else None, text="text"),
        description=found.description,
        language=found.language,
        homepage=found.homepage,
        licence=found.licence,
        licence_url=found.licence_url,
        citation=found.citation,
        splits=usual_splits(fields.get("split", ()), len(fields.get("speaker", ()))),
        audio=AudioFiles(include=_endings(paths), depth=WHOLE_PATH),
        tables=(TableRule((translation.file,), format="jsonl", match="path"),),
        schemes={
            name: Scheme(name, target=name) for name in others if re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,39}", name)
        },
        place=str(place),
        translation=translation,
        notes=(*found.notes, *left_out, _about(found, target, others)),
    )


def _without_idle_segments(
    rows: Iterable[tuple[str, Row]], target: str
) -> tuple[list[tuple[str, Row]], tuple[str, ...]]:
    """Leave out segments without a class in recordings that have one as a whole, such as a table of pauses."""
    parted = [(path, row, is_segment(row)) for path, row in rows]
    whole = {path for path, row, segment in parted if not segment and target in row}
    kept = [(path, row) for path, row, segment in parted if not segment or target in row or path not in whole]
    idle = len(parted) - len(kept)
    return kept, (f"{idle:,} segments without {target!r} of recordings that have one are left out",) if idle else ()


def _check_size(found: FoundCorpus, most: int) -> None:
    if not found.rows:
        raise SourceError(f"the {found.format} data names no recording. Give the folder that holds its lists.")
    widest = max(len(row) for _, row in found.rows)
    if len(found.rows) > most or widest > MOST_FIELDS:
        raise SourceError(
            f"the {found.format} data has {len(found.rows):,} recordings of up to {widest:,} fields; at most "
            f"{most:,} (--max-files raises it) and {MOST_FIELDS} are read. Split it."
        )


def _field_counts(rows: Iterable[Row]) -> Mapping[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.items():
            if not is_missing(value):
                counts.setdefault(name, Counter())[value] += 1
    return counts


def _corpus_paths(written: Sequence[str]) -> dict[str, str]:
    """Give each recording its path inside the corpus: as written, or below the folder that all absolute ones share."""
    absolute = [PurePosixPath(path).parent.parts for path in written if path.startswith("/")]
    shared = len(_common(absolute)) if absolute else 0
    names = {path: "/".join(PurePosixPath(path).parts[shared:]) if path.startswith("/") else path for path in written}
    paths = {name: path for path, name in names.items()}
    if len(paths) < len(names):
        other = next(path for path, name in names.items() if paths[name] != path)
        raise SourceError(f"{other!r:.160} and {paths[names[other]]!r:.160} would have one path. Name all in one way.")
    return paths


def _common(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first, last = min(folders), max(folders)
    same = next((n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first[: min(len(first), len(last)) if same is None else same]


def _as_lines(paths: Mapping[str, str], rows: Iterable[tuple[str, Row]]) -> bytes:
    """Write the rows as JSON lines, sorted, so that equal data makes equal bytes."""
    names = {written: name for name, written in paths.items()}
    lines = [json.dumps({**row, "file": names[written]}, sort_keys=True) for written, row in rows]
    return "\n".join(sorted(lines)).encode("ascii") + b"\n"


def _endings(paths: Iterable[str]) -> tuple[str, ...]:
    suffixes = {PurePosixPath(path).suffix.casefold() for path in paths}
    return ("*",) if "" in suffixes else tuple(sorted(f"*{_literal(suffix)}" for suffix in suffixes))


def _literal(text: str) -> str:
    """Return a name pattern that fits this text alone."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _about(found: FoundCorpus, target: str, others: Mapping[str, Counter[str]]) -> str:
    rest = [name for name in others if name != target]
    also = f"; FOLDER/FIELD takes another of {', '.join(rest)[:200]}" if rest else ""
    recordings = len({path for path, _ in found.rows})
    parts = f"{len(found.rows):,} rows of {recordings:,} recordings" if recordings < len(found.rows) else ""
    return f"read as {found.format}: {parts or f'{recordings:,} recordings'}, the class is {target!r}{also}"
