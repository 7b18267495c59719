"""Finding tables and lists beside the audio whose rows name the recordings."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from featurestore.corpus.labels.tables.readers import scalar_text, sniffed_delimiter, table_rows
from featurestore.corpus.labels.tables.rows import is_missing, text_lines
from featurestore.corpus.suggest.look import Seen
from featurestore.corpus.suggest.roles import side_of
from featurestore.errors import SourceError

MOST_ROWS = 5_000
"""Rows of a table that are studied."""
MOST_EXAMPLES = 100
MOST_COLUMNS = 200
LONGEST_LINE = 20_000
LEAST_JOINED = 0.5
"""Share of the rows that must name a recording."""
ENCODINGS = ("utf-8-sig", "cp949", "latin-1")


@dataclass(frozen=True)
class LabelTable:
    """A table of which one column names recordings."""

    path: str
    format: str
    encoding: str
    delimiter: str | None
    header: bool
    key: str
    """The column that names the recordings."""
    joined: int
    """Rows that name one, of those that were studied."""
    rows: int
    examples: tuple[str, ...]
    """Some of the recordings as its rows name them."""
    columns: Mapping[str, Counter[str]] = field(default_factory=dict)
    """How often each value occurs in each other column."""
    order: tuple[str, ...] = ()
    """All columns in their order."""


@dataclass(frozen=True)
class SideList:
    """A file that names one recording a line, and the side that its own name says."""

    path: str
    side: str
    joined: int


class KnownNames:
    """The recordings by whatever a table may call them: path or name, with ending or without."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._names: set[str] = set()
        for path in paths:
            name = _name_of(path)
            self._names |= {name, name.rpartition(".")[0]}

    def has(self, text: str) -> bool:
        """Tell whether a cell names a recording; folders before the name are not looked at."""
        return _name_of(text) in self._names


def _name_of(path: str) -> str:
    """Return the last part of a path, with accents as `build` compares them."""
    return unicodedata.normalize("NFC", path).replace("\\", "/").rpartition("/")[2]


def find_tables(seen: Seen) -> tuple[list[LabelTable], list[SideList]]:
    """Return the tables and lists among the files beside the audio that name recordings."""
    known = KnownNames(seen.audio)
    tables: list[LabelTable] = []
    lists: list[SideList] = []
    for path, data in seen.beside.items():
        encoding, text = _decoded(data)
        lines = [line for line in text_lines(text)[: MOST_ROWS + 1] if line.strip()]
        if not lines or max(map(len, lines)) > LONGEST_LINE:
            continue
        one = _side_list(path, lines, known)
        if one is not None:
            lists.append(one)
            continue
        table = _json_table(path, lines, known) if path.endswith(".jsonl") else _table(path, encoding, lines, known)
        if table is not None:
            tables.append(table)
    return tables, lists


def _decoded(data: bytes) -> tuple[str, str]:
    for encoding in ENCODINGS[:-1]:
        try:
            return encoding, data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ENCODINGS[-1], data.decode(ENCODINGS[-1])


def _side_list(path: str, lines: Sequence[str], known: KnownNames) -> SideList | None:
    """Return the list if most lines are recordings and the file's name says a side."""
    side = side_of(re.split(r"[^A-Za-z]+", path.rpartition("/")[2]))
    joined = sum(known.has(line.strip()) for line in lines)
    return SideList(path, side, joined) if side and joined >= LEAST_JOINED * len(lines) else None


def _table(path: str, encoding: str, lines: Sequence[str], known: KnownNames) -> LabelTable | None:
    delimiter = sniffed_delimiter(lines[0])
    rows: list[list[str]] = []
    fault: SourceError | None = None
    try:
        for _, cells in table_rows("\n".join(lines), delimiter, f"label file {path!r:.120}", header=True):
            rows.append([cell.strip() for cell in cells])
    except SourceError as error:
        fault = error
    width = len(rows[0]) if rows else 0
    if not 2 <= width <= MOST_COLUMNS:
        return None
    header = not any(map(known.has, rows[0]))
    names = rows[0] if header else [str(number) for number in range(1, width + 1)]
    if len(set(names)) < width or not all(names):
        return None
    columns = {name: [row[number] for row in rows[header:]] for number, name in enumerate(names)}
    found = _joined(path, "columns", (encoding, delimiter), columns, known, header=header)
    if fault is not None and found is not None:
        raise fault  # a table of recordings all the same: its faulty line is told
    return found


def _json_table(path: str, lines: Sequence[str], known: KnownNames) -> LabelTable | None:
    try:
        objects = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(one, dict) and len(one) <= MOST_COLUMNS for one in objects):
        return None
    names = list(dict.fromkeys(name for one in objects[:100] for name in one))[:MOST_COLUMNS]
    columns = {name: [scalar_text(one.get(name)) for one in objects] for name in names}
    return _joined(path, "jsonl", ("utf-8-sig", None), columns, known, header=True)


def _joined(
    path: str,
    kind: str,
    coding: tuple[str, str | None],
    columns: Mapping[str, Sequence[str]],
    known: KnownNames,
    *,
    header: bool,
) -> LabelTable | None:
    """Return the table if one of its columns names recordings in most rows."""
    hits = {name: sum(known.has(cell) for cell in cells) for name, cells in columns.items()}
    key = max(hits, key=lambda name: hits[name], default="")
    rows = len(columns[key]) if key else 0
    if not rows or hits[key] < LEAST_JOINED * rows:
        return None
    return LabelTable(
        path=path,
        format=kind,
        encoding=coding[0],
        delimiter=coding[1],
        header=header,
        key=key,
        joined=hits[key],
        rows=rows,
        examples=tuple(cell for cell in columns[key] if known.has(cell))[:MOST_EXAMPLES],
        columns={
            name: Counter(cell for cell in cells if not is_missing(cell))
            for name, cells in columns.items()
            if name != key
        },
        order=tuple(columns),
    )


def joining(table: LabelTable, paths: Sequence[str], depth: int) -> tuple[str, str]:
    """Return how a manifest compares the rows of a table with recordings: `match` and `key`.

    Names serve where they are all different, else paths; where rows give them from the table's own folder on, that is
    put in front.
    """
    names = [_stem(path.rpartition("/")[2]) for path in paths]
    if len(set(names)) == len(names):
        return "name", "{file}"
    tails = {_tail(path, depth) for path in paths}
    folder = table.path.rpartition("/")[0].replace("{", "{{").replace("}", "}}")
    ways = ("path", "{file}"), ("path", f"{folder}/{{file}}")
    return max(
        ways, key=lambda way: sum(_tail(way[1].replace("{file}", one), depth) in tails for one in table.examples)
    )


def _tail(path: str, depth: int) -> str:
    return _stem("/".join(path.split("/")[-depth:]))


def _stem(path: str) -> str:
    """Return a path without an ending, so that rows may have one or not."""
    return path.rpartition(".")[0] or path
