"""Labels from file names, by the manifest's pattern and code tables; pure functions of paths and checksums."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from featurestore.corpus.corpus import Corpus, Listed, Rejection, Utterance
from featurestore.corpus.datasheet import IndexEntry, LabelRule, Manifest
from featurestore.corpus.patterns import compile_pattern, match_groups
from featurestore.corpus.unpack import has_control_characters, is_junk

MOST_NAMED = 5
"""Names that a note spells out before it only counts."""


def assign_labels(manifest: Manifest, listing: Iterable[Listed]) -> Corpus:
    """Sort a listing into utterances, rejected files and files without a label."""
    pattern = compile_pattern(manifest.labels.pattern, f"manifest {manifest.name!r}")
    wanted = [file for file in listing if manifest.audio.wants(file.path) and not is_junk(file.path)]
    files, twins, notes = _by_corpus_path(manifest, wanted)
    utterances: list[Utterance] = []
    rejected, unlabelled = list(twins), []
    for path, file in sorted(files.items()):
        reason = _difference(manifest.index.get(path), file)
        parsed = reason or parse_label(manifest.labels, pattern, path)
        if reason is None and parsed is None:
            unlabelled.append(Rejection(shown(path), f"the name does not fit the pattern {pattern.pattern}"))
        elif isinstance(parsed, str):
            rejected.append(Rejection(shown(path), parsed))
        elif parsed is not None:
            utterances.append(_utterance(manifest.labels, path, file, parsed))
    notes += (*_completeness(manifest, files), *_duplicates(utterances))
    return Corpus(manifest.name, manifest, tuple(utterances), tuple(rejected), tuple(unlabelled), notes)


def parse_label(rule: LabelRule, pattern: re.Pattern[str], path: str) -> dict[str, str] | str | None:
    """Read the label fields of one path.

    Returns
    -------
    dict of field to value; a string with the reason if a code is unknown; None if the name does not fit.
    """
    if has_control_characters(path):
        return None
    fields = match_groups(pattern, path if rule.match == "path" else path.rsplit("/", 1)[-1])
    if fields is None:
        return None
    for group, table in rule.codes.items():
        code = fields.get(group)
        if code is not None and code not in table:
            return f"unknown code {code!r} for {group}; known: {', '.join(sorted(table))}"
        if code is not None:
            fields[group] = table[code]
    return fields if rule.target in fields else f"the name says no {rule.target}"


def shown(path: str) -> str:
    """Return a path that is safe to print: control characters and undecodable bytes become escapes."""
    return repr(path)[1:-1] if has_control_characters(path) else path


def _by_corpus_path(
    manifest: Manifest, listing: Iterable[Listed]
) -> tuple[dict[str, Listed], list[Rejection], tuple[str, ...]]:
    """Give each file its path inside the corpus; the second copy of a file is dropped, a second version rejected."""
    files: dict[str, Listed] = {}
    rejected: list[Rejection] = []
    copies = 0
    for file in sorted(listing, key=lambda one: (one.path.count("/"), one.path)):
        path = manifest.audio.corpus_path(unicodedata.normalize("NFC", file.path))
        first = files.setdefault(path, file)
        copies += first is not file and first.content == file.content
        if first.content != file.content:
            rejected.append(
                Rejection(shown(file.path), f"other bytes than {shown(first.path)!r}, which has the same name")
            )
    notes = (f"{copies} files are second copies of others and were left out",) if copies else ()
    return files, rejected, notes


def _difference(entry: IndexEntry | None, file: Listed) -> str | None:
    """Say how a file differs from the published one; None if it does not, or nothing is published."""
    if entry is None or entry.sha256 == file.content:
        return None
    checksums = f"sha256 {file.content}, expected {entry.sha256}"
    if file.size == 0:
        return f"empty: the published file has {entry.bytes:,} bytes; {checksums}"
    if file.size < entry.bytes:
        return f"truncated or edited: {file.size:,} of {entry.bytes:,} bytes; {checksums}"
    return f"differs from the published file, it may be damaged or edited: {checksums}"


def _utterance(rule: LabelRule, path: str, file: Listed, fields: Mapping[str, str]) -> Utterance:
    return Utterance(
        path=path,
        content=file.content,
        size=file.size,
        labels=tuple(fields.items()),
        label=fields[rule.target],
        speaker=fields.get(rule.speaker) if rule.speaker else None,
        text=fields.get(rule.text) if rule.text else None,
    )


def _completeness(manifest: Manifest, files: Mapping[str, Listed]) -> list[str]:
    """Compare the files found with the ones published, by name where an index is pinned, else by number."""
    if not manifest.index:
        expected = manifest.expected.files
        differs = expected is not None and expected != len(files)
        return [f"{len(files)} files found, a complete copy has {expected}"] if differs else []
    missing = sorted(set(manifest.index) - set(files))
    extra = sorted(set(files) - set(manifest.index))
    notes = (
        [f"{len(missing)} of {len(manifest.index)} published files are missing: {_some(missing)}"] if missing else []
    )
    return [*notes, f"{len(extra)} files are not in the published index: {_some(extra)}"] if extra else notes


def _duplicates(utterances: Iterable[Utterance]) -> list[str]:
    """Name recordings that are byte-identical under different names."""
    by_content: dict[str, list[str]] = {}
    for utterance in utterances:
        by_content.setdefault(utterance.content, []).append(utterance.path)
    return [f"byte-identical: {_some(paths)}" for paths in by_content.values() if len(paths) > 1]


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(shown(path) for path in paths[:MOST_NAMED]) + more
