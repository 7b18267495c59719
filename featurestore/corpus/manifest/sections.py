"""The sections of a manifest about files, audio, speakers, counts, schemes, sides and protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping

from featurestore.corpus.labels.votes import VOTE_RULES
from featurestore.corpus.manifest.model import Archive, AudioFiles, Expected, Protocol, Scheme, SideRule, Speaker
from featurestore.corpus.manifest.toml_table import Table, check_hex, is_relative, listed_names
from featurestore.corpus.sources.audio_files import ENCODINGS, RawFormat
from featurestore.errors import ManifestError

MOST_KNOWN = 12
"""Splits or schemes of the manifest's own that a message names."""


_NAME = re.compile(r"[a-z0-9_]{1,40}")

_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}")


def read_archive(table: Table) -> Archive:
    """Read one `[[archives]]` entry; `ManifestError` if it is no address or checksum."""
    archive = Archive(
        url=table.require("url", str),
        name=table.require("name", str),
        sha256=table.take_optional("sha256", str),
        md5=table.take_optional("md5", str),
        bytes=table.take_optional("bytes", int),
        unpacked_bytes=table.take_optional("unpacked_bytes", int),
    )
    table.done()
    if not archive.url.startswith(("https://", "http://")):
        raise ManifestError(f"{table.where}: 'url' must start with https:// or http://, not {archive.url!r:.60}.")
    if not _FILE_NAME.fullmatch(archive.name) or archive.name.startswith("."):
        raise ManifestError(f"{table.where}: 'name' must be a plain file name, not {archive.name!r:.60}.")
    check_hex(archive.sha256, 64, f"{table.where}, 'sha256'")
    check_hex(archive.md5, 32, f"{table.where}, 'md5'")
    return archive


def read_audio(table: Table) -> AudioFiles:
    """Read `[audio]`."""
    default = AudioFiles()
    audio = AudioFiles(
        include=table.strings("include", default.include),
        exclude=table.strings("exclude"),
        folder=table.take("folder", str, ""),
        depth=table.take("depth", int, default.depth),
        raw=_raw(table.table("raw")),
        known_bad=table.table("known_bad").all_of(str),
    )
    table.done()
    if audio.folder and not is_relative(audio.folder):
        raise ManifestError(f"{table.where}: 'folder' must be a relative path without '..', not {audio.folder!r:.60}.")
    if not 1 <= audio.depth <= 16:
        raise ManifestError(f"{table.where}: 'depth' must lie within 1 and 16, not {audio.depth}.")
    return audio


def _raw(table: Table) -> RawFormat | None:
    if not table.keys():
        return None
    raw = RawFormat(
        rate=table.require("rate", int),
        channels=table.take("channels", int, 1),
        encoding=table.take("encoding", str, "pcm_16"),
        endian=table.take("endian", str, "little"),
    )
    table.done()
    if raw.encoding not in ENCODINGS or raw.endian not in ("little", "big"):
        raise ManifestError(f"{table.where}: 'encoding' is one of {', '.join(ENCODINGS)}, 'endian' little or big.")
    if not (1_000 <= raw.rate <= 384_000 and 1 <= raw.channels <= 8):
        raise ManifestError(f"{table.where}: 'rate' lies within 1,000 and 384,000, 'channels' within 1 and 8.")
    return raw


def read_speakers(table: Table) -> tuple[Speaker, ...]:
    """Read `[speakers]`."""
    return tuple(_speaker(name, table.table(name)) for name in table.keys())  # noqa: SIM118


def _speaker(name: str, table: Table) -> Speaker:
    speaker = Speaker(name, table.take_optional("sex", str), table.take_optional("age", int))
    table.done()
    if speaker.sex not in (None, "female", "male", "other"):
        raise ManifestError(f"{table.where}: 'sex' must be female, male or other, not {speaker.sex!r:.60}.")
    return speaker


def read_expected(table: Table) -> Expected:
    """Read an `[expected]` section."""
    fields = table.table("fields")
    expected = Expected(
        files=table.take_optional("files", int),
        labels=table.table("labels").all_of(int),
        speakers=table.table("speakers").all_of(int),
        speaker_count=table.take_optional("speaker_count", int),
        fields={name: fields.table(name).all_of(int) for name in fields.keys()},  # noqa: SIM118
    )
    table.done()
    _check_sums(expected, table.where)
    return expected


def _check_sums(expected: Expected, where: str) -> None:
    counted = {"labels": expected.labels, "speakers": expected.speakers, **expected.fields}
    for kind, counts in counted.items():
        total = sum(counts.values())
        if counts and expected.files is not None and total != expected.files:
            raise ManifestError(f"{where}: the expected {kind} sum to {total}, but 'files' says {expected.files}.")


_SCHEME_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")

_PROTOCOL_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}(@[a-z0-9]{1,40})?")

LEAK_KINDS = ("speaker", "source", "recording", "audio", "sentence")


def read_schemes(table: Table) -> Mapping[str, Scheme]:
    """Read `[schemes.NAME]` sections."""
    return {name: _scheme(name, table.table(name)) for name in table.keys()}  # noqa: SIM118


def _scheme(name: str, table: Table) -> Scheme:
    where = table.table("where")
    scheme = Scheme(
        name=name,
        title=table.take("title", str, ""),
        target=table.take_optional("target", str),
        votes=table.take_optional("votes", str),
        where={field: where.one_or_more(field) for field in where.keys()},  # noqa: SIM118
        map=table.table("map").all_of(str),
        keep=table.strings("keep"),
        expected=read_expected(table.table("expected")),
    )
    table.done()
    _check_name(_SCHEME_NAME, name, table.where)
    if scheme.votes is not None and scheme.votes not in VOTE_RULES:
        raise ManifestError(
            f"{table.where}: unknown rule {scheme.votes!r:.60} for votes; known: {', '.join(VOTE_RULES)}."
        )
    strangers = sorted(set(scheme.expected.labels) - set(scheme.keep)) if scheme.keep else []
    if strangers:
        raise ManifestError(f"{table.where}: expected labels {listed_names(strangers)} stand not in 'keep'.")
    return scheme


def read_side_rules(table: Table) -> Mapping[str, SideRule]:
    """Read `[sides.NAME]` sections."""
    return {name: _side_rule(name, table.table(name)) for name in table.keys()}  # noqa: SIM118


def _side_rule(name: str, table: Table) -> SideRule:
    default = SideRule(name)
    rule = SideRule(
        name,
        description=table.take("description", str, ""),
        field=table.take("field", str, default.field),
        train=table.one_or_more("train", default.train),
        validation=table.one_or_more("validation", default.validation),
        test=table.one_or_more("test", default.test),
        hold_out=table.take("hold_out", int, 0),
        group=table.take("group", str, default.group),
        by=table.take_optional("by", str),
        drawn=table.take("drawn", bool, False),
    )
    table.done()
    _check_name(_SCHEME_NAME, name, table.where)
    if not 0 <= rule.hold_out <= 100_000:
        raise ManifestError(f"{table.where}: 'hold_out' is a number of groups, not {rule.hold_out}.")
    return rule


def read_protocols(table: Table) -> Mapping[str, Protocol]:
    """Read `[protocols.NAME]` sections."""
    return {name: _protocol(name, table.table(name)) for name in table.keys()}  # noqa: SIM118


def _protocol(name: str, table: Table) -> Protocol:
    protocol = Protocol(
        name,
        split=table.require("split", str),
        scheme=table.take_optional("scheme", str),
        citation=table.take("citation", str, ""),
        description=table.take("description", str, ""),
        leaks=table.strings("leaks"),
    )
    table.done()
    _check_name(_PROTOCOL_NAME, name, table.where)
    unknown = sorted(set(protocol.leaks) - set(LEAK_KINDS))
    if unknown:
        raise ManifestError(f"{table.where}: 'leaks' are of {', '.join(LEAK_KINDS)}, not {unknown[0]!r:.40}.")
    return protocol


def _check_name(allowed: re.Pattern[str], name: str, where: str) -> None:
    if not allowed.fullmatch(name):
        raise ManifestError(f"{where}: {name!r:.60} is no name: use a-z, 0-9, '_', '.' and '-'.")
