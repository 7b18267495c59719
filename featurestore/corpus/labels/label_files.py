"""Joining the label files of a source, tables and lists, with its recordings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from featurestore.corpus.labels.fields import filled, split_segment
from featurestore.corpus.labels.table_formats import TABLE_FORMATS
from featurestore.corpus.labels.tables import label_text, text_lines
from featurestore.corpus.manifest import AudioFiles, Manifest, TableRule, is_label_file
from featurestore.corpus.regex import compile_pattern, match_groups
from featurestore.corpus.types import ListedFile
from featurestore.errors import SourceError
from featurestore.segments import WHOLE, ReadBytes, Segment

KEY_FIELD = "file"
"""The field that names the recording in a row and is no label."""
EITHER = "either"
"""The kind of key that is compared with the path, and where no path is like it with the name."""
SEGMENTED = ("columns", "jsonl")
"""Formats of tables whose fields may name a part of a recording; in the others `start` is a field like any other."""

Place = tuple[str, str]
"""Kind of key (`name`, `path` or `either`) and key."""


@dataclass(frozen=True, slots=True)
class RecordingFields:
    """The fields of a recording, or of one segment of it, in label files."""

    segment: Segment
    fields: dict[str, str]
    reason: str | None = None
    """Why its rows cannot be used."""


@dataclass
class LabelFiles:
    """The rows of the label files of one source, by recording; all are added before the first look-up."""

    audio: AudioFiles
    rows: dict[Place, dict[Segment, dict[str, str]]] = field(default_factory=dict)
    """Fields of each segment by key; those of `WHOLE` hold for all segments without their own."""
    endings: dict[Place, str] = field(default_factory=dict)
    """The extension that each key was written with, with its dot."""
    conflicts: dict[tuple[Place, Segment], str] = field(default_factory=dict)
    """Reason by key and segment, where two rows contradict each other."""
    faults: dict[Place, list[str]] = field(default_factory=dict)
    """Reasons by key of rows about a part of a recording that there cannot be."""

    def add(self, kind: str, key: str, row: Mapping[str, str], segment: Segment = WHOLE) -> None:
        """Take a row; a second row for the same key and segment may add fields and must not change one."""
        place = self._place(kind, key)
        reason = _join(self.rows[place].setdefault(segment, {}), row)
        if reason is not None:
            self.conflicts.setdefault((place, segment), reason)

    def refuse(self, kind: str, key: str, reason: str) -> None:
        """Take a row that is about no possible part of its recording."""
        self.faults.setdefault(self._place(kind, key), []).append(reason)

    def _place(self, kind: str, key: str) -> Place:
        place = (kind, self._key(kind, key))
        self.endings.setdefault(place, self._ending(key))
        self.rows.setdefault(place, {})
        return place

    def _key(self, kind: str, text: str) -> str:
        """Bring a path or a row's key to the form in which they are compared: no extension, no leading folders."""
        path = unicodedata.normalize("NFC", text).replace("\\", "/")
        path = path.rsplit("/", 1)[-1] if kind == "name" else self.audio.corpus_path(path)
        return path.removesuffix(self._ending(path))

    def _ending(self, path: str) -> str:
        """Return the extension of a path with its dot; nothing where it is none of a recording."""
        _, dot, extension = path.rpartition(".")
        known = dot and "/" not in extension and ("*" in self._extensions or extension.casefold() in self._extensions)
        return f".{extension}" if known else ""

    @cached_property
    def _extensions(self) -> frozenset[str]:
        return frozenset(pattern.casefold().rpartition(".")[2] for pattern in self.audio.include)

    @cached_property
    def _kinds(self) -> tuple[str, ...]:
        return tuple(sorted({kind for kind, _ in self.rows}, reverse=True))

    @cached_property
    def _keys_by_name(self) -> Mapping[str, list[str]]:
        """The keys of kind `either` by their last part."""
        found: dict[str, list[str]] = {}
        for kind, key in self.rows:
            if kind == EITHER:
                found.setdefault(key.rsplit("/", 1)[-1], []).append(key)
        return found

    def _places(self, kind: str, path: str) -> list[Place]:
        """Return the keys that may be about a recording: its own, else for `either` all that end in its name."""
        own = (kind, self._key(kind, path))
        if kind != EITHER or own in self.rows:
            return [own]
        return [(kind, key) for key in self._keys_by_name.get(self._key("name", path), [])]

    def fields_of(self, path: str) -> list[RecordingFields]:
        """Return the fields of a recording by its path inside the corpus, of each segment where it has some."""
        if not self.rows:
            return [RecordingFields(WHOLE, {})]
        by_kind = [self._places(kind, path) for kind in self._kinds]
        every = [place for places in by_kind for place in places]
        segments = dict.fromkeys(segment for place in every for segment in self.rows.get(place, ()))
        faults = [RecordingFields(WHOLE, {}, reason) for place in every for reason in self.faults.get(place, ())]
        parts = [segment for segment in segments if segment != WHOLE]
        wanted = parts or ([] if faults else [WHOLE])
        return [*(self._of_segment(by_kind, segment) for segment in wanted), *faults]

    def _of_segment(self, by_kind: list[list[Place]], segment: Segment) -> RecordingFields:
        """Join the rows about a segment with those about the whole recording, of all kinds of keys."""
        found: dict[str, str] = {}
        for about in dict.fromkeys((WHOLE, segment)):
            for places in by_kind:
                joined: dict[str, str] = {}
                for place in places:
                    reason = self.conflicts.get((place, about)) or _join(
                        joined, self.rows.get(place, {}).get(about, {})
                    )
                    if reason is not None:
                        return RecordingFields(segment, {}, reason)
                found |= joined
        return RecordingFields(segment, found)

    def orphans(self, paths: Iterable[str]) -> list[str]:
        """Return the keys of rows that no recording has, sorted, with the extension of a recording."""
        endings = (pattern.rpartition(".")[2] for pattern in self.audio.include if "." in pattern)
        usual = next((f".{ending}" for ending in endings if ending.isalnum()), "")  # of a row that has none
        known = {place for path in paths for kind in self._kinds for place in self._places(kind, path)}
        return sorted(place[1] + (self.endings[place] or usual) for place in self.rows.keys() - known)


def _join(known: dict[str, str], row: Mapping[str, str]) -> str | None:
    """Add a row's fields to known ones; return the reason where one differs, the first of several."""
    reason = None
    for name, value in row.items():
        if known.setdefault(name, value) != value:
            reason = reason or f"two rows of the labels differ in {name}: {known[name]!r}, {value!r}"
    return reason


def read_label_files(manifest: Manifest, listing: Iterable[ListedFile], read: ReadBytes | None) -> LabelFiles:
    """Read the tables and lists that a manifest names, among all kept files of its source.

    `SourceError` if a label file is missing or cannot be read, or there are some and no `read`.
    """
    found = LabelFiles(manifest.audio)
    files = [file for file in listing if is_label_file(manifest.label_files, file.path)]
    for rule in manifest.label_files:
        of_rule = [file for file in files if is_label_file((rule,), file.path)]
        if not of_rule and isinstance(rule, TableRule):
            raise SourceError(
                f"corpus {manifest.name!r}: no label file {' or '.join(map(repr, rule.files))} in the source. "
                "Give the folder that holds it, with the audio below, to --source."
            )
        for file in of_rule:
            if read is None:
                raise SourceError(
                    f"the label file {file.path!r} is needed and its bytes are not at hand. Give --source."
                )
            if isinstance(rule, TableRule):
                translated = manifest.translation
                where = f"the {translated.format} data" if translated else f"label file {file.path!r:.120}"
                _add_table(found, rule, file.path, read(file.content), where)
            else:
                lines = map(str.strip, text_lines(label_text(read(file.content), ("utf-8-sig",), file.path)))
                for line in filter(None, lines):
                    found.add(rule.match, line, {rule.field: rule.value})
    return found


def _add_table(found: LabelFiles, rule: TableRule, path: str, data: bytes, where: str) -> None:
    of_path: Mapping[str, str] | None = None
    if rule.pattern is not None:
        pattern = compile_pattern(rule.pattern, "the pattern of a table")
        of_path = match_groups(pattern, unicodedata.normalize("NFC", path))
    for row in TABLE_FORMATS[rule.format](rule, path, data):
        whole = {**(of_path or {}), **row}
        key = filled(rule.key, whole) or (whole.get(KEY_FIELD) if rule.match == EITHER else None)
        if not key:
            continue
        fields = {name: value for name, value in whole.items() if name != KEY_FIELD}
        try:
            segment, fields = split_segment(fields) if rule.format in SEGMENTED else (WHOLE, fields)
        except ValueError as error:
            found.refuse(rule.match, key, f"{where}: {error}")
        else:
            found.add(rule.match, key, fields, segment)
