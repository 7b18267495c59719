"""Databases of audformat: a header `db.yaml` and a file `db.NAME.csv` for each of its tables.

The header is YAML whose scalars all stay text; no tag is obeyed. Tables are read as CSV; pickled and Parquet tables are
left out. A filewise table holds for all segments of the file. Values of a scheme that refers to a table of
its own, such as the age of a speaker, become fields of the recordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featurestore.corpus.importers.data_folder import DataFolder, DataFormat, FoundCorpus, table_fields, written_path
from featurestore.corpus.suggest.roles import SIDES, SPEAKER_NAMES, TEXT_NAMES, plain_name
from featurestore.errors import SourceError

HEADER = "db.yaml"
LARGEST_HEADER = 8 * 2**20
"""Bytes of a header; those of published databases take a few kilobytes."""
MOST_EVENTS = 500_000
"""Scalars, lists and mappings of one file; the header of a database of 100 tables has about 5,000."""
DEEPEST = 40
STARTS = frozenset({"", "0", "0.0", "0 days", "0 days 00:00:00", "0 days 00:00:00.000000"})
"""How tables write the start of a file."""
ENDS = frozenset({"", "NaT", "nan"})
"""How tables write the end of a file."""

Mapped = Mapping[str, Any]


def plain_yaml(text: str, where: str) -> Any:  # noqa: ANN401 (mappings, lists and strings)
    """Return the one document of a YAML text; every scalar is a string.

    `SourceError` naming `where`, if the text is no YAML, has a tag such as `!!python/object`, an alias to something
    that is not finished, several documents, or too many or too deep values.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # it makes strings of all scalars
    depth = 0
    try:
        for count, event in enumerate(yaml.parse(text, Loader=loader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if count > MOST_EVENTS or depth > DEEPEST:
                why = f"it holds more than {MOST_EVENTS:,} values, or more than {DEEPEST} levels"
            elif getattr(event, "tag", None) not in (None, "!"):
                why = f"the tag {event.tag!r:.60} is not read"
            elif getattr(event, "value", None) == "<<":
                why = "it has a merge (<<)"
            else:
                continue
            raise SourceError(f"{where}: {why}. Write it out plainly; nothing of it is ever executed.")
        return loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise SourceError(f"{where} is no plain YAML ({reason}). Correct the file.") from error


class Audformat(DataFormat):
    """A database of audformat."""

    name = "audformat"
    title = "audformat database (db.yaml)"
    rank = 1

    def recognises(self, folder: DataFolder) -> bool:
        """Tell whether a folder holds the header of a database."""
        return folder.has(HEADER)

    def read(self, folder: DataFolder) -> FoundCorpus:
        """Read a database; `SourceError` if the header is no plain YAML, or no table can be read."""
        where = f"{HEADER!r} in {str(folder.place)!r:.200}"
        header = plain_yaml(folder.data(HEADER, LARGEST_HEADER).decode("utf-8-sig", errors="replace"), where)
        if not isinstance(header, dict):
            raise SourceError(f"{where} holds no mapping, so it is no header of audformat.")
        rows: dict[tuple[str, str, str], dict[str, str]] = {}
        notes: list[str] = []
        for name, table in _mapping(header, "tables").items():
            if not folder.has(f"db.{name}.csv"):
                kind = next((kind for kind in ("parquet", "pkl") if folder.has(f"db.{name}.{kind}")), None)
                stored = f"it is stored as {kind}, which is not read; save the database again with storage_format='csv'"
                notes.append(f"the table {name!r} is left out: {stored if kind else f'db.{name}.csv is missing'}")
                continue
            for path, fields in _table(folder, header, name, table if isinstance(table, dict) else {}):
                known = rows.setdefault((path, fields.get("start", ""), fields.get("end", "")), {})
                for field, value in fields.items():
                    if known.setdefault(field, value) != value:
                        known[f"{name}.{field}"] = value
        if not rows:
            why = f": {notes[0]}" if notes else ""
            raise SourceError(f"the database in {str(folder.place)!r:.200} has no table that is read{why}.")
        languages = header.get("languages")
        one = languages[0] if isinstance(languages, list) and len(languages) == 1 else ""
        return FoundCorpus(
            "audformat",
            tuple((path, fields) for (path, _, _), fields in rows.items()),
            title=_line(header, "name"),
            description=_line(header, "description"),
            language=one if isinstance(one, str) else "",
            licence=_line(header, "license") or _line(header, "usage") or "unknown",
            licence_url=_line(header, "license_url"),
            homepage=_line(header, "source"),
            notes=tuple(notes),
        )


def _mapping(values: Mapped, key: str) -> dict[str, Any]:
    """Return the mapping under a key; empty where there is none."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _line(values: Mapped, key: str) -> str:
    """Return the text under a key in one line."""
    found = values.get(key)
    return " ".join(found.split()) if isinstance(found, str) else ""


def _table(folder: DataFolder, header: Mapped, name: str, table: Mapped) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the path and fields of each row of one table."""
    schemes: dict[str, str] = {}
    for column, known in _mapping(table, "columns").items():
        scheme = known.get("scheme_id") if isinstance(known, dict) else None
        schemes[column] = scheme if isinstance(scheme, str) and scheme in _mapping(header, "schemes") else ""
    beside = {column: _scheme_values(folder, header, scheme) for column, scheme in schemes.items()}
    split = table.get("split_id")
    kind = (_line(_mapping(_mapping(header, "splits"), split), "type") or split) if isinstance(split, str) else ""
    for place, row in table_fields(folder, f"db.{name}.csv"):
        fields: dict[str, str] = {}
        for column in filter(row.__contains__, schemes):
            fields.setdefault(_field(column, schemes[column]), row[column])
            for field, value in beside[column].get(row[column], {}).items():
                fields.setdefault(field, value)
        start, end = row.get("start", ""), row.get("end", "")
        if not (start in STARTS and end in ENDS):  # a segment, no whole file
            fields |= {"start": start or "0", **({} if end in ENDS else {"end": end})}
        if kind:
            fields["split"] = SIDES.get(kind.casefold(), kind)
        yield written_path(row.get("file", ""), place), fields


def _scheme_values(folder: DataFolder, header: Mapped, scheme: str) -> Mapping[str, dict[str, str]]:
    """Return the fields of each value of a scheme: from the header, or from the table that it names."""
    labels = _mapping(_mapping(header, "schemes"), scheme).get("labels")
    if isinstance(labels, dict):
        return {
            value: {name: text for name, text in fields.items() if text and isinstance(text, str)}
            for value, fields in labels.items()
            if isinstance(fields, dict)
        }
    if not isinstance(labels, str) or not folder.has(f"db.{labels}.csv"):
        return {}
    rows = (list(row.items()) for _, row in table_fields(folder, f"db.{labels}.csv"))
    return {row[0][1]: dict(row[1:]) for row in rows if row}


def _field(column: str, scheme: str) -> str:
    """Return the field's name: that of the column, unless it is a speaker or a sentence under another name."""
    for role, names in (("speaker", SPEAKER_NAMES), ("text", TEXT_NAMES)):
        if plain_name(column) in names or plain_name(scheme) in names:
            return role
    return column
