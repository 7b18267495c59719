"""Writing a proposed manifest as TOML, with a comment for everything that was guessed."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping

from featurestore.corpus.suggest.guess import Guess
from featurestore.corpus.suggest.label_tables import LabelTable
from featurestore.corpus.suggest.look import Seen
from featurestore.corpus.suggest.path_fields import PathField
from featurestore.corpus.suggest.plan import UNLABELLED, ManifestPlan
from featurestore.corpus.suggest.roles import holds_numbers
from featurestore.corpus.suggest.values import meanings

MOST_SHOWN = 8
"""Values that a comment names before it only counts."""
WIDTH = 78
"""Columns of a line, which may get two more where it is made a comment; a pattern can be longer."""


def manifest_text(name: str, title: str, seen: Seen, plan: ManifestPlan) -> str:
    """Return the manifest; `parse_manifest` accepts it."""
    parts = [*_head(name, title, seen), *_audio(seen, plan), *_labels(plan), *_beside(plan), *_tail(seen)]
    return "\n".join(parts) + "\n"


def toml_text(text: str) -> str:
    r"""Write a string for TOML: in single quotes where that needs no escape, else in double ones.

    Examples
    --------
    >>> print(toml_text(r"\d+"), toml_text("it's"))
    '\d+' "it's"
    """
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=not text.isprintable()).replace("\x7f", "\\u007f")


def counted(counts: Mapping[str, int]) -> str:
    """Write how often each value occurs, in one line that is safe to print."""
    shown = ", ".join(f"{_shown(value)} {count}" for value, count in list(counts.items())[:MOST_SHOWN])
    more = f" and {len(counts) - MOST_SHOWN} more values" if len(counts) > MOST_SHOWN else ""
    return f"{len(counts)} values: {shown}{more}"


def comment(text: str, first: str = "# ", more: str = "#   ") -> list[str]:
    """Return a comment as lines of at most `WIDTH` columns."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=more, break_on_hyphens=False)


def noted(code: str, note: str) -> list[str]:
    """Return a line of a manifest with a comment behind it, or above it where both are too long for one line."""
    line = f"{code}  # {note}"
    return [line] if len(line) <= WIDTH else [*comment(note), code]


def _shown(value: str) -> str:
    text = value if value.isprintable() else repr(value)[1:-1]
    return text if len(text) <= 40 else f"{text[:37]}..."


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_text(name)


def _list(values: list[str]) -> str:
    return f"[{', '.join(map(toml_text, values))}]"


def _head(name: str, title: str, seen: Seen) -> Iterator[str]:
    yield "# A manifest that was proposed by looking at names and tables alone."
    yield "# Read what was guessed, mend it, then:"
    yield "#   featurestore corpora check THIS.toml --source FOLDER"
    if len(seen.studied) < len(seen.audio):
        studied = f"the names of {len(seen.studied)} were studied; counts are of these."
        yield from comment(f"Of {len(seen.audio)} recordings, {studied}")
    if seen.strange:
        yield from comment(f"{seen.strange} recordings have control characters in their names and will be set aside.")
    yield ""
    yield f"name = {toml_text(name)}"
    yield f"title = {toml_text(title)}"
    yield '# licence = "CC BY 4.0"  # unknown: who may use it, and for what?'
    yield '# citation = "..."'
    yield ""


def _audio(seen: Seen, plan: ManifestPlan) -> Iterator[str]:
    yield "[audio]"
    endings = ", ".join(f"{ending} {count}" for ending, count in seen.endings.items())
    yield from noted(f"include = {_list([f'*{ending}' for ending in seen.endings])}", endings)
    why = "names of files are all different" if plan.depth == 1 else "folders are needed to tell recordings apart"
    yield from noted(f"depth = {plan.depth}", f"trailing parts of a path that name a recording: {why}")
    yield ""


def _labels(plan: ManifestPlan) -> Iterator[str]:
    yield from _pieces(plan)
    yield "[labels]"
    if plan.pattern:
        yield f"match = {toml_text(plan.match)}"
        yield f"pattern = {toml_text(plan.pattern)}"
    elif not any(map(plan.is_used, plan.tables)):
        yield "pattern = '.+'  # neither folders nor names seem to hold a label"
    yield from noted(f"target = {toml_text(plan.target)}", f"the class to predict{_target_note(plan)}")
    unknown = "" if plan.speaker else "  # unknown: no split can promise new speakers"
    yield f"speaker = {toml_text(plan.speaker or '')}{unknown}"
    if plan.text:
        yield f"text = {toml_text(plan.text)}"
    if plan.target == UNLABELLED:
        yield "# one class for all, until you know better"
        yield f"compose = {{ {UNLABELLED} = {toml_text(UNLABELLED)} }}"
    for field, counts in _coded(plan).items():
        yield ""
        yield "# code = what it means; a code that is not here rejects the recording"
        yield f"[labels.codes.{_key(field)}]"
        for value, meaning in meanings(counts, field).items():
            yield from noted(f"{_key(value)} = {toml_text(meaning)}", str(counts[value]))
    yield ""


def _target_note(plan: ManifestPlan) -> str:
    others = [
        field for fields in plan.columns.values() for field in fields if field not in (plan.target, "speaker", "text")
    ]
    return f"; other fields: {', '.join(map(_shown, dict.fromkeys(others)))[:200]}" if others else ""


def _coded(plan: ManifestPlan) -> Mapping[str, Mapping[str, int]]:
    """Return the fields with codes that are known, with the counts of their values; tables keep their own words."""
    counts: dict[str, Mapping[str, int]] = dict(plan.path_fields)
    for table in filter(plan.is_used, plan.tables):
        if "split" in plan.columns[table.path]:
            counts.setdefault("split", table.columns[plan.columns[table.path]["split"]])
    wanted = {plan.target, "split"}
    return {field: values for field, values in counts.items() if field in wanted and meanings(values, field)}


def _pieces(plan: ManifestPlan) -> Iterator[str]:
    """Say what varies in the paths and what it was taken for."""
    named = {id(guess.piece): guess for guess in plan.guesses}
    varying = [*(one for one in plan.folders if one.varies), *(plan.form.varying if plan.form else ())]
    if plan.form is None:
        yield from comment("The file names are not all put together in the same way, so nothing is read from them.")
    elif plan.form.others:
        yield f"# {plan.form.others} file names are put together in another way than the rest."
    if varying:
        yield "# What varies in the paths, from left to right:"
    for number, piece in enumerate(varying, 1):
        yield from comment(f"{number}. {_piece(piece, named.get(id(piece)))}", "#   ", "#      ")


def _piece(piece: PathField, guess: Guess | None) -> str:
    where = "folder" if piece.folder else "name"
    taken = f"-> {guess.field}, because {guess.why}" if guess else "-> not used"
    return f"{where}, {counted(piece.counts)} {taken}"


def _beside(plan: ManifestPlan) -> Iterator[str]:
    for table in plan.tables:
        used = plan.is_used(table)
        if not used:
            yield "# Not used, as it seems to give neither class nor speaker;"
            yield "# take the signs # away to have its fields:"
        yield from (line if used or not line else f"# {line}" for line in _table(table, plan))
    for one in plan.lists:
        yield from noted("[[lists]]", f"{one.joined} lines name recordings; the side is in the file's name")
        yield f"files = {toml_text(_pattern_of(one.path))}"
        yield f"value = {toml_text(one.side)}"
        yield f"match = {toml_text('path' if plan.depth > 1 else 'name')}"
        yield ""


def _table(table: LabelTable, plan: ManifestPlan) -> Iterator[str]:
    yield from noted("[[tables]]", f"{table.joined} of {table.rows} rows name a recording in {_shown(table.key)!r}")
    yield f"files = {toml_text(_pattern_of(table.path))}"
    yield f"format = {toml_text(table.format)}"
    if table.encoding != "utf-8-sig":
        yield f"encoding = {toml_text(table.encoding)}"
    if table.delimiter is not None:
        yield f"delimiter = {toml_text(table.delimiter)}"
    if not table.header:
        yield "header = false"
    match, key = plan.joins[table.path]
    yield f"match = {toml_text(match)}"
    if key != "{file}":
        yield f"key = {toml_text(key)}"
    yield ""
    yield "[tables.columns]"
    yield f"file = {_column(table, table.key)}"
    for field, column in plan.columns[table.path].items():
        counts = table.columns[column]
        numbers = "numbers, no class: " if holds_numbers(counts) else ""
        yield from noted(f"{_key(field)} = {_column(table, column)}", numbers + counted(dict(counts.most_common())))
    yield ""


def _column(table: LabelTable, column: str) -> str:
    """Name a column: by its header, or by its number from 1."""
    return toml_text(column) if table.header else str(table.order.index(column) + 1)


def _pattern_of(path: str) -> str:
    """Return a pattern that fits this path alone."""
    return re.sub(r"([*?[])", r"[\1]", path)


def _tail(seen: Seen) -> Iterator[str]:
    yield "# what a complete copy holds; 'corpora check' then tells what is missing:"
    yield "# [expected]"
    yield f"# files = {len(seen.audio)}"
