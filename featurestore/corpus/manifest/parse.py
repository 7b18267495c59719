"""Reading manifests: TOML, checked whole before anything else is done with them.

A manifest is data and never code. It is found by its name in the package `data_manifests`, or read from a path that
ends in `.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featurestore.corpus.manifest.model import IndexEntry, Manifest
from featurestore.corpus.manifest.sections import (
    read_archive,
    read_audio,
    read_expected,
    read_labels,
    read_list_rule,
    read_protocols,
    read_schemes,
    read_side_rules,
    read_speakers,
    read_table_rule,
)
from featurestore.corpus.manifest.toml_table import TomlTable, check_hex, is_relative
from featurestore.corpus.manifest.validate import check_whole
from featurestore.errors import ManifestError
from featurestore.typed_values import parse_toml

LARGEST_INDEX = 64 * 2**20
"""Bytes of an index; a line takes about 100."""


def parse_manifest(text: str, where: str) -> Manifest:
    """Check the text of a manifest without an index; `ManifestError` as `read_manifest`, naming `where`."""
    return parse_text(text, Path(where), where)


def parse_text(text: str, file: Path, where: str) -> Manifest:
    """Check the text of the manifest in a file; `ManifestError`, naming `where`, if it is none."""
    try:
        values = parse_toml(text)
    except ValueError as error:
        raise ManifestError(f"{where}: not valid TOML ({error}).") from error
    return _manifest(TomlTable(values, where), file)


def read_text(file: Path, where: str, most: int) -> str:
    """Return the text of a file of at most `most` bytes; `ManifestError`, naming `where`, if it cannot be read."""
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise ManifestError(f"{where}: larger than {most:,} bytes, so it is no manifest or index.")
        return data.decode("utf-8")
    except OSError as error:
        raise ManifestError(f"{where}: cannot be read ({error.strerror}). Check the path.") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ManifestError(f"{where}: not UTF-8 text ({error}).") from error


def _manifest(table: TomlTable, file: Path) -> Manifest:
    manifest = table.into(
        Manifest,
        labels=read_labels(table.table("labels"), with_tables=bool(table.tables("tables"))),
        archives=tuple(read_archive(archive) for archive in table.tables("archives")),
        audio=read_audio(table.table("audio")),
        speakers=read_speakers(table.table("speakers")),
        expected=read_expected(table.table("expected")),
        index=_index(table.take_optional("index", str), file, table.where),
        tables=tuple(read_table_rule(rule) for rule in table.tables("tables")),
        lists=tuple(read_list_rule(rule) for rule in table.tables("lists")),
        schemes=read_schemes(table.table("schemes")),
        side_rules=read_side_rules(table.table("sides")),
        protocols=read_protocols(table.table("protocols")),
        place=None,
        translation=None,
        notes=(),
    )
    check_whole(manifest, table.where)
    return manifest


def _index(relative: str | None, file: Path, where: str) -> Mapping[str, IndexEntry]:
    """Read the per-file index `path <tab> sha256 <tab> bytes` that lies beside or below the manifest."""
    if relative is None:
        return {}
    if not is_relative(relative):
        raise ManifestError(f"{where}: 'index' must be a relative path without '..', not {relative!r:.60}.")
    where = f"index {relative!r}"
    lines = read_text(file.parent.joinpath(*relative.split("/")), where, LARGEST_INDEX).splitlines()
    return dict(_index_line(line, f"{where}, line {number}") for number, line in enumerate(lines, 1) if line)


def _index_line(line: str, where: str) -> tuple[str, IndexEntry]:
    path, checksum, size = (*line.split("\t"), "", "")[:3]
    if not (path and size.isdecimal() and len(size) < 16):
        raise ManifestError(f"{where}: expected 'path<tab>sha256<tab>bytes', found {line!r:.80}.")
    check_hex(checksum, 64, where)
    return path, IndexEntry(checksum, int(size))
