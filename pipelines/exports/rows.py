"""What several formats write of rows: names for files, and metadata in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from featurestore.conversion import metadata
from featurestore.errors import SpecError
from featurestore.segments import segment_of
from featurestore.showing import has_control_characters
from featurestore.view import DatasetView

BLOCK = 10_000
"""Rows whose metadata is in memory at once."""


def blocks(view: DatasetView) -> Iterator[dict[str, list[Any]]]:
    """Yield the metadata of all rows, see `featurestore.conversion.metadata`, under the same columns in all blocks."""
    for start in range(0, max(len(view), 1), BLOCK):
        yield metadata(view[start : start + BLOCK])


def row_names(view: DatasetView) -> list[str]:
    """Return the path of each row without its suffix, that of copy K with `_augK` behind it.

    A segment has its times and channel in the name: `talks/a-t-0.5-1.5_aug3`.

    Raises
    ------
    SpecError
        If two rows would share a name, or a path leads out of a folder.
    """
    names = []
    for path, content, copy in zip(view.paths, view.contents, view.copies.tolist(), strict=True):
        file = segment_of(content).file(path)
        if any(part in ("", ".", "..") for part in file.split("/")) or has_control_characters(file):
            raise SpecError(f"the path {path!r:.120} of a recording cannot be that of a file: export to hdf5 or csv.")
        part = re.sub(r"[^\w.]+", "-", path.removeprefix(file))
        names.append(f"{PurePosixPath(file).with_suffix('')}{part}{f'_aug{copy}' if copy else ''}")
    return distinct(view, names)


def distinct(view: DatasetView, names: list[str]) -> list[str]:
    """Return the names of all rows; `SpecError` if two of them are the same."""
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        first = rows.setdefault(name, row)
        if first != row:
            one, other = (f"copy {view.copies[which]} of {view.paths[which]!r:.80}" for which in (first, row))
            raise SpecError(f"{one} and {other} would both be written as {name!r:.120}: export to hdf5 or csv.")
    return names
