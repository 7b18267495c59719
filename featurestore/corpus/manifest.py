"""Reading corpus manifests: TOML data sheets, checked whole before anything else is done with them.

A manifest is data and never code. It is found by its name in the package `data_manifests`, or read from a path that
ends in `.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from featurestore.corpus.checks import check_hex, is_relative
from featurestore.corpus.datasheet import (
    Archive,
    AudioFiles,
    Expected,
    IndexEntry,
    LabelRule,
    Manifest,
    Speaker,
)
from featurestore.corpus.patterns import compile_pattern
from featurestore.corpus.splits import SPLITS
from featurestore.corpus.toml_table import Table
from featurestore.errors import ManifestError, UnknownNameError

__all__ = [
    "Archive",
    "AudioFiles",
    "Expected",
    "IndexEntry",
    "LabelRule",
    "Manifest",
    "Speaker",
    "find_manifest",
    "manifest_names",
    "read_manifest",
]

LARGEST_FILE = 64 * 2**20
"""Bytes of a manifest or an index that are read at most; an index line takes about 100."""

_NAME = re.compile(r"[a-z0-9_]{1,40}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}")


def manifest_names() -> tuple[str, ...]:
    """Return the names of the corpora that come with the package, sorted."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml")))


def find_manifest(name: str | Path) -> Manifest:
    """Return a manifest by the name of a known corpus, or from the user's own file ending in `.toml`.

    Raises
    ------
    UnknownNameError
        If no corpus has that name; the nearest is offered.
    ManifestError
        If the file cannot be read or contradicts itself.
    """
    if str(name).endswith(".toml"):
        return read_manifest(name)
    if not _NAME.fullmatch(str(name)) or name not in manifest_names():
        raise UnknownNameError("corpus", str(name), manifest_names(), "A path to your own manifest ends in .toml.")
    return _read(_folder() / f"{name}.toml")


def read_manifest(path: str | Path) -> Manifest:
    """Read and check a manifest file.

    Raises
    ------
    ManifestError
        If the file is missing, too large, no TOML, has an unknown key (the nearest is named), or contradicts itself.
    """
    return _read(Path(path))


def _folder() -> Path:
    """Return the folder beside this package that holds the manifests, in a checkout and in an installation alike."""
    return Path(__file__).resolve().parents[2] / "data_manifests"


def _read(file: Path) -> Manifest:
    where = f"manifest {file.name!r}"
    try:
        values = tomllib.loads(_text(file, where))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ManifestError(f"{where}: not valid TOML ({error}).") from error
    return _manifest(Table(values, where), file)


def _text(file: Path, where: str) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ManifestError(f"{where}: larger than {LARGEST_FILE} bytes, so it is no manifest or index.")
        return data.decode("utf-8")
    except OSError as error:
        raise ManifestError(f"{where}: cannot be read ({error.strerror}). Check the path.") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ManifestError(f"{where}: not UTF-8 text ({error}).") from error


def _manifest(table: Table, file: Path) -> Manifest:
    manifest = Manifest(
        name=table.require("name", str),
        title=table.require("title", str),
        labels=_labels(table.table("labels")),
        description=table.take("description", str, ""),
        language=table.take("language", str, ""),
        rate=table.take_optional("rate", int),
        homepage=table.take("homepage", str, ""),
        licence=table.take("licence", str, "unknown"),
        licence_url=table.take("licence_url", str, ""),
        citation=table.take("citation", str, ""),
        splits=table.strings("splits", ("shuffled",)),
        generator=table.take_optional("generator", str),
        archives=tuple(_archive(archive) for archive in table.tables("archives")),
        audio=_audio(table.table("audio")),
        speakers=_speakers(table.table("speakers")),
        expected=_expected(table.table("expected")),
        index=_index(table.take_optional("index", str), file, table.where),
    )
    table.done()
    _check_whole(manifest, table.where)
    return manifest


def _labels(table: Table) -> LabelRule:
    codes = table.table("codes")
    rule = LabelRule(
        pattern=table.require("pattern", str),
        target=table.require("target", str),
        match=table.take("match", str, "name"),
        speaker=table.take("speaker", str, "speaker") or None,
        text=table.take_optional("text", str),
        codes={group: codes.table(group).all_of(str) for group in codes.keys()},  # noqa: SIM118 (a method of ours)
    )
    table.done()
    groups = compile_pattern(rule.pattern, table.where).groupindex
    for group in (rule.target, rule.speaker, rule.text, *rule.codes):
        if group is not None and group not in groups:
            raise ManifestError(f"{table.where}: the pattern has no group (?P<{group}>...).")
    if rule.match not in ("name", "path"):
        raise ManifestError(f"{table.where}: 'match' must be 'name' or 'path', not {rule.match!r}.")
    return rule


def _archive(table: Table) -> Archive:
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


def _audio(table: Table) -> AudioFiles:
    default = AudioFiles()
    audio = AudioFiles(
        include=table.strings("include", default.include),
        exclude=table.strings("exclude"),
        folder=table.take("folder", str, ""),
        depth=table.take("depth", int, default.depth),
    )
    table.done()
    if audio.folder and not is_relative(audio.folder):
        raise ManifestError(f"{table.where}: 'folder' must be a relative path without '..', not {audio.folder!r:.60}.")
    if not 1 <= audio.depth <= 16:
        raise ManifestError(f"{table.where}: 'depth' must lie within 1 and 16, not {audio.depth}.")
    return audio


def _speakers(table: Table) -> tuple[Speaker, ...]:
    return tuple(_speaker(name, table.table(name)) for name in table.keys())  # noqa: SIM118


def _speaker(name: str, table: Table) -> Speaker:
    speaker = Speaker(name, table.take_optional("sex", str), table.take_optional("age", int))
    table.done()
    if speaker.sex not in (None, "female", "male", "other"):
        raise ManifestError(f"{table.where}: 'sex' must be female, male or other, not {speaker.sex!r}.")
    return speaker


def _expected(table: Table) -> Expected:
    expected = Expected(
        files=table.take_optional("files", int),
        labels=table.table("labels").all_of(int),
        speakers=table.table("speakers").all_of(int),
    )
    table.done()
    return expected


def _index(relative: str | None, file: Path, where: str) -> Mapping[str, IndexEntry]:
    """Read the per-file index `path <tab> sha256 <tab> bytes` that lies beside or below the manifest."""
    if relative is None:
        return {}
    if not is_relative(relative):
        raise ManifestError(f"{where}: 'index' must be a relative path without '..', not {relative!r:.60}.")
    where = f"index {relative!r}"
    lines = _text(file.parent.joinpath(*relative.split("/")), where).splitlines()
    return dict(_index_line(line, f"{where}, line {number}") for number, line in enumerate(lines, 1) if line)


def _index_line(line: str, where: str) -> tuple[str, IndexEntry]:
    path, checksum, size = (*line.split("\t"), "", "")[:3]
    if not (path and size.isdecimal() and len(size) < 16):
        raise ManifestError(f"{where}: expected 'path<tab>sha256<tab>bytes', found {line!r:.80}.")
    check_hex(checksum, 64, where)
    return path, IndexEntry(checksum, int(size))


def _check_whole(manifest: Manifest, where: str) -> None:
    """Refuse a manifest whose parts contradict each other."""
    if not _NAME.fullmatch(manifest.name):
        raise ManifestError(f"{where}: 'name' must be 1 to 40 of a-z, 0-9 and _, not {manifest.name!r:.60}.")
    expected, rule = manifest.expected, manifest.labels
    for kind, counts in (("labels", expected.labels), ("speakers", expected.speakers)):
        total = sum(counts.values())
        if counts and expected.files is not None and total != expected.files:
            raise ManifestError(f"{where}: the expected {kind} sum to {total}, but 'files' says {expected.files}.")
    known = set(rule.codes.get(rule.target, {}).values())
    strangers = sorted(set(expected.labels) - known) if known else []
    if strangers:
        raise ManifestError(f"{where}: expected labels {strangers} stand in no code of {rule.target!r}.")
    unlisted = sorted(set(expected.speakers) - {speaker.id for speaker in manifest.speakers})
    if manifest.speakers and unlisted:
        raise ManifestError(f"{where}: expected speakers {unlisted} stand not in [speakers].")
    for split in manifest.splits:
        if split not in SPLITS:
            raise ManifestError(f"{where}: unknown split {split!r}; known: {', '.join(SPLITS)}.")
    for path, entry in manifest.index.items():
        if not is_relative(path) or entry.bytes < 1:
            raise ManifestError(f"{where}: the index names {path!r:.60}, which is no relative path to a file.")
