"""Looking at a folder or archive once: which files are audio, and which tables and lists name recordings."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from featurestore.corpus.check import packed_advice
from featurestore.corpus.labels.fields import is_missing
from featurestore.corpus.labels.tables import scalar_text, sniffed_delimiter, table_rows, text_lines
from featurestore.corpus.sources.audio_files import is_audio
from featurestore.corpus.sources.types import Source
from featurestore.corpus.suggest.roles import side_of
from featurestore.errors import SourceError
from featurestore.showing import has_control_characters

MOST_STUDIED = 20_000
"""Names of recordings that are studied; of more, an even sample."""
MOST_TABLES = 20
LARGEST_TABLE = 16 * 2**20
"""Bytes of a file that is looked at as a table or list of labels; of all tables together as well."""
TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".txt", ".lst", ".list", ".scp")
MOST_ROWS = 5_000
"""Rows of a table that are studied."""
MOST_EXAMPLES = 100
MOST_COLUMNS = 200
LONGEST_LINE = 20_000
LEAST_JOINED = 0.5
"""Share of the rows that must name a recording."""


@dataclass(frozen=True)
class Seen:
    """What a folder or archive holds."""

    audio: tuple[str, ...]
    """Paths of all recordings, sorted."""
    studied: tuple[str, ...]
    """The paths whose names are studied."""
    beside: Mapping[str, bytes]
    """Bytes of the files that may be tables or lists."""
    strange: int = 0
    """Recordings with control characters or bytes that are no text in their names; no manifest can name them."""

    @property
    def endings(self) -> Mapping[str, int]:
        """How many recordings have each ending, in lower case."""
        return dict(Counter(ending_of(path) for path in self.audio).most_common())


def look(source: Source) -> Seen:
    """Look at a source.

    `SourceError` if there is no file whose name ends as audio does, or all have names that no manifest can hold.
    """
    members = sorted(source.members(), key=lambda member: member.path)
    named = [member.path for member in members if is_audio(member.path)]
    audio = [path for path in named if not has_control_characters(path)]
    if named and not audio:
        raise SourceError(
            f"the names of all {len(named):,} recordings in {source.name!r:.200} hold control characters or bytes "
            "that are no text, so no manifest can name them. Rename them."
        )
    if not audio:
        raise SourceError(
            f"{source.name!r:.200} holds no audio among its {len(members):,} files (*.wav, *.flac, *.mp3 and so on). "
            f"{packed_advice(source) or 'Name the folder or archive that does.'}"
        )
    step = -(-len(audio) // MOST_STUDIED)
    sizes = {member.path: member.size for member in members}
    return Seen(tuple(audio), tuple(audio[::step]), _beside(source, sizes), len(named) - len(audio))


def _beside(source: Source, sizes: Mapping[str, int]) -> Mapping[str, bytes]:
    """Read small files that may be tables; those near the top and with telling names first."""

    def rank(path: str) -> tuple[int, int, str]:
        """Order files by depth, ending and path."""
        kind = next(n for n, ending in enumerate(TABLE_ENDINGS) if path.casefold().endswith(ending))
        return path.count("/"), kind, path

    likely = [
        path
        for path, size in sizes.items()
        if path.casefold().endswith(TABLE_ENDINGS) and 0 < size <= LARGEST_TABLE and not has_control_characters(path)
    ]
    ranked = sorted(likely, key=rank)[:MOST_TABLES]
    totals = accumulate(sizes[path] for path in ranked)
    chosen = {path for path, total in zip(ranked, totals, strict=True) if total <= LARGEST_TABLE}
    found = dict(source.iterate(lambda path: path in chosen)) if chosen else {}
    for path, reason in source.unread.items():
        if path.casefold().endswith(TABLE_ENDINGS[:3]):  # a table for sure; without it labels may be others
            raise SourceError(reason)
    return found


def ending_of(path: str) -> str:
    """Return the ending of a file's name in lower case, with its dot.

    Examples
    --------
    >>> ending_of("a/b.tar.WAV")
    '.wav'
    """
    return path[path.rindex(".") :].casefold()


def least_depth(paths: Iterable[str], most: int = 16) -> int:
    """Return how many trailing parts of all paths are needed to tell them apart."""
    parts = [path.casefold().split("/") for path in paths]
    for depth in range(1, most):
        if len({tuple(one[-depth:]) for one in parts}) == len(parts):
            return depth
    return most


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
    columns: Mapping[str, Counter[str]]
    """How often each value occurs in each other column."""
    order: tuple[str, ...]
    """All columns in their order."""


@dataclass(frozen=True)
class SideList:
    """A file that names one recording a line, and the side that its own name gives."""

    path: str
    side: str
    joined: int


def find_tables(seen: Seen) -> tuple[list[LabelTable], list[SideList]]:
    """Return the tables and lists among the files beside the audio that name recordings."""
    names = set(map(_name_of, seen.audio))
    known = names | {name.rpartition(".")[0] for name in names}  # a table may name recordings without their ending
    tables: list[LabelTable] = []
    lists: list[SideList] = []
    for path, data in seen.beside.items():
        for encoding in ("utf-8-sig", "cp949", "latin-1"):  # the last one reads everything
            with suppress(UnicodeDecodeError):
                text = data.decode(encoding)
                break
        lines = [line for line in text_lines(text)[: MOST_ROWS + 1] if line.strip()]
        if not lines or max(map(len, lines)) > LONGEST_LINE:
            continue
        side = side_of(re.split(r"[^A-Za-z]+", path.rpartition("/")[2]))
        joined = sum(_name_of(line.strip()) in known for line in lines)
        if side and joined >= LEAST_JOINED * len(lines):
            lists.append(SideList(path, side, joined))
            continue
        table = _label_table(path, encoding, lines, known)
        if table is not None:
            tables.append(table)
    return tables, lists


def _name_of(path: str) -> str:
    """Return the last part of a path, with accents as `build` compares them."""
    return unicodedata.normalize("NFC", path).replace("\\", "/").rpartition("/")[2]


def _label_table(path: str, encoding: str, lines: Sequence[str], known: Collection[str]) -> LabelTable | None:
    """Return the table in a file if one of its columns names recordings in most rows.

    `SourceError` reports a faulty line of what is a table of recordings all the same.
    """
    fault: SourceError | None = None
    kind, delimiter, header = "jsonl", None, True
    if path.endswith(".jsonl"):
        encoding, columns = "utf-8-sig", _json_columns(lines)
    else:
        kind, delimiter = "columns", sniffed_delimiter(lines[0])
        rows: list[list[str]] = []
        try:
            for _, cells in table_rows("\n".join(lines), delimiter, f"label file {path!r:.120}", header=True):
                rows.append([cell.strip() for cell in cells])
        except SourceError as error:
            fault = error
        header = bool(rows) and all(_name_of(cell) not in known for cell in rows[0])
        names = (rows[0] if header else [str(number) for number, _ in enumerate(rows[0], 1)]) if rows else []
        alike = len(set(names)) < len(names) or not all(names)
        usable = 2 <= len(names) <= MOST_COLUMNS and not alike
        columns = {name: [row[number] for row in rows[header:]] for number, name in enumerate(names) if usable}
    hits = {name: sum(_name_of(cell) in known for cell in cells) for name, cells in columns.items()}
    key = max(hits, key=lambda name: hits[name], default="")
    count = len(columns[key]) if key else 0
    if not count or hits[key] < LEAST_JOINED * count:
        return None
    if fault is not None:
        raise fault
    return LabelTable(
        path=path,
        format=kind,
        encoding=encoding,
        delimiter=delimiter,
        header=header,
        key=key,
        joined=hits[key],
        rows=count,
        examples=tuple(cell for cell in columns[key] if _name_of(cell) in known)[:MOST_EXAMPLES],
        columns={
            name: Counter(cell for cell in cells if not is_missing(cell))
            for name, cells in columns.items()
            if name != key
        },
        order=tuple(columns),
    )


def _json_columns(lines: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the columns of lines of JSON objects; none if they are something else."""
    try:
        objects = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return {}
    if not all(isinstance(one, dict) and len(one) <= MOST_COLUMNS for one in objects):
        return {}
    names = list(dict.fromkeys(name for one in objects[:100] for name in one))[:MOST_COLUMNS]
    return {name: [scalar_text(one.get(name)) for one in objects] for name in names}


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
