"""Reading corpus manifests: TOML data sheets, checked whole before anything else is done with them.

A manifest is data and never code. It is found by its name in the package `data_manifests`, or read from a path that
ends in `.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from featurestore.corpus.sheet.checks import check_hex, is_relative
from featurestore.corpus.sheet.datasheet import (
    Archive,
    AudioFiles,
    Expected,
    IndexEntry,
    LabelRule,
    Manifest,
    Speaker,
)
from featurestore.corpus.sheet.label_sections import read_labels, read_list_rule, read_table_rule
from featurestore.corpus.sheet.sections import check_whole, read_archive, read_audio, read_expected, read_speakers
from featurestore.corpus.sheet.toml_table import Table
from featurestore.corpus.sheet.view_sections import read_protocols, read_schemes, read_side_rules
from featurestore.errors import ManifestError, UnknownNameError
from featurestore.toml_text import LARGEST_TEXT, parse_toml

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
    "parse_manifest",
    "read_manifest",
]

LARGEST_INDEX = 64 * 2**20
"""Bytes of an index; a line takes about 100."""

_NAME = re.compile(r"[a-z0-9_]{1,40}")


def manifest_names() -> tuple[str, ...]:
    """Return the names of the corpora that come with the package, sorted."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml")))


def find_manifest(name: str | Path) -> Manifest:
    """Return a manifest by the name of a known corpus, or from the user's own file ending in `.toml`.

    In a name, `-` stands for `_`.

    Raises
    ------
    UnknownNameError
        If no corpus has that name; the nearest is offered.
    ManifestError
        If the file cannot be read or contradicts itself.
    """
    if str(name).endswith(".toml"):
        return read_manifest(name)
    name = str(name).replace("-", "_")
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


def parse_manifest(text: str, where: str) -> Manifest:
    """Check the text of a manifest without an index; `ManifestError` as `read_manifest`, naming `where`."""
    return _parsed(text, Path(where), where)


def _folder() -> Path:
    """Return the folder beside this package that holds the manifests, in a checkout and in an installation alike."""
    return Path(__file__).resolve().parents[3] / "data_manifests"


def _read(file: Path) -> Manifest:
    where = f"manifest {file.name!r}"
    return _parsed(_text(file, where, LARGEST_TEXT), file, where)


def _parsed(text: str, file: Path, where: str) -> Manifest:
    try:
        values = parse_toml(text)
    except ValueError as error:
        raise ManifestError(f"{where}: not valid TOML ({error}).") from error
    return _manifest(Table(values, where), file)


def _text(file: Path, where: str, most: int) -> str:
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


def _manifest(table: Table, file: Path) -> Manifest:
    manifest = Manifest(
        name=table.require("name", str),
        title=table.require("title", str),
        family=table.take("family", str, ""),
        labels=read_labels(table.table("labels"), with_tables=bool(table.tables("tables"))),
        description=table.take("description", str, ""),
        language=table.take("language", str, ""),
        rate=table.take_optional("rate", int),
        hours=table.take_optional("hours", float),
        homepage=table.take("homepage", str, ""),
        licence=table.take("licence", str, "unknown"),
        licence_url=table.take("licence_url", str, ""),
        citation=table.take("citation", str, ""),
        splits=table.strings("splits", ("shuffled",)),
        generator=table.take_optional("generator", str),
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
    )
    table.done()
    check_whole(manifest, table.where)
    return manifest


def _index(relative: str | None, file: Path, where: str) -> Mapping[str, IndexEntry]:
    """Read the per-file index `path <tab> sha256 <tab> bytes` that lies beside or below the manifest."""
    if relative is None:
        return {}
    if not is_relative(relative):
        raise ManifestError(f"{where}: 'index' must be a relative path without '..', not {relative!r:.60}.")
    where = f"index {relative!r}"
    lines = _text(file.parent.joinpath(*relative.split("/")), where, LARGEST_INDEX).splitlines()
    return dict(_index_line(line, f"{where}, line {number}") for number, line in enumerate(lines, 1) if line)


def _index_line(line: str, where: str) -> tuple[str, IndexEntry]:
    path, checksum, size = (*line.split("\t"), "", "")[:3]
    if not (path and size.isdecimal() and len(size) < 16):
        raise ManifestError(f"{where}: expected 'path<tab>sha256<tab>bytes', found {line!r:.80}.")
    check_hex(checksum, 64, where)
    return path, IndexEntry(checksum, int(size))
