"""The sections of a data sheet about files, archives, audio, speakers and counts; and whether a sheet is consistent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from featurestore.corpus.labels.schemes import COMMON_SCHEMES
from featurestore.corpus.reading.raw_audio import ENCODINGS, RawFormat
from featurestore.corpus.sheet.checks import check_hex, is_relative
from featurestore.corpus.sheet.datasheet import Archive, AudioFiles, Expected, Manifest, Speaker
from featurestore.corpus.sheet.toml_table import Table, listed_names, shown_key
from featurestore.corpus.splitting.split_rules import SPLITS, is_rule
from featurestore.errors import ManifestError

MOST_KNOWN = 12
"""Splits or schemes of the sheet's own that a message names."""

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


def check_whole(manifest: Manifest, where: str) -> None:
    """Refuse a manifest whose parts contradict each other."""
    for fault in _faults(manifest):
        raise ManifestError(f"{where}: {fault}.")


def _faults(manifest: Manifest) -> Iterator[str]:
    if not _NAME.fullmatch(manifest.name):
        yield f"'name' must be 1 to 40 of a-z, 0-9 and _, not {manifest.name!r:.60}"
    if (manifest.rate is not None and manifest.rate < 1) or (manifest.hours is not None and manifest.hours < 0):
        yield f"'rate' and 'hours' are positive, not {manifest.rate} and {manifest.hours}"
    expected, rule = manifest.expected, manifest.labels
    known = set(rule.codes.get(rule.target, {}).values())
    strangers = sorted(set(expected.labels) - known) if known else []
    if strangers:
        yield f"expected labels {listed_names(strangers)} stand in no code of {shown_key(rule.target)!r}"
    unlisted = sorted(set(expected.speakers) - {speaker.id for speaker in manifest.speakers})
    if manifest.speakers and unlisted:
        yield f"expected speakers {listed_names(unlisted)} stand not in [speakers]"
    yield from _unknown_splits(manifest)
    for path, entry in manifest.index.items():
        if not is_relative(path) or entry.bytes < 1:
            yield f"the index names {path!r:.60}, which is no relative path to a file"


def _unknown_splits(manifest: Manifest) -> Iterator[str]:
    known = ", ".join([*SPLITS, *[*manifest.side_rules, *manifest.protocols][:MOST_KNOWN]])
    for split in manifest.splits:
        if not is_rule(split) and split not in {*manifest.side_rules, *manifest.protocols}:
            yield f"unknown split {shown_key(split)!r}; known: {known}"
    for protocol in manifest.protocols.values():
        if not is_rule(protocol.split) and protocol.split not in manifest.side_rules:
            yield f"protocol {protocol.name!r} takes the unknown split {shown_key(protocol.split)!r}; known: {known}"
        if protocol.scheme is not None and protocol.scheme not in {*manifest.schemes, *COMMON_SCHEMES}:
            schemes = ", ".join([*[*manifest.schemes][:MOST_KNOWN], *COMMON_SCHEMES])
            unknown = shown_key(protocol.scheme)
            yield f"protocol {protocol.name!r} takes the unknown scheme {unknown!r}; known: {schemes}"
