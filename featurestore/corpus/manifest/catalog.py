"""The manifests that come with the package, by name, and manifests of users, by path."""

from __future__ import annotations

import re
from pathlib import Path

from featurestore.corpus.manifest.model import Manifest
from featurestore.corpus.manifest.parse import parse_text, read_text
from featurestore.errors import UnknownNameError
from featurestore.typed_values import LARGEST_TEXT

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


def _folder() -> Path:
    """Return the folder beside this package that holds the manifests, in a checkout and in an installation alike."""
    return Path(__file__).resolve().parents[3] / "data_manifests"


def _read(file: Path) -> Manifest:
    where = f"manifest {file.name!r}"
    return parse_text(read_text(file, where, LARGEST_TEXT), file, where)
