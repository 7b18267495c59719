"""Finding and reading manifests: by the name of a corpus in the folder `data_manifests`, by path, or as text.

A manifest is data and never code; it is checked whole before anything else is done with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from featurestore.corpus.catalog import sections
from featurestore.corpus.catalog.toml_table import TomlTable, check_hex, is_relative
from featurestore.corpus.manifest import IndexEntry, Manifest
from featurestore.errors import ManifestError, UnknownNameError
from featurestore.typed_values import LARGEST_TEXT, parse_toml

FOLDER = Path(__file__).resolve().parents[3] / "data_manifests"
"""Lies beside this package, in a checkout and in an installation alike."""
LARGEST_INDEX = 64 * 2**20
"""Bytes of an index; a line takes about 100."""


def manifest_names() -> tuple[str, ...]:
    """Return the names of the corpora that come with the package, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.iterdir() if file.name.endswith(".toml")))


def find_manifest(name: str | Path) -> Manifest:
    """Return a manifest by the name of a known corpus, or from the user's own file ending in `.toml`.

    In a name, `-` stands for `_`.

    Raises
    ------
    UnknownNameError
        If no corpus has that name; the nearest is offered.
    ManifestError
        As `read_manifest`.
    """
    if str(name).endswith(".toml"):
        return read_manifest(name)
    name = str(name).replace("-", "_")
    if not re.fullmatch("[a-z0-9_]{1,40}", name) or name not in manifest_names():
        raise UnknownNameError("corpus", name, manifest_names(), "A path to your own manifest ends in .toml.")
    return read_manifest(FOLDER / f"{name}.toml")


def read_manifest(path: str | Path) -> Manifest:
    """Read and check a manifest file.

    Raises
    ------
    ManifestError
        If the file is missing, too large, no TOML, has an unknown key (the nearest is named), or contradicts itself.
    """
    file = Path(path)
    where = f"manifest {file.name!r}"
    return parse_manifest(_read_text(file, where, LARGEST_TEXT), where, file)


def parse_manifest(text: str, where: str, file: Path | None = None) -> Manifest:
    """Check the text of a manifest; `ManifestError` as `read_manifest`, naming `where`.

    Its index is looked for beside `file`.
    """
    try:
        values = parse_toml(text)
    except ValueError as error:
        raise ManifestError(f"{where}: not valid TOML ({error}).") from error
    return manifest_of(TomlTable(values, where), file or Path(where))


def manifest_of(table: TomlTable, file: Path) -> Manifest:
    """Return the manifest in the tables of a file; `ManifestError` if they are none."""
    manifest = table.into(
        Manifest,
        labels=sections.read_labels(table.table("labels"), with_tables=bool(table.tables("tables"))),
        archives=tuple(map(sections.read_archive, table.tables("archives"))),
        audio=sections.read_audio(table.table("audio")),
        speakers=tuple(table.each("speakers", sections.read_speaker).values()),
        expected=sections.read_expected(table.table("expected")),
        index=_index(table.take("index", str), file, table.where),
        tables=tuple(map(sections.read_table_rule, table.tables("tables"))),
        lists=tuple(map(sections.read_list_rule, table.tables("lists"))),
        schemes=table.each("schemes", sections.read_scheme),
        dimensions=table.each("dimensions", sections.read_dimension),
        side_rules=table.each("sides", sections.read_side_rule),
        protocols=table.each("protocols", sections.read_protocol),
        place=None,
        translation=None,
        notes=(),
    )
    sections.check_manifest(manifest, table.where)
    return manifest


def _index(relative: str | None, file: Path, where: str) -> Mapping[str, IndexEntry]:
    """Read the per-file index `path <tab> sha256 <tab> bytes` that lies beside or below the manifest."""
    found: dict[str, IndexEntry] = {}
    if relative is None:
        return found
    if not is_relative(relative):
        raise ManifestError(f"{where}: 'index' must be a relative path without '..', not {relative!r:.60}.")
    where = f"index {relative!r}"
    text = _read_text(file.parent.joinpath(*relative.split("/")), where, LARGEST_INDEX)
    for number, line in enumerate(text.splitlines(), 1):
        if line:
            place = f"{where}, line {number}"
            path, checksum, size = (*line.split("\t"), "", "")[:3]
            if not (path and size.isdecimal() and len(size) < 16):
                raise ManifestError(f"{place}: expected 'path<tab>sha256<tab>bytes', found {line!r:.80}.")
            check_hex(checksum, 64, place)
            found[path] = IndexEntry(checksum, int(size))
    return found


def _read_text(file: Path, where: str, most: int) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise ManifestError(f"{where}: larger than {most:,} bytes, so it is no manifest or index.")
        return data.decode("utf-8")
    except OSError as error:
        raise ManifestError(f"{where}: cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise ManifestError(f"{where}: not UTF-8 text ({error}).") from error
