"""Which recordings stood on which side of a training: kept in the run folder, so that nothing learnt is tested on."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from models.data import FeatureView
from models.errors import CheckpointError
from models.runs.checkpoint import regular, write_atomically

SIDES_FILE = "sides.csv"
"""A table of sides as `--split` takes one, with what tells each recording in further columns."""


class Recording(NamedTuple):
    """What tells a recording of a training; what is not known is empty."""

    content: str
    """The sha256 of its file; of a segment with what it is of it."""
    sound: str = ""
    """The checksum of its clean row: what the run's features hear of it, in whatever container."""
    speaker: str = ""


COLUMNS = ("path", "side", *Recording._fields)
FIRST_COLUMNS = COLUMNS[:3]
"""Of the tables of runs from before sounds and speakers were kept."""

SideRecordings = Mapping[str, Mapping[str, Recording]]
"""Of each side, every recording by its path."""


def recordings_of(view: FeatureView) -> dict[str, Recording]:
    """Return what tells every recording of a view, by its path; sounds are known of datasets in a store only."""
    sounds: Mapping[str, str] = getattr(view, "sounds", {})
    return {
        path: Recording(content, sounds.get(content, ""), speaker or "")
        for path, content, speaker in zip(view.paths, view.contents, view.speakers, strict=True)
    }


def write_sides(folder: Path, sides: Mapping[str, FeatureView]) -> None:
    """Write `sides.csv`: a line for each recording of each side, in the order of their paths."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for side, view in sides.items():
        writer.writerows((path, side, *recording) for path, recording in sorted(recordings_of(view).items()))
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
    found: dict[str, dict[str, Recording]] = {"train": {}, "validation": {}, "test": {}}
    try:
        text = regular(path).read_bytes().decode("utf-8", "surrogateescape")
        head, *lines = csv.reader(io.StringIO(text, newline=""))
        if tuple(head) not in (COLUMNS, FIRST_COLUMNS):
            raise ValueError(f"its columns are {', '.join(head)}")
        for name, side, *told in lines:
            if len(told) != len(head) - 2:
                raise ValueError(f"{name!r:.80} has {len(told) + 2} columns and not {len(head)}")
            found[side][name] = Recording(*told)
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise CheckpointError(
            f"{path}: no readable table of sides ({error}). Restore the run folder or train again."
        ) from error
    return found
