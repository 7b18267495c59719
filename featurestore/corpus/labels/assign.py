"""Labels from paths and label files, by the manifest's rules; pure functions of paths, checksums and label files."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from featurestore.corpus.labels.fields import DERIVATIONS, filled, is_missing, is_number
from featurestore.corpus.labels.label_files import LabelFiles, RecordingFields, read_label_files
from featurestore.corpus.manifest import IndexEntry, LabelRule, Manifest, is_label_file
from featurestore.corpus.regex import compile_pattern, match_groups
from featurestore.corpus.sources.archive_safety import is_junk
from featurestore.corpus.types import Corpus, ListedFile, Rejection, Utterance
from featurestore.segments import WHOLE, ReadBytes, recording_of
from featurestore.showing import has_control_characters, shown

UNKNOWN = frozenset({"unknown", "unk", "undefined", "unlabeled", "unlabelled", "missing", "not available"})
"""Classes that may mean that nobody knows the class."""
MOST_NAMED = 5
"""Names that a note spells out before it only counts."""


def label(manifest: Manifest, listing: Iterable[ListedFile], read: ReadBytes | None = None) -> Corpus:
    """Turn a listing into a corpus; labels come from paths and label files, no byte of audio is read.

    A recording that does not fit is set aside with its reason and never stops the others.

    Parameters
    ----------
    manifest : Manifest
    listing : iterable of ListedFile
        Recordings, and label files where the manifest has some.
    read : callable, optional
        Returns the bytes of a file by its content; needed where the manifest has label files.

    Raises
    ------
    SourceError
        If a label file is missing or cannot be read.
    """
    kept = tuple(listing)
    beside = read_label_files(manifest, kept, read)
    files, rejected, notes = recordings_by_path(manifest, kept)
    rule = manifest.labels
    pattern = compile_pattern(rule.pattern, f"manifest {manifest.name!r}", any_case=rule.any_case)
    utterances: list[Utterance] = []
    unlabelled: list[Rejection] = []
    for path, file in sorted(files.items()):
        reason = _fault(manifest, path) or difference(manifest.index.get(path), file)
        for row in [RecordingFields(WHOLE, {})] if reason else beside.fields_of(path):
            part = row.segment.path(path)
            clash = f"its path is that of a part of {path!r}" if part != path and part in files else None
            fields = reason or clash or parse_label(rule, pattern, path, row if beside.rows else None)
            if fields is None:
                unlabelled.append(Rejection(shown(part), _without_label(manifest)))
            elif isinstance(fields, str):
                rejected.append(Rejection(shown(part), fields))
            else:
                utterances.append(
                    Utterance(
                        path=part,
                        content=row.segment.content(file.content),
                        size=file.size,
                        fields=tuple(fields.items()),
                        label=fields[rule.target],
                        speaker=fields.get(rule.speaker) if rule.speaker else None,
                        text=fields.get(rule.text) if rule.text else None,
                    )
                )
    utterances.sort(key=lambda utterance: utterance.path)
    if rule.join_speakers:
        utterances, joined = _with_joined_speakers(utterances)
        notes += joined
    notes += (*manifest.notes, *count_notes(manifest, files), *_missing_notes(rejected, rule.target))
    if beside.rows and rule.target not in (*pattern.groupindex, *rule.codes):
        notes += tuple(_doubtful_classes(rule.target, Counter(utterance.label for utterance in utterances)))
    notes += (
        *_twins("class", (one.label for one in utterances)),
        *_twins("speaker", (one.speaker for one in utterances)),
    )
    notes += (*_duplicates(utterances), *orphan_notes(beside, files))
    return Corpus(manifest.name, manifest, tuple(utterances), tuple(rejected), tuple(unlabelled), notes)


def parse_label(
    rule: LabelRule, pattern: re.Pattern[str], path: str, row: RecordingFields | None = None
) -> dict[str, str] | str | None:
    """Read the label fields of one path: from the path, from its `row` of label files, then composed and derived.

    Returns
    -------
    dict of field to value; a string with the reason if a value cannot be taken; None if the name does not fit or
    nothing gives its label.
    """
    named = match_groups(pattern, path if rule.match == "path" else path.rsplit("/", 1)[-1]) if rule.pattern else {}
    if named is None:
        return None
    if row and row.reason is not None:
        return row.reason
    tabled = row.fields if row else {}
    known = {
        name: value for name, value in tabled.items() if not is_missing(value) or value in rule.codes.get(name, ())
    }
    for name in (rule.target, rule.speaker):  # with the quote it would be another class or speaker
        value = known.get(name or "", "")
        if value.count('"') % 2 and '"' in (value[0], value[-1]):
            return f"its {name} has a quote that nothing closes: {value}"
    fields = {**known, **named}
    for name, table in rule.codes.items():
        if name in fields:
            code = fields[name]
            folded = {one.casefold(): meaning for one, meaning in reversed([*table.items()])} if rule.any_case else {}
            meaning = table.get(code, folded.get(code.casefold()))
            if meaning is None:
                return f"unknown code {code!r} for {name}; known: {', '.join(sorted(table))}"
            fields[name] = meaning
    for name, template in rule.compose.items():
        if composed := filled(template, fields):
            fields[name] = composed
    for name, derivation in rule.derived.items():
        if value := fields.get(name) or DERIVATIONS[derivation](path):
            fields[name] = value
    if rule.target in fields:  # two forms of one text would be two classes or speakers that look alike
        return {name: unicodedata.normalize("NFC", value) for name, value in fields.items()}
    if rule.target in tabled:
        return _missing(rule.target, tabled[rule.target])
    return None if row else f"the name says no {rule.target}"


def _missing(target: str, value: str = "") -> str:
    return f"its {target} is missing: {value}"


def _missing_notes(rejected: Iterable[Rejection], target: str) -> Iterator[str]:
    """Count the recordings whose class is missing by their label files."""
    start = _missing(target)
    values = Counter(one.reason.removeprefix(start) for one in rejected if one.reason.startswith(start))
    if values:
        counted = ", ".join(f"{count} {value!r}" for value, count in sorted(values.items()))
        yield f"{values.total()} recordings have no {target}, which their label files call missing: {counted}"


def _doubtful_classes(target: str, counts: Mapping[str, int]) -> Iterator[str]:
    """Name the classes of a table that may be none: amounts, or words for what nobody knows."""
    if len(counts) > 1 and all(map(is_number, counts)):
        some = ", ".join(sorted(counts, key=lambda name: float(name.replace(",", ".")))[:MOST_NAMED])
        more = ", ..." if len(counts) > MOST_NAMED else ""
        yield (
            f"the classes of {target!r} are numbers: {len(counts):,} ({some}{more}) of {sum(counts.values()):,} "
            "recordings; amounts are no classes: name ranges of them"
        )
    for name in sorted(counts):
        if name.casefold() in UNKNOWN:
            yield (
                f"{counts[name]:,} recordings have the class {shown(name)!r}: if it means that nobody knows it, leave "
                "it empty"
            )


def _twins(what: str, names: Iterable[str | None]) -> Iterator[str]:
    """Name classes or speakers whose names differ only in case, in spaces or in the width of letters."""
    counts = Counter(name for name in names if name is not None)
    alike: dict[str, list[str]] = {}
    for name in sorted(counts):
        alike.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    for group in (group for group in alike.values() if len(group) > 1):
        each = ", ".join(f"{counts[name]:,} {shown(name)!r}" for name in group)
        yield f"one {what} under several names? {each}: they differ in case, spaces or width alone"


def _without_label(manifest: Manifest) -> str:
    if manifest.translation:
        return f"the {manifest.translation.format} data says no {manifest.labels.target} of it"
    if manifest.tables:
        files = ", ".join(name for rule in manifest.tables for name in rule.files)
        return f"no row of {files} gives its {manifest.labels.target}"
    return f"the name does not fit the pattern {manifest.labels.pattern}"


def orphan_notes(beside: LabelFiles, files: Iterable[str]) -> list[str]:
    """Name the rows of label files that have no recording."""
    orphans = beside.orphans(files)
    return [f"{len(orphans)} rows of the label files have no recording: {_some(orphans)}"] if orphans else []


def recordings_by_path(
    manifest: Manifest, listing: Iterable[ListedFile]
) -> tuple[dict[str, ListedFile], list[Rejection], tuple[str, ...]]:
    """Return the recordings by their paths inside the corpus, the rejected ones, and a note on second copies.

    The second copy of a file is dropped; one of the same path and other bytes is rejected.
    """
    files: dict[str, ListedFile] = {}
    rejected: list[Rejection] = []
    copies = 0
    for file in sorted(listing, key=lambda one: (one.path.count("/"), one.path)):
        beside = is_junk(file.path) or is_label_file(manifest.label_files, file.path)
        if beside or not manifest.audio.wants(file.path):
            continue
        path = manifest.audio.corpus_path(unicodedata.normalize("NFC", file.path))
        first = files.setdefault(path, file)
        copies += first is not file and first.content == file.content
        if first.content != file.content:
            reason = f"other bytes than {shown(first.path)!r}, which has the same name"
            rejected.append(Rejection(shown(file.path), reason))
    return files, rejected, (f"{copies} files are second copies of others and were left out",) if copies else ()


def _fault(manifest: Manifest, path: str) -> str | None:
    """Return why a recording cannot be used, by its path alone."""
    if not path.isprintable() and has_control_characters(path):
        return "its name holds control characters, or bytes that are no UTF-8; rename it"
    fault = manifest.audio.fault(path)
    return None if fault is None else f"known to be bad in the published corpus: {fault}"


def difference(entry: IndexEntry | None, file: ListedFile) -> str | None:
    """Return how a file differs from the published one; None if it does not, or nothing is published."""
    if entry is None or entry.sha256 == file.content:
        return None
    checksums = f"sha256 {file.content}, expected {entry.sha256}"
    if file.size == 0:
        return f"empty: the published file has {entry.bytes:,} bytes; {checksums}"
    if file.size < entry.bytes:
        return f"truncated or edited: {file.size:,} of {entry.bytes:,} bytes; {checksums}"
    return f"differs from the published file, it may be damaged or edited: {checksums}"


def _with_joined_speakers(utterances: Sequence[Utterance]) -> tuple[list[Utterance], tuple[str, ...]]:
    """Give speakers who share a recording one name, such as `s03+s07`; a note names these."""
    groups: dict[str, set[str]] = {one.speaker: {one.speaker} for one in utterances if one.speaker is not None}
    holders: dict[str, str] = {}
    for one in utterances:
        if one.speaker is not None:
            other = groups[holders.setdefault(recording_of(one.content), one.speaker)]
            if one.speaker not in other:
                other |= groups[one.speaker]
                groups.update(dict.fromkeys(other, other))
    names = {speaker: "+".join(sorted(group)) for speaker, group in groups.items()}
    found = sorted({name for speaker, name in names.items() if name != speaker})
    notes = (f"speakers joined, as they share recordings: {_some(found)}",) if found else ()
    return [one if one.speaker is None else replace(one, speaker=names[one.speaker]) for one in utterances], notes


def count_notes(manifest: Manifest, files: Mapping[str, ListedFile]) -> Iterator[str]:
    """Compare the files found with the ones published, by name where an index is pinned, else by number."""
    if not manifest.index:
        expected = manifest.expected.files
        if expected is not None and expected != len(files):
            yield f"{len(files)} files found, a complete copy has {expected}"
        return
    if missing := sorted(set(manifest.index) - set(files)):
        yield f"{len(missing)} of {len(manifest.index)} published files are missing: {_some(missing)}"
    if extra := sorted(set(files) - set(manifest.index)):
        yield f"{len(extra)} files are not in the published index: {_some(extra)}"


def _duplicates(utterances: Iterable[Utterance]) -> Iterator[str]:
    """Name recordings that are byte-identical under different names; first those that have several classes."""
    by_content: dict[str, list[Utterance]] = {}
    for one in utterances:
        by_content.setdefault(one.content, []).append(one)
    several = [ones for ones in by_content.values() if len(ones) > 1]
    for ones in sorted(several, key=lambda ones: len({one.label for one in ones}) == 1):
        classes = sorted({shown(one.label) for one in ones})
        what = "byte-identical" if len(classes) == 1 else f"one recording under several classes ({', '.join(classes)})"
        yield f"{what}: {_some([one.path for one in ones])}"


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(map(shown, paths[:MOST_NAMED])) + more
