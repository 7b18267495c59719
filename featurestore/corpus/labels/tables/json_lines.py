"""Label files of JSON objects, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featurestore.corpus.labels.segment_fields import check_whole, is_segment_field
from featurestore.corpus.labels.tables.rows import Place, Row, cased, label_text, text_lines
from featurestore.corpus.manifest.model import TableRule
from featurestore.errors import SourceError


def read_json_lines(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the fields of each line as text; lists, objects and nulls are left out, as are lines without content.

    Columns of the manifest are keys of the objects; without `columns` every key is a field of its own name.

    Raises
    ------
    SourceError
        If a line is no JSON object.
    """
    for number, line in enumerate(text_lines(label_text(data, rule.encoding, path)), 1):
        if line.strip():
            values = json_object(line, Place(path, number))
            texts = {name: scalar_text(value) for name, value in values.items()}
            if rule.columns:
                named = {str(key) for keys in rule.columns.values() for key in keys}
                left_out = {name: text for name, text in texts.items() if is_segment_field(name) and name not in named}
                check_whole(left_out, Place(path, number))
            yield _row(rule.columns, texts, lower=rule.lower)


def json_object(line: str, place: object) -> Mapping[str, Any]:
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
    """Return an object's members; `ValueError` for one that says two things of one key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(f"the key {twice!r:.60} stands twice")
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


def _row(columns: Mapping[str, Sequence[str | int]], values: Mapping[str, str], *, lower: bool) -> Row:
    if columns:
        values = {
            field: next((values[key] for key in map(str, keys) if values.get(key)), "")
            for field, keys in columns.items()
        }
    return {field: cased(field, text, lower=lower) for field, text in values.items() if text}
