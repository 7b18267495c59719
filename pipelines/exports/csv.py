"""CSV: what is known of each row, its drawn parameters among it, as a table without features."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from featurestore.view import DatasetView
from pipelines.exports import FileFormat, holds_bytes, write_all
from pipelines.exports.rows import blocks


def encoded(view: DatasetView, file_names: Sequence[str] | None = None) -> Iterator[bytes]:
    """Yield the table in pieces, as RFC 4180 has it, in UTF-8: a head, and a line a row; None is an empty field.

    Parameters
    ----------
    file_names : sequence of str, optional
        File of each row, for a first column `file_name`.
    """
    names = iter(file_names or ())
    for number, block in enumerate(blocks(view)):
        if file_names is not None:
            block = {"file_name": list(islice(names, len(block["path"]))), **block}
        text = io.StringIO(newline="")
        lines = csv.writer(text)
        if number == 0:
            lines.writerow(block)
        lines.writerows(zip(*block.values(), strict=True))
        yield text.getvalue().encode()


def to_csv(view: DatasetView, out: IO[bytes]) -> None:
    """Write the columns of `featurestore.conversion.metadata`."""
    for piece in encoded(view):
        write_all(out, piece)


def in_csv(view: DatasetView, path: Path) -> bool:
    """Tell whether a file holds the table, byte by byte."""
    with path.open("rb") as file:
        return holds_bytes(file, encoded(view))


FORMAT = FileFormat("csv", to_csv, in_csv)
