"""Lhotse manifests: `*recordings*.jsonl[.gz]` with `*supervisions*.jsonl[.gz]` beside them.

The fields of a supervision's `custom` become label fields. A supervision of a part of its recording is refused,
because whole files are what is read here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from featurestore.corpus.formats.found import DataFolder, FoundCorpus, written_path
from featurestore.corpus.labels.tables.json_lines import json_object, scalar_text
from featurestore.corpus.proposal.roles import side_of
from featurestore.errors import SourceError

TOLERANCE = 0.02
"""Seconds by which a supervision may differ from its recording and still be all of it."""
MOST_SECONDS = 10**9
"""Thirty years: whole numbers of JSON have no end, and the largest are beyond all floats."""
PLAIN_FIELDS = ("speaker", "text", "gender", "language")

_RECORDINGS = re.compile(r"(?P<before>.*)recordings(?P<behind>.*\.jsonl(\.gz)?)", re.IGNORECASE)


def is_lhotse(folder: DataFolder) -> bool:
    """Tell whether a folder holds a recording manifest with its supervisions."""
    names = set(folder.names())
    return any(_supervisions(name) in names for name in names if _RECORDINGS.fullmatch(name))


def read_lhotse(folder: DataFolder) -> FoundCorpus:
    """Read every pair of manifests of a folder; `train`, `dev` or `test` in their names is the split.

    Raises
    ------
    SourceError
        For a recording that is no single file (a command, an address, several files, a transformed one), or a
        supervision of a part of one.
    """
    names = set(folder.names())
    pairs = [(name, _supervisions(name)) for name in sorted(names) if _RECORDINGS.fullmatch(name)]
    rows: list[tuple[str, Mapping[str, str]]] = []
    for recordings, supervisions in pairs:
        if supervisions in names:
            side = side_of(re.split(r"[^a-zA-Z]+", recordings))
            rows += ((path, {**row, **({"split": side} if side else {})}) for path, row in _rows(folder, recordings))
    return FoundCorpus("Lhotse", tuple(rows))


def _supervisions(name: str) -> str:
    found = _RECORDINGS.fullmatch(name)
    return f"{found['before']}supervisions{found['behind']}" if found else ""


def _rows(folder: DataFolder, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the written path and the fields of each recording; no fields where no supervision is of it."""
    recordings = {_text(one, "id", place): (one, place) for one, place in _objects(folder, name)}
    fields: dict[str, Mapping[str, str]] = {}
    for one, place in _objects(folder, _supervisions(name)):
        recording = _text(one, "recording_id", place)
        if recording not in recordings:
            raise SourceError(f"{place}: the recording {recording!r:.80} does not stand in {name!r:.80}. Mend either.")
        if recording in fields or not _is_whole(one, recordings[recording][0]):
            raise SourceError(
                f"{place}: this supervision is only a part of the recording {recording!r:.80}; whole files are read. "
                "Cut the recordings into files first."
            )
        fields[recording] = _fields(one)
    for key, (one, place) in recordings.items():
        yield _audio_path(one, place), fields.get(key, {})


def _objects(folder: DataFolder, name: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for place, line in folder.lines(name):
        yield json_object(line, place), place


def _text(one: Mapping[str, Any], key: str, place: str) -> str:
    if not isinstance(one.get(key), str):
        raise SourceError(f"{place}: {key!r} is missing or no text. Mend the manifest.")
    return str(one[key])


def _fields(one: Mapping[str, Any]) -> Mapping[str, str]:
    custom = one.get("custom")
    values = {**(custom if isinstance(custom, dict) else {}), **{name: one.get(name) for name in PLAIN_FIELDS}}
    texts = {name: scalar_text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text}


def _is_whole(one: Mapping[str, Any], recording: Mapping[str, Any]) -> bool:
    start, seconds, whole = (
        _seconds(value) for value in (one.get("start"), one.get("duration"), recording.get("duration"))
    )
    return abs(start) <= TOLERANCE and abs(seconds - whole) <= TOLERANCE


def _seconds(value: object) -> float:
    """Return a number of seconds; NaN, which is near to nothing, for what is none or beyond `MOST_SECONDS`."""
    return float(value) if isinstance(value, int | float) and abs(value) <= MOST_SECONDS else math.nan


def _audio_path(one: Mapping[str, Any], place: str) -> str:
    """Return the one file of a recording."""
    sources = one.get("sources")
    source = sources[0] if isinstance(sources, list) and len(sources) == 1 else None
    if not isinstance(source, dict) or not isinstance(source.get("source"), str):
        raise SourceError(f"{place}: one source is needed for a recording. Write it to a single file first.")
    if source.get("type") != "file":
        raise SourceError(
            f"{place}: a source of type {source.get('type')!r:.40} is not read; commands are never executed. "
            "Write the audio to files first."
        )
    if one.get("transforms"):
        raise SourceError(
            f"{place}: the recording has transforms, which are not applied here. Write it to a file first."
        )
    return written_path(source["source"], place)
