"""Label files of columns (CSV, TSV, lines separated by white space; with or without a header) and of JSON lines.

Quotes are those of RFC 4180: a field that begins with one ends at the next before a delimiter or the end of
the line, and holds two for one. A quote that nothing closes is a sign like any other. Each row has as many fields as
the first, so that no quote and no lost delimiter moves a value to another column or another row silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featurestore.corpus.labels.fields import cased, check_no_segment, is_segment_field
from featurestore.corpus.manifest import TableRule
from featurestore.errors import SourceError

Row = Mapping[str, str]
"""Fields of one recording, which the key of the table's rule names."""
LARGEST_LABEL_FILE = 64 * 2**20
"""Bytes of a label file that is read; a line for each of 250,000 recordings takes about 40 MB."""
DELIMITERS = ("\t", ",", ";", "|")
"""Tried in this order on the first line; white space is what remains."""
MOST_LINES = 100
LONGEST_FIELD = 2**17
"""Lines and characters that a row with a quoted field of several lines may have."""


def label_text(data: bytes, encodings: tuple[str, ...], path: str) -> str:
    """Decode a label file by the first encoding that fits; `SourceError` if the file is too large or none fits."""
    if len(data) > LARGEST_LABEL_FILE:
        raise SourceError(f"label file {path!r:.120} has {len(data):,} bytes; at most {LARGEST_LABEL_FILE:,} are read.")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SourceError(
        f"label file {path!r:.120} is no {' or '.join(encodings)} text. Say its 'encoding' in the manifest, "
        "or get the file again."
    )


def text_lines(text: str) -> list[str]:
    """Return the lines of a text as files have them; other signs that end a line in Unicode are parts of values."""
    lines = re.split("\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]


def read_columns(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the fields of each line; empty values and empty lines are left out.

    `SourceError` if the text cannot be read, lacks a column that the manifest names, or has times of segments that it
    leaves out.
    """
    where = f"label file {path!r:.120}"
    lines = table_rows(label_text(data, rule.encoding, path), rule.delimiter, where, header=rule.header)
    header = [name.strip() for name in next(lines, ("", []))[1]] if rule.header else []
    columns = _positions(rule.columns, header, path)
    taken = columns.values()
    left_out = {name: at for at, name in enumerate(header) if is_segment_field(name) and at not in taken}
    for place, cells in lines:
        check_no_segment({name: cells[at].strip() for name, at in left_out.items()}, place)
        missing = [field for field, position in columns.items() if position >= len(cells)]
        if missing:
            raise SourceError(
                f"{place}: {len(cells)} columns, too few for {missing[0]!r:.80}. "
                "Say the right 'delimiter' or 'columns'."
            )
        values = {field: cells[position].strip() for field, position in columns.items()}
        yield {field: cased(field, value, lower=rule.lower) for field, value in values.items() if value}


def sniffed_delimiter(text: str) -> str:
    """Return what separates the columns of a text's first line that is not empty; `" "` is any white space."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return next((delimiter for delimiter in DELIMITERS if delimiter in first), " ")


def table_rows(text: str, delimiter: str | None, where: str, *, header: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield place, which begins with `where`, and cells of each line that is not empty.

    The delimiter `" "` is any white space, None is found out; between white space the number of cells is fixed only
    where the first line is a header that names the columns.

    `SourceError` names a line that has another number of cells than the first (empty ones at its end do not count), or
    a field of several lines that may as well be rows.
    """
    delimiter = delimiter or sniffed_delimiter(text)
    lines = text_lines(text)
    width = 0
    number = 0
    while number < len(lines):
        place = f"{where}, line {number + 1}"
        cells, taken = _cells(lines, number, delimiter, width)
        number += taken
        if not any(cells):
            continue
        extra = cells[width:] if width else ()
        if width and (len(cells) < width or any(extra)) and (delimiter != " " or header):
            quote = " A quote may be missing, or be in one field alone." if '"' in lines[number - 1] else ""
            raise SourceError(f"{place}: {len(cells)} columns, and the first line has {width}.{quote} Mend the line.")
        if max(map(len, cells)) > LONGEST_FIELD:
            raise SourceError(f"{place}: a field of more than {LONGEST_FIELD:,} characters. It is no table of labels.")
        width = width or max(count for count, cell in enumerate(cells, 1) if cell or not header)
        yield place, cells if delimiter == " " else cells[:width]


def _cells(lines: Sequence[str], number: int, delimiter: str, width: int) -> tuple[list[str], int]:
    """Return the cells of the row that begins with a line, and how many lines it takes."""
    if delimiter == " ":
        return lines[number].split(), 1
    cells, opened = _split(lines[number], delimiter)
    if not opened:
        return cells, 1
    row = lines[number]
    for taken, line in enumerate(lines[number + 1 : number + MOST_LINES], 2):
        if len(_split(line, delimiter)[0]) == width or len(row) > LONGEST_FIELD:  # a row of its own: no quote closes
            break
        row += f"\n{line}"
        whole, still_open = _split(row, delimiter)
        if not still_open and len(whole) == width:
            return whole, taken
    return cells, 1


def _split(line: str, delimiter: str) -> tuple[list[str], bool]:
    """Return the cells of a row, and whether a field begins with a quote that nothing closes."""
    if '"' not in line:
        return line.split(delimiter), False
    sign = re.escape(delimiter)
    field = re.compile(f'"([^"]*+(?:""[^"]*+)*+)"(?={sign}|\\Z)|([^{sign}]*+)')
    cells, position = [], -1
    opened = False
    while position < len(line):
        found = field.match(line, position + 1)
        quoted, plain = found.groups() if found else (None, "")
        opened |= quoted is None and plain.startswith('"')
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = found.end() if found else len(line)
    return cells, opened


def _positions(columns: Mapping[str, Sequence[str | int]], header: list[str], path: str) -> dict[str, int]:
    """Find the position of each field's column; a manifest without columns takes all that the header names."""
    if not columns:
        return {name: _named(header, name, path) for name in header if name}
    found: dict[str, int] = {}
    for field, names in columns.items():
        known = [name for name in names if isinstance(name, int) or name in header]
        if not known:
            raise SourceError(
                f"label file {path!r:.120} has no column {' or '.join(map(repr, names))[:200]}; "
                f"it has {', '.join(map(repr, header))[:300]}."
            )
        found[field] = known[0] - 1 if isinstance(known[0], int) else _named(header, known[0], path)
    return found


def _named(header: list[str], name: str, path: str) -> int:
    """Return the position of a column; `SourceError` if two have its name."""
    if header.count(name) > 1:
        raise SourceError(f"label file {path!r:.120} has two columns {name!r:.80}. Rename one, or give its number.")
    return header.index(name)


def read_json_lines(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the fields of each line as text; lists, objects and nulls are left out, as are lines without content.

    Columns of the manifest are keys of the objects; without `columns` every key is a field of its own name.

    `SourceError` if a line is no JSON object.
    """
    for number, line in enumerate(text_lines(label_text(data, rule.encoding, path)), 1):
        if line.strip():
            place = f"label file {path!r:.120}, line {number}"
            values = json_object(line, place)
            texts = {name: scalar_text(value) for name, value in values.items()}
            if rule.columns:
                named = {str(key) for keys in rule.columns.values() for key in keys}
                left_out = {name: text for name, text in texts.items() if is_segment_field(name) and name not in named}
                check_no_segment(left_out, place)
                texts = {
                    field: next((texts[key] for key in map(str, keys) if texts.get(key)), "")
                    for field, keys in rule.columns.items()
                }
            yield {field: cased(field, text, lower=rule.lower) for field, text in texts.items() if text}


def json_object(line: str, place: str) -> Mapping[str, Any]:
    """Return one line's object; `SourceError` naming the place if it holds none, or a text that is no Unicode."""
    try:
        values = json.loads(line, object_pairs_hook=_each_once)
        if "\\ud" in line.lower():  # JSON can write half a character, which no file and no name can hold
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: not JSON ({error}). Mend the file or its manifest.") from error
    if not isinstance(values, dict):
        raise SourceError(f"{place}: an object such as {{...}} is needed, not {line!r:.60}. Mend the file.")
    return values


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members; `ValueError` for a key that appears twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(f"the key {twice!r:.60} appears twice")
    return found


def scalar_text(value: object) -> str:
    """Write a JSON value as a label; an empty text for a null, a list or an object.

    Examples
    --------
    >>> scalar_text(3), scalar_text(True), scalar_text(["a"])
    ('3', 'true', '')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""
