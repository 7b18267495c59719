"""Joining the label files of a source, tables and lists, with its recordings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from featurestore.corpus.labels.fields import filled, split_segment
from featurestore.corpus.labels.table_formats import TABLE_FORMATS
from featurestore.corpus.labels.tables import label_text, text_lines
from featurestore.corpus.manifest.model import AudioFiles, ListRule, Manifest, TableRule, is_label_file
from featurestore.corpus.manifest.regex import compile_pattern, match_groups
from featurestore.corpus.types import ListedFile, ReadBytes
from featurestore.errors import SourceError
from featurestore.segments import WHOLE, Segment

KEY_FIELD = "file"
"""The field that names the recording in a row and is no label."""
EITHER = "either"
"""The kind of key that is compared with the path, and where no path is like it with the name."""
SEGMENTED = ("columns", "jsonl")
"""Formats of tables whose fields may say a part of a recording; in the others `start` means what they mean."""

Place = tuple[str, str]
"""Kind of key (`name`, `path` or `either`) and key."""


@dataclass(frozen=True, slots=True)
class RecordingFields:
    """What label files say of a recording, or of one segment of it."""

    segment: Segment
    fields: dict[str, str]
    reason: str | None = None
    """Why its rows cannot be used."""


@dataclass
class LabelFiles:
    """What the label files of one source say about its recordings."""

    audio: AudioFiles
    rows: dict[Place, dict[Segment, dict[str, str]]] = field(default_factory=dict)
    """Fields of each segment by key; those of `WHOLE` hold for all segments that do not say otherwise."""
    endings: dict[Place, str] = field(default_factory=dict)
    """The extension that each key was written with, with its dot."""
    conflicts: dict[tuple[Place, Segment], str] = field(default_factory=dict)
    """Reason by key and segment, where two rows contradict each other."""
    faults: dict[Place, list[str]] = field(default_factory=dict)
    """Reasons by key of rows that say no part of a recording that there can be."""

    @cached_property
    def _extensions(self) -> frozenset[str]:
        return frozenset(pattern.casefold().rpartition(".")[2] for pattern in self.audio.include)

    @cached_property
    def _kinds(self) -> tuple[str, ...]:
        """The kinds of keys that rows have; all rows are there before the first recording is looked up."""
        return tuple(sorted({kind for kind, _ in self.rows}, reverse=True))

    def add(self, kind: str, key: str, row: Mapping[str, str], segment: Segment = WHOLE) -> None:
        """Take a row; a second row for the same key and segment may add fields and must not change one."""
        place = self._place(kind, key)
        known = self.rows[place].setdefault(segment, {})
        for name, value in row.items():
            if known.setdefault(name, value) != value:
                told = f"two rows of the labels differ in {name}: {known[name]!r}, {value!r}"
                self.conflicts.setdefault((place, segment), told)

    def refuse(self, kind: str, key: str, reason: str) -> None:
        """Take a row that is about no possible part of its recording."""
        self.faults.setdefault(self._place(kind, key), []).append(reason)

    def _place(self, kind: str, key: str) -> Place:
        place = (kind, self.key(kind, key))
        self.endings.setdefault(place, self._ending(key))
        self.rows.setdefault(place, {})
        return place

    def key(self, kind: str, text: str) -> str:
        """Bring a path or a row's key to the form in which they are compared: no extension, no leading folders."""
        path = unicodedata.normalize("NFC", text).replace("\\", "/")
        path = path.rsplit("/", 1)[-1] if kind == "name" else self.audio.corpus_path(path)
        return path.removesuffix(self._ending(path))

    def _ending(self, path: str) -> str:
        """Return the extension of a path with its dot; nothing where it is none of a recording."""
        _, dot, extension = path.rpartition(".")
        known = dot and "/" not in extension and ("*" in self._extensions or extension.casefold() in self._extensions)
        return f".{extension}" if known else ""

    def fields_of(self, path: str) -> list[RecordingFields]:
        """Return what is said of a recording by its path inside the corpus, of each segment where it has some."""
        if not self.rows:
            return [RecordingFields(WHOLE, {})]
        places = [(kind, self._places(kind, path)) for kind in self._kinds]
        every = [place for _, found in places for place in found]
        segments = dict.fromkeys(segment for place in every for segment in self.rows.get(place, ()))
        faults = [RecordingFields(WHOLE, {}, reason) for place in every for reason in self.faults.get(place, ())]
        parts = [segment for segment in segments if segment != WHOLE]
        wanted = parts or ([] if faults else [WHOLE])
        return [*(self._of(places, segment) for segment in wanted), *faults]

    def _of(self, places: list[tuple[str, list[Place]]], segment: Segment) -> RecordingFields:
        """Join the rows about a segment with those about the whole recording, of all kinds of keys."""
        found: dict[str, str] = {}
        for about in dict.fromkeys((WHOLE, segment)):
            for _, of_kind in places:
                joined: dict[str, str] = {}
                for place in of_kind:
                    if (place, about) in self.conflicts:
                        return RecordingFields(segment, {}, self.conflicts[place, about])
                    for name, value in self.rows.get(place, {}).get(about, {}).items():
                        if joined.setdefault(name, value) != value:
                            reason = f"two rows of the labels differ in {name}: {joined[name]!r}, {value!r}"
                            return RecordingFields(segment, {}, reason)
                found |= joined
        return RecordingFields(segment, found)

    def _places(self, kind: str, path: str) -> list[Place]:
        """Return the keys that may be about a recording: its own, else for `either` all that end in its name."""
        own = (kind, self.key(kind, path))
        if kind != EITHER or own in self.rows:
            return [own]
        return [(kind, key) for key in self._keys_by_name.get(self.key("name", path), [])]

    @cached_property
    def _keys_by_name(self) -> Mapping[str, list[str]]:
        """The keys of kind `either` by their last part."""
        found: dict[str, list[str]] = {}
        for kind, key in self.rows:
            if kind == EITHER:
                found.setdefault(key.rsplit("/", 1)[-1], []).append(key)
        return found

    def orphans(self, paths: Iterable[str]) -> list[str]:
        """Return the keys of rows that no recording has, sorted, with the extension of a recording."""
        known = {place for path in paths for kind in self._kinds for place in self._places(kind, path)}
        return sorted(place[1] + (self.endings[place] or self._usual_ending) for place in self.rows.keys() - known)

    @cached_property
    def _usual_ending(self) -> str:
        """The extension of a recording whose row has none: the first that the manifest includes."""
        endings = (pattern.rpartition(".")[2] for pattern in self.audio.include if "." in pattern)
        return next((f".{ending}" for ending in endings if ending.isalnum()), "")


def read_label_files(manifest: Manifest, listing: Iterable[ListedFile], read: ReadBytes | None) -> LabelFiles:
    """Read the tables and lists that a manifest names.

    Parameters
    ----------
    manifest : Manifest
    listing : iterable of ListedFile
        All kept files of the source.
    read : callable, optional
        Returns the bytes of a file by its content; needed where the manifest has tables or lists.

    Raises
    ------
    SourceError
        If a label file is missing or cannot be read.
    """
    found = LabelFiles(manifest.audio)
    files = [file for file in listing if is_label_file(manifest.label_files, file.path)]
    for rule in manifest.tables:
        for file in _files_of(rule, files, manifest):
            translated = manifest.translation
            where = f"the {translated.format} data" if translated else f"label file {file.path!r:.120}"
            _add_table(found, rule, file, _bytes(file, read), where)
    for listed in manifest.lists:
        for file in _files_of(listed, files, manifest):
            for line in text_lines(label_text(_bytes(file, read), ("utf-8-sig",), file.path)):
                if line.strip():
                    found.add(listed.match, line.strip(), {listed.field: listed.value})
    return found


def _files_of(rule: TableRule | ListRule, files: list[ListedFile], manifest: Manifest) -> list[ListedFile]:
    found = [file for file in files if is_label_file((rule,), file.path)]
    if not found and isinstance(rule, TableRule):
        raise SourceError(
            f"corpus {manifest.name!r}: no label file {' or '.join(map(repr, rule.files))} in the source. "
            "Give the folder that holds it, with the audio below, to --source."
        )
    return found


def _bytes(file: ListedFile, read: ReadBytes | None) -> bytes:
    if read is None:
        raise SourceError(f"the label file {file.path!r} is needed and its bytes are not at hand. Give --source.")
    return read(file.content)


def _add_table(found: LabelFiles, rule: TableRule, file: ListedFile, data: bytes, where: str) -> None:
    of_path: Mapping[str, str] | None = None
    if rule.pattern is not None:
        pattern = compile_pattern(rule.pattern, "the pattern of a table")
        of_path = match_groups(pattern, unicodedata.normalize("NFC", file.path))
    for row in TABLE_FORMATS[rule.format](rule, file.path, data):
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
