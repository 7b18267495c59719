"""The sections of a manifest: each read and checked by itself, then all against each other and the registries.

Only this file of a manifest's knows the registries of labels and splits, so they may use manifests themselves.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import replace

from featurestore.corpus.catalog.toml_table import TomlTable, check_hex, is_relative, listed_names, shown_key
from featurestore.corpus.labels.fields import DERIVATIONS, template_fields
from featurestore.corpus.labels.schemes import COMMON_SCHEMES
from featurestore.corpus.labels.table_formats import TABLE_FORMATS
from featurestore.corpus.labels.votes import VOTE_RULES
from featurestore.corpus.manifest import (
    Archive,
    AudioFiles,
    Dimension,
    Expected,
    LabelRule,
    ListRule,
    Manifest,
    Protocol,
    Scheme,
    SideRule,
    Speaker,
    TableRule,
)
from featurestore.corpus.regex import compile_pattern
from featurestore.corpus.sources.audio_files import ENCODINGS, RawFormat
from featurestore.corpus.splits.leakage import LEAK_KINDS
from featurestore.corpus.splits.rules import SPLITS, is_rule
from featurestore.errors import ManifestError

NO_DELIMITERS = frozenset('"\r\n\0')
"""Signs that begin a quoted cell or end a line."""
NO_ENCODINGS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Codecs of Python that stand for names of hosts or for escapes; some take time with the square of a text."""
MOST_KNOWN = 12
"""Splits or schemes of the manifest's own that a message names."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}")
_SCHEME_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_PROTOCOL_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}(@[a-z0-9]{1,40})?")


def read_labels(table: TomlTable, *, with_tables: bool) -> LabelRule:
    """Read `[labels]`; where there are tables beside the audio, it needs no pattern."""
    pattern = (table.take("pattern", str) or "") if with_tables else table.require("pattern", str)
    rule = table.into(LabelRule, pattern=pattern)
    _check_match(table, rule.match)
    compile_pattern(rule.pattern, table.where)
    return replace(rule, speaker=rule.speaker or None)


def read_table_rule(table: TomlTable) -> TableRule:
    """Read one `[[tables]]` entry."""
    columns = table.table("columns")
    rule = table.into(TableRule, columns={field: _column(columns, field) for field in columns.keys})
    _check_files(table, rule)
    _check_match(table, rule.match, ("name", "path", "either"))
    if rule.format == "columns" and not rule.header and not rule.columns:
        raise table.error("without a header, 'columns' must number them, as file = 1")
    if rule.delimiter is not None and (len(rule.delimiter) != 1 or rule.delimiter in NO_DELIMITERS):
        raise table.error(f"'delimiter' must be one sign such as ',', not {rule.delimiter!r:.20}")
    for encoding in rule.encoding:
        try:
            found = codecs.lookup(encoding)
            is_text = found._is_text_encoding and found.name not in NO_ENCODINGS
        except (LookupError, ValueError):
            is_text = False
        if not is_text:
            raise table.error(f"unknown encoding {encoding!r:.40}, write one such as utf-8 or cp949")
    return rule


def _column(table: TomlTable, field: str) -> tuple[str | int, ...]:
    """Read which column holds a field: a name, a number from 1, or a list of accepted names."""
    value = table.take(field, object)
    if isinstance(value, list) and value and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    if (isinstance(value, str) and value) or (type(value) is int and 1 <= value <= 10_000):
        return (value,)
    raise table.error(f"{field!r} must be a column's name, a list of names, or a number from 1")


def read_list_rule(table: TomlTable) -> ListRule:
    """Read one `[[lists]]` entry."""
    rule = table.into(ListRule)
    _check_files(table, rule)
    _check_match(table, rule.match)
    return rule


def _check_files(table: TomlTable, rule: TableRule | ListRule) -> None:
    if not rule.files or not all(map(is_relative, rule.files)):
        raise table.error("'files' must name one file or more, as relative patterns without '..'")


def _check_match(table: TomlTable, match: str, allowed: tuple[str, ...] = ("name", "path")) -> None:
    if match not in allowed:
        raise table.error(f"'match' must be {' or '.join(map(repr, allowed))}, not {match!r:.60}")


def read_archive(table: TomlTable) -> Archive:
    """Read one `[[archives]]` entry."""
    archive = table.into(Archive)
    if not archive.url.startswith(("https://", "http://")):
        raise table.error(f"'url' must start with https:// or http://, not {archive.url!r:.60}")
    if not _FILE_NAME.fullmatch(archive.name) or archive.name.startswith("."):
        raise table.error(f"'name' must be a plain file name, not {archive.name!r:.60}")
    check_hex(archive.sha256, 64, f"{table.where}, 'sha256'")
    check_hex(archive.md5, 32, f"{table.where}, 'md5'")
    return archive


def read_audio(table: TomlTable) -> AudioFiles:
    """Read `[audio]` with `[audio.raw]`."""
    raw, headerless = None, table.table("raw")
    if headerless.keys:
        raw = headerless.into(RawFormat)
        if raw.encoding not in ENCODINGS or raw.endian not in ("little", "big"):
            raise headerless.error(f"'encoding' is one of {', '.join(ENCODINGS)}, 'endian' little or big")
        if not (1_000 <= raw.rate <= 384_000 and 1 <= raw.channels <= 8):
            raise headerless.error("'rate' lies within 1,000 and 384,000, 'channels' within 1 and 8")
    audio = table.into(AudioFiles, raw=raw)
    if audio.folder and not is_relative(audio.folder):
        raise table.error(f"'folder' must be a relative path without '..', not {audio.folder!r:.60}")
    if not 1 <= audio.depth <= 16:
        raise table.error(f"'depth' must lie within 1 and 16, not {audio.depth}")
    return audio


def read_speaker(table: TomlTable, name: str) -> Speaker:
    """Read one entry of `[speakers]`."""
    speaker = table.into(Speaker, id=name)
    if speaker.sex not in (None, "female", "male", "other"):
        raise table.error(f"'sex' must be female, male or other, not {speaker.sex!r:.60}")
    return speaker


def read_expected(table: TomlTable) -> Expected:
    """Read an `[expected]` section."""
    expected = table.into(Expected)
    for kind, counts in {"labels": expected.labels, "speakers": expected.speakers, **expected.fields}.items():
        total = sum(counts.values())
        if counts and expected.files is not None and total != expected.files:
            raise table.error(f"the expected {kind} sum to {total}, but 'files' says {expected.files}")
    return expected


def read_scheme(table: TomlTable, name: str) -> Scheme:
    """Read a `[schemes.NAME]` section."""
    scheme = table.into(Scheme, name=name, expected=read_expected(table.table("expected")))
    _check_name(table, name, _SCHEME_NAME)
    strangers = sorted(set(scheme.expected.labels) - set(scheme.keep)) if scheme.keep else []
    if strangers:
        raise table.error(f"expected labels {listed_names(strangers)} are missing from 'keep'")
    return scheme


def read_dimension(table: TomlTable, name: str) -> Dimension:
    """Read a `[dimensions.NAME]` section."""
    dimension = table.into(Dimension, name=name)
    _check_name(table, name, _SCHEME_NAME)
    if not dimension.low < dimension.high:
        raise table.error(f"'low' must be below 'high', not {dimension.low:g} and {dimension.high:g}")
    return replace(dimension, field=dimension.field or name)


def read_side_rule(table: TomlTable, name: str) -> SideRule:
    """Read a `[sides.NAME]` section."""
    rule = table.into(SideRule, name=name)
    _check_name(table, name, _SCHEME_NAME)
    if not 0 <= rule.hold_out <= 100_000:
        raise table.error(f"'hold_out' is a number of groups, not {rule.hold_out}")
    return rule


def read_protocol(table: TomlTable, name: str) -> Protocol:
    """Read a `[protocols.NAME]` section."""
    protocol = table.into(Protocol, name=name)
    _check_name(table, name, _PROTOCOL_NAME)
    unknown = sorted(set(protocol.leaks) - set(LEAK_KINDS))
    if unknown:
        raise table.error(f"'leaks' are of {', '.join(LEAK_KINDS)}, not {unknown[0]!r:.40}")
    return protocol


def _check_name(table: TomlTable, name: str, allowed: re.Pattern[str]) -> None:
    if not allowed.fullmatch(name):
        raise table.error(f"{name!r:.60} is no name: use a-z, 0-9, '_', '.' and '-'")


def check_manifest(manifest: Manifest, where: str) -> None:
    """Refuse a manifest whose parts contradict each other, or name what no registry has."""
    for section, fault in _faults(manifest):
        raise ManifestError(f"{where}{section and ', '}{section}: {fault}.")


def _faults(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the section of each fault, empty for the manifest as a whole, and the fault."""
    yield from (("[labels]", fault) for fault in _label_faults(manifest))
    for number, rule in enumerate(manifest.tables, 1):
        yield from ((f"[[tables]] {number}", fault) for fault in _table_faults(rule))
    for name, scheme in manifest.schemes.items():
        if scheme.votes is not None and scheme.votes not in VOTE_RULES:
            unknown = f"unknown rule {scheme.votes!r:.60} for votes; known: {', '.join(VOTE_RULES)}"
            yield f"[schemes], [{shown_key(name)}]", unknown
    if not re.fullmatch("[a-z0-9_]{1,40}", manifest.name):
        yield "", f"'name' must be 1 to 40 of a-z, 0-9 and _, not {manifest.name!r:.60}"
    if (manifest.rate is not None and manifest.rate < 1) or (manifest.hours is not None and manifest.hours < 0):
        yield "", f"'rate' and 'hours' are positive, not {manifest.rate} and {manifest.hours}"
    expected, target = manifest.expected, manifest.labels.target
    known = set(manifest.labels.codes.get(target, {}).values())
    strangers = sorted(set(expected.labels) - known) if known else []
    if strangers:
        yield "", f"expected labels {listed_names(strangers)} are in no code of {shown_key(target)!r}"
    unlisted = sorted(set(expected.speakers) - {speaker.id for speaker in manifest.speakers})
    if manifest.speakers and unlisted:
        yield "", f"expected speakers {listed_names(unlisted)} are missing from [speakers]"
    yield from (("", fault) for fault in _split_faults(manifest))
    for path, entry in manifest.index.items():
        if not is_relative(path) or entry.bytes < 1:
            yield "", f"the index names {path!r:.60}, which is no relative path to a file"


def _label_faults(manifest: Manifest) -> Iterator[str]:
    """Yield derivations that nobody knows, and fields that come from nowhere; with tables any field may."""
    rule = manifest.labels
    for name in rule.derived.values():
        if name not in DERIVATIONS:
            yield f"unknown derivation {name!r:.60}; known: {', '.join(DERIVATIONS)}"
    needed = [rule.target, rule.speaker, rule.text, *rule.codes]
    for template in rule.compose.values():
        try:
            needed += template_fields(template)
        except ValueError as error:
            yield str(error)
            return
    given = {*compile_pattern(rule.pattern, manifest.name).groupindex, *rule.derived, *rule.compose}
    for field in () if manifest.tables else needed:
        if field is not None and field not in given:
            yield f"the pattern has no group {f'(?P<{shown_key(field)}>...)'!r}"


def _table_faults(rule: TableRule) -> Iterator[str]:
    if rule.format not in TABLE_FORMATS:
        yield f"unknown format {rule.format!r:.60}; known: {', '.join(TABLE_FORMATS)}"
    try:
        names = template_fields(rule.key)
    except ValueError as error:
        yield f"'key': {error}"
        return
    if not names:
        yield f"'key' must hold a field, such as {{file}}, not {rule.key!r:.60}"
    of_path = compile_pattern(rule.pattern, "the pattern of a table").groupindex if rule.pattern else ()
    unknown = [name for name in names if name not in {*rule.columns, *of_path}]
    if rule.columns and unknown:
        yield f"'key' needs the column {unknown[0]!r:.60}, which [columns] does not name"


def _split_faults(manifest: Manifest) -> Iterator[str]:
    own = [*manifest.side_rules, *manifest.protocols]
    known = ", ".join([*SPLITS, *own[:MOST_KNOWN]])
    for split in manifest.splits:
        if not is_rule(split) and split not in own:
            yield f"unknown split {shown_key(split)!r}; known: {known}"
    for protocol in manifest.protocols.values():
        if not is_rule(protocol.split) and protocol.split not in manifest.side_rules:
            yield f"protocol {protocol.name!r} takes the unknown split {shown_key(protocol.split)!r}; known: {known}"
        if protocol.scheme is not None and protocol.scheme not in {*manifest.schemes, *COMMON_SCHEMES}:
            schemes = ", ".join([*[*manifest.schemes][:MOST_KNOWN], *COMMON_SCHEMES])
            unknown = shown_key(protocol.scheme)
            yield f"protocol {protocol.name!r} takes the unknown scheme {unknown!r}; known: {schemes}"
