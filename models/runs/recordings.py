"""Which recordings stood on which side of a training: kept in the run folder, so that nothing learnt is tested on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from models.data import FeatureView
from models.errors import CheckpointError
from models.runs.checkpoint import write_atomically

SIDES_FILE = "sides.csv"
"""A table of sides as `--split` takes one, with the sha256 of each recording in a third column."""
COLUMNS = ("path", "side", "content")

SideRecordings = Mapping[str, Mapping[str, str]]
"""Of each side, the sha256 of every recording by its path."""


def recordings_of(view: FeatureView) -> dict[str, str]:
    """Return the sha256 of every recording of a view, by its path."""
    return dict(zip(view.paths, view.contents, strict=True))


def write_sides(folder: Path, sides: Mapping[str, FeatureView]) -> None:
    """Write `sides.csv`: a line for each recording of each side, in the order of their paths."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for side, view in sides.items():
        writer.writerows((path, side, content) for path, content in sorted(recordings_of(view).items()))
    write_atomically(folder / SIDES_FILE, text.getvalue().encode("utf-8", "surrogateescape"))


def read_sides(folder: Path) -> SideRecordings | None:
    """Read what `write_sides` wrote; None for a run of before it was kept.

    Raises
    ------
    CheckpointError
        If the file is not such a table.
    """
    path = folder / SIDES_FILE
    if not path.exists():
        return None
    found: dict[str, dict[str, str]] = {"train": {}, "validation": {}, "test": {}}
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        head, *lines = csv.reader(io.StringIO(text, newline=""))
        if tuple(head) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(head)}")
        for recording, side, content in lines:
            found[side][recording] = content
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise CheckpointError(
            f"{path}: no readable table of sides ({error}). Restore the run folder or train again."
        ) from error
    return found
