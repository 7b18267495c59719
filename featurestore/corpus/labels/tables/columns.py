"""Label files of columns: CSV, TSV and lines separated by white space, with or without a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence

from featurestore.corpus.labels.tables.rows import Place, Row, label_text
from featurestore.corpus.sheet.label_rules import TableRule
from featurestore.errors import SourceError

DELIMITERS = ("\t", ",", ";", "|")
"""Tried in this order on the first line; white space is what remains."""


def read_columns(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the fields of each line; empty values and empty lines are left out.

    Raises
    ------
    SourceError
        If the text cannot be read or lacks a column that the sheet names.
    """
    lines = _cells(label_text(data, rule.encoding, path), rule.delimiter, path)
    header: list[str] = []
    if rule.header:
        _, header = next(lines, (Place(path, 1), []))
        header = [name.strip() for name in header]
    columns = _positions(rule.columns, header, path)
    for place, cells in lines:
        if any(cells):
            yield _row(columns, cells, place, lower=rule.lower)


def sniffed_delimiter(text: str) -> str:
    """Return what separates the columns of a text's first line that is not empty; `" "` is any white space."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return next((delimiter for delimiter in DELIMITERS if delimiter in first), " ")


def _cells(text: str, delimiter: str | None, path: str) -> Iterator[tuple[Place, list[str]]]:
    delimiter = delimiter or sniffed_delimiter(text)
    lines = text.splitlines()
    if delimiter == " ":
        yield from ((Place(path, number), line.split()) for number, line in enumerate(lines, 1))
        return
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            yield Place(path, reader.line_num), cells
    except csv.Error as error:
        raise SourceError(f"{Place(path, reader.line_num)}: {error}. Mend the file or its sheet.") from error


def _positions(columns: Mapping[str, Sequence[str | int]], header: list[str], path: str) -> dict[str, int]:
    """Find the position of each field's column; a sheet without columns takes all that the header names."""
    if not columns:
        return {name: position for position, name in enumerate(header) if name}
    found: dict[str, int] = {}
    for field, names in columns.items():
        positions = [name - 1 if isinstance(name, int) else _named(header, name) for name in names]
        known = [position for position in positions if position is not None]
        if not known:
            raise SourceError(
                f"label file {path!r:.120} has no column {' or '.join(map(repr, names))[:200]}; "
                f"it has {', '.join(map(repr, header))[:300]}."
            )
        found[field] = known[0]
    return found


def _named(header: list[str], name: str) -> int | None:
    return header.index(name) if name in header else None


def _row(columns: Mapping[str, int], cells: list[str], place: Place, *, lower: bool) -> Row:
    missing = [field for field, position in columns.items() if position >= len(cells)]
    if missing:
        raise SourceError(
            f"{place}: {len(cells)} columns, too few for {missing[0]!r:.80}. Say the right 'delimiter' or 'columns'."
        )
    values = {field: cells[position].strip() for field, position in columns.items()}
    return {field: value.lower() if lower and field != "file" else value for field, value in values.items() if value}
