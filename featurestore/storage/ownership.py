"""Whether a folder is a store, so that nothing is written or deleted among files of somebody else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from featurestore.canonical import FORMAT, canonical_json, check_format, digest
from featurestore.errors import StorageError
from featurestore.regular import read_regular
from featurestore.storage.keys import FOLDER, MARKER, names_content
from featurestore.storage.writers import is_temporary

_BODY = {"featurestore": "store", "format": FORMAT}
MARK = canonical_json({**_BODY, "seal": digest(_BODY)}).encode("ascii")
"""What stands in the marker of every store."""
LARGEST_MARK = 1000
TEMPORARY = "tmp"
NEIGHBOURS = ("downloads", "kernels")
"""Folders of ours that lie beside a store in the user's cache folder and are no part of it."""


def is_store(root: Path) -> bool:
    """Tell whether a folder is a store: its marker says so or, where there is none, an object that stands in it.

    Raises
    ------
    StoreTooNewError
        If it is one of a newer format.
    OSError
        If it cannot be looked into.
    """
    try:
        mark = read_regular(root / MARKER, LARGEST_MARK)
    except PermissionError:
        raise
    except OSError:  # none, or a special file
        mark = b""
    if mark != MARK:
        _refuse_newer(mark)
    return mark == MARK or any(names_content(name) for name, is_folder in _entries(root, "") if not is_folder)


def check_may_begin(root: Path) -> None:
    """Refuse to begin a store where anything lies but what a build leaves that was killed as it began.

    Raises
    ------
    StorageError
        Naming what lies there.
    """
    for name, is_folder in _entries(root, "", foreign=True):
        folder, _, rest = name.partition("/")
        ours = FOLDER.fullmatch(name) or name == TEMPORARY if is_folder else folder == TEMPORARY and is_temporary(rest)
        if not ours:
            raise StorageError(
                f"{str(root)!r} is no store and holds other files ({name!r}): give --store a new or an empty folder."
            )


def _entries(root: Path, folder: str, *, foreign: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield what lies below a folder of a store, and whether it is a folder; links are none and are not followed."""
    try:
        found = list(os.scandir(root / folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        name = f"{folder}/{entry.name}".lstrip("/")
        is_folder = entry.is_dir(follow_symlinks=False)
        if name in NEIGHBOURS and is_folder:
            continue
        yield name, is_folder
        if is_folder and (FOLDER.fullmatch(name) or (foreign and name == TEMPORARY)):
            yield from _entries(root, name, foreign=foreign)


def _refuse_newer(mark: bytes) -> None:
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        body = dict(json.loads(mark))
        if body.pop("seal") == digest(body) and body["featurestore"] == "store":
            check_format(body["format"])
