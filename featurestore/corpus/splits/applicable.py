"""Which rules fit a corpus, from its utterances or from its manifest; nothing is split for it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from featurestore.corpus.labels.fields import is_segment_field, template_fields
from featurestore.corpus.manifest import Manifest
from featurestore.corpus.splits.rules import SPLITS
from featurestore.corpus.splits.rules.with_folds import MOST_FOLDS
from featurestore.corpus.splits.types import FIELD, OFFICIAL_FIELD, SIDE_NAMES, SPEAKERS_SESSION, SplitItem

Fields = Mapping[str, Sequence[str] | int | None]
"""Fields that every recording has: with their values, with the number of these, or with None where nobody knows it."""

_FIELDS_OF_FORMATS = {"iemocap": ("votes",), "agender": ("age", "sex", "class"), "aihub": ("age", "sex", "situation")}
"""Fields of the readers that are made for one corpus."""


def fitting_rules(fields: Fields) -> tuple[str, ...]:
    """Return the keys of `SPLITS` whose rules need no other field, and no more values of one, than there are."""
    return tuple(name for name, rule in SPLITS.items() if all(_has(fields, *need) for need in rule.needs))


def usual_splits(sides: Iterable[str], speakers: int) -> tuple[str, ...]:
    """Return the splits that make sense for recordings with these sides and so many speakers, the usual one first."""
    official = ("official",) if {"train", "test"} <= {*sides} else ()
    return (*official, *(("loso",) if 2 <= speakers <= 30 else ("speakers",) if speakers >= 3 else ()), "shuffled")


def fields_of_utterances(utterances: Iterable[SplitItem]) -> Fields:
    """Return the fields that all utterances have, with their values, sorted; `speaker` only where all are known.

    A field that only repeats the class, the speaker or the sentence is left out.
    """
    everyone = tuple(utterances)
    columns: dict[str, list[str | None]] = {"speaker": [one.speaker for one in everyone]}
    for one in everyone:
        for field, value in getattr(one, "fields", ()):
            if field != "speaker":
                columns.setdefault(field, []).append(value)
    known = [[getattr(one, name, None) for one in everyone] for name in ("label", "speaker", "text")]
    found: dict[str, Sequence[str] | int | None] = {
        field: tuple(sorted({value for value in values if value is not None}))
        for field, values in columns.items()
        if len(values) == len(everyone) and None not in values and (field == "speaker" or values not in known)
    }
    if {"speaker", "session"} <= found.keys():
        found |= _shared_sessions(zip(columns["speaker"], columns["session"], strict=True))
    return found


def _shared_sessions(pairs: Iterable[tuple[str | None, str | None]]) -> Fields:
    """Return `SPEAKERS_SESSION` for pairs of speaker and session; nothing if one has several, or one has its own."""
    distinct = set(pairs)
    speakers, sessions = Counter(speaker for speaker, _ in distinct), Counter(session for _, session in distinct)
    if set(speakers.values()) != {1} or min(sessions.values()) < 2:
        return {}
    return {SPEAKERS_SESSION: tuple(sorted(str(session) for session in sessions))}


def fields_of_manifests(manifests: Sequence[Manifest]) -> Fields:
    """Return the fields that a corpus has by its manifest; for several corpora those of all, and `corpus`."""
    each = [_fields_of_manifest(manifest) for manifest in manifests]
    if len(each) == 1:
        return each[0]
    found: dict[str, int | None] = {}
    for field in sorted(set.intersection(*(set(one) for one in each))):
        values = [one[field] for one in each]  # corpora share none, so that numbers add up
        counts = [len(one) if isinstance(one, Sequence) else one for one in values if one is not None]
        found[field] = sum(counts) if len(counts) == len(values) else None
    return {**found, "corpus": len(manifests)}


def grouping_fields(fields: Fields) -> tuple[str, ...]:
    """Return the fields, other than the speaker and the official sides, whose values can be left out in turn."""
    return tuple(
        name
        for name in fields
        if name not in ("speaker", OFFICIAL_FIELD, SPEAKERS_SESSION) and _has(fields, name, 2, MOST_FOLDS)
    )


def _has(fields: Fields, field: str, least: int, most: float = inf) -> bool:
    """Tell whether a field is there with so many values; `FIELD` is any that groups recordings."""
    if field == FIELD:
        return bool(grouping_fields(fields))
    if field not in fields:
        return False
    values = fields[field]
    if field == OFFICIAL_FIELD and isinstance(values, Sequence):
        return {"train", "test"} <= {SIDE_NAMES.get(value, "") for value in values}
    count = len(values) if isinstance(values, Sequence) else values
    return count is None or least <= count <= most


def _fields_of_manifest(manifest: Manifest) -> Fields:
    if manifest.translation is not None:
        return _fields_of_rows(manifest.translation.rows, manifest.labels.target)
    rule = manifest.labels
    named: list[str] = []
    for pattern in (rule.pattern, *(table.pattern or "" for table in manifest.tables)):
        named += re.compile(pattern).groupindex
    for table in manifest.tables:
        named += (*table.columns, *_FIELDS_OF_FORMATS.get(table.format, ()))
    named += (*(one.field for one in manifest.lists), *rule.compose, *rule.derived)
    fields: dict[str, Sequence[str] | int | None] = {
        name: len(set(rule.codes[name].values())) if name in rule.codes else None
        for name in named
        if name not in (rule.target, rule.text, "file")
    }
    speakers = fields.pop(rule.speaker, None) if rule.speaker else None
    fields.pop("speaker", None)
    if rule.speaker:
        fields["speaker"] = manifest.speaker_count or speakers
        if "session" in template_fields(rule.compose.get(rule.speaker, "")):  # then each speaker has only one
            fields[SPEAKERS_SESSION] = fields.get("session")
    if "official" in manifest.side_rules:
        fields[OFFICIAL_FIELD] = None
    return fields


def _fields_of_rows(rows: bytes, target: str) -> Fields:
    """Return the fields that all rows of another tool's description have beside the class, with their values."""
    found = [json.loads(line) for line in rows.splitlines() if line.strip()]
    shared = set.intersection(*(set(one) for one in found)) - {"file", "text", target} if found else set()
    fields: Fields = {
        field: tuple(sorted({str(one[field]) for one in found}))
        for field in sorted(shared)
        if not is_segment_field(field)
    }
    if not {"speaker", "session"} <= shared:
        return fields
    return {**fields, **_shared_sessions((str(one["speaker"]), str(one["session"])) for one in found)}
