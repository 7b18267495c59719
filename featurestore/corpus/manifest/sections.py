"""The sections of a manifest, each checked by itself; what needs the registries is in `validate`."""

from __future__ import annotations

import codecs
import re
from dataclasses import replace

from featurestore.corpus.manifest.model import (
    Archive,
    AudioFiles,
    Expected,
    LabelRule,
    ListRule,
    Protocol,
    Scheme,
    SideRule,
    Speaker,
    TableRule,
)
from featurestore.corpus.manifest.regex import compile_pattern
from featurestore.corpus.manifest.toml_table import TomlTable, check_hex, is_relative, listed_names
from featurestore.corpus.sources.audio_files import ENCODINGS, RawFormat
from featurestore.corpus.splits.leakage import KINDS as LEAK_KINDS
from featurestore.errors import ManifestError

NO_DELIMITERS = frozenset('"\r\n\0')
"""Signs that begin a quoted cell or end a line."""
NO_ENCODINGS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Codecs of Python that stand for names of hosts or for escapes; some take time with the square of a text."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}")
_SCHEME_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_PROTOCOL_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}(@[a-z0-9]{1,40})?")


def read_labels(table: TomlTable, *, with_tables: bool) -> LabelRule:
    """Read `[labels]`; where there are tables beside the audio, it needs no pattern."""
    pattern = table.take("pattern", str, "") if with_tables else table.require("pattern", str)
    rule = table.into(LabelRule, pattern=pattern)
    _check_match(rule.match, table.where)
    compile_pattern(rule.pattern, table.where)
    return replace(rule, speaker=rule.speaker or None)


def read_table_rule(table: TomlTable) -> TableRule:
    """Read one `[[tables]]` entry."""
    columns = table.table("columns")
    rule = table.into(TableRule, columns={field: _column(columns, field) for field in columns.keys()})  # noqa: SIM118
    _check_files(rule, table.where)
    _check_match(rule.match, table.where, ("name", "path", "either"))
    if rule.format == "columns" and not rule.header and not rule.columns:
        raise ManifestError(f"{table.where}: without a header, 'columns' must number them, as file = 1.")
    if rule.delimiter is not None and (len(rule.delimiter) != 1 or rule.delimiter in NO_DELIMITERS):
        raise ManifestError(f"{table.where}: 'delimiter' must be one sign such as ',', not {rule.delimiter!r:.20}.")
    for encoding in rule.encoding:
        try:
            found = codecs.lookup(encoding)
            is_text = found._is_text_encoding and found.name not in NO_ENCODINGS
        except (LookupError, ValueError):
            is_text = False
        if not is_text:
            raise ManifestError(f"{table.where}: unknown encoding {encoding!r:.40}, write one such as utf-8 or cp949.")
    return rule


def read_list_rule(table: TomlTable) -> ListRule:
    """Read one `[[lists]]` entry."""
    rule = table.into(ListRule)
    _check_files(rule, table.where)
    _check_match(rule.match, table.where)
    return rule


def _check_files(rule: TableRule | ListRule, where: str) -> None:
    if not rule.files or not all(is_relative(pattern) for pattern in rule.files):
        raise ManifestError(f"{where}: 'files' must name one file or more, as relative patterns without '..'.")


def _column(table: TomlTable, field: str) -> tuple[str | int, ...]:
    """Read where a field stands: a name, a number from 1, or a list of accepted names."""
    value = table.take(field, object, ())
    if isinstance(value, str) and value:
        return (value,)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000:
        return (value,)
    if isinstance(value, list) and value and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise ManifestError(f"{table.where}: {field!r} must be a column's name, a list of names, or a number from 1.")


def _check_match(match: str, where: str, allowed: tuple[str, ...] = ("name", "path")) -> None:
    if match not in allowed:
        raise ManifestError(f"{where}: 'match' must be {' or '.join(map(repr, allowed))}, not {match!r:.60}.")


def read_archive(table: TomlTable) -> Archive:
    """Read one `[[archives]]` entry; `ManifestError` if it is no address or checksum."""
    archive = table.into(Archive)
    if not archive.url.startswith(("https://", "http://")):
        raise ManifestError(f"{table.where}: 'url' must start with https:// or http://, not {archive.url!r:.60}.")
    if not _FILE_NAME.fullmatch(archive.name) or archive.name.startswith("."):
        raise ManifestError(f"{table.where}: 'name' must be a plain file name, not {archive.name!r:.60}.")
    check_hex(archive.sha256, 64, f"{table.where}, 'sha256'")
    check_hex(archive.md5, 32, f"{table.where}, 'md5'")
    return archive


def read_audio(table: TomlTable) -> AudioFiles:
    """Read `[audio]` with `[audio.raw]`."""
    raw, headerless = None, table.table("raw")
    if headerless.keys():
        raw = headerless.into(RawFormat)
        if raw.encoding not in ENCODINGS or raw.endian not in ("little", "big"):
            known = ", ".join(ENCODINGS)
            raise ManifestError(f"{headerless.where}: 'encoding' is one of {known}, 'endian' little or big.")
        if not (1_000 <= raw.rate <= 384_000 and 1 <= raw.channels <= 8):
            raise ManifestError(f"{headerless.where}: 'rate' lies within 1,000 and 384,000, 'channels' within 1 and 8.")
    audio = table.into(AudioFiles, raw=raw)
    if audio.folder and not is_relative(audio.folder):
        raise ManifestError(f"{table.where}: 'folder' must be a relative path without '..', not {audio.folder!r:.60}.")
    if not 1 <= audio.depth <= 16:
        raise ManifestError(f"{table.where}: 'depth' must lie within 1 and 16, not {audio.depth}.")
    return audio


def read_speaker(table: TomlTable, name: str) -> Speaker:
    """Read one entry of `[speakers]`."""
    speaker = table.into(Speaker, id=name)
    if speaker.sex not in (None, "female", "male", "other"):
        raise ManifestError(f"{table.where}: 'sex' must be female, male or other, not {speaker.sex!r:.60}.")
    return speaker


def read_expected(table: TomlTable) -> Expected:
    """Read an `[expected]` section."""
    expected = table.into(Expected)
    counted = {"labels": expected.labels, "speakers": expected.speakers, **expected.fields}
    for kind, counts in counted.items():
        total = sum(counts.values())
        if counts and expected.files is not None and total != expected.files:
            raise ManifestError(
                f"{table.where}: the expected {kind} sum to {total}, but 'files' says {expected.files}."
            )
    return expected


def read_scheme(table: TomlTable, name: str) -> Scheme:
    """Read a `[schemes.NAME]` section."""
    scheme = table.into(Scheme, name=name, expected=read_expected(table.table("expected")))
    _check_name(_SCHEME_NAME, name, table.where)
    strangers = sorted(set(scheme.expected.labels) - set(scheme.keep)) if scheme.keep else []
    if strangers:
        raise ManifestError(f"{table.where}: expected labels {listed_names(strangers)} are missing from 'keep'.")
    return scheme


def read_side_rule(table: TomlTable, name: str) -> SideRule:
    """Read a `[sides.NAME]` section."""
    rule = table.into(SideRule, name=name)
    _check_name(_SCHEME_NAME, name, table.where)
    if not 0 <= rule.hold_out <= 100_000:
        raise ManifestError(f"{table.where}: 'hold_out' is a number of groups, not {rule.hold_out}.")
    return rule


def read_protocol(table: TomlTable, name: str) -> Protocol:
    """Read a `[protocols.NAME]` section."""
    protocol = table.into(Protocol, name=name)
    _check_name(_PROTOCOL_NAME, name, table.where)
    unknown = sorted(set(protocol.leaks) - set(LEAK_KINDS))
    if unknown:
        raise ManifestError(f"{table.where}: 'leaks' are of {', '.join(LEAK_KINDS)}, not {unknown[0]!r:.40}.")
    return protocol


def _check_name(allowed: re.Pattern[str], name: str, where: str) -> None:
    if not allowed.fullmatch(name):
        raise ManifestError(f"{where}: {name!r:.60} is no name: use a-z, 0-9, '_', '.' and '-'.")
