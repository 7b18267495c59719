"""What a proposed manifest holds: where the class, the speaker and the sides come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from featurestore.corpus.labels.fields import is_segment_field
from featurestore.corpus.regex import compile_pattern
from featurestore.corpus.suggest.guess import Guess, class_rank, guesses
from featurestore.corpus.suggest.look import (
    LabelTable,
    Seen,
    SideList,
    ending_of,
    find_tables,
    joining,
    least_depth,
)
from featurestore.corpus.suggest.path_fields import Form, PathField, folders_of, forms_of
from featurestore.corpus.suggest.roles import (
    class_field,
    holds_numbers,
    is_emotion,
    is_telling,
    speaker_field,
    split_field,
    tells_apart,
    text_field,
)
from featurestore.errors import ManifestError

DEEPEST = 4
"""Folders above a recording that are studied."""
CLASSES = ("emotion", "digit", "label")
"""What a class that is read from paths is called."""
UNLABELLED = "unlabelled"
"""The class of everything where none was found."""


@dataclass(frozen=True)
class ManifestPlan:
    """The contents of a proposed manifest, before it is written."""

    depth: int
    match: str
    """`name` or `path`: what the pattern is for."""
    pattern: str
    """Empty where nothing is read from paths."""
    form: Form | None
    folders: tuple[PathField, ...]
    guesses: tuple[Guess, ...]
    """What the pattern names."""
    tables: tuple[LabelTable, ...]
    lists: tuple[SideList, ...]
    joins: Mapping[str, tuple[str, str]]
    """For each table's path, how its rows are compared with recordings: `match` and `key`."""
    columns: Mapping[str, Mapping[str, str]]
    """For each table's path, the column of each field; columns of words that never return are left out."""
    target: str
    speaker: str | None
    text: str | None
    depths: int
    """In how many different depths recordings lie; of several, nobody can tell which folder means what."""

    @property
    def class_guess(self) -> Guess | None:
        """The piece of the paths that is the class; None where a table gives it, or nothing does."""
        return next((guess for guess in self.guesses if guess.field == self.target), None)

    @property
    def is_sure(self) -> bool:
        """Whether the class is clear enough to build by it before anybody has read the manifest."""
        guess = self.class_guess
        if guess is not None:
            return guess.sure and (self.depths == 1 or not guess.piece.folder)
        giving = (table for table in self.tables if self.target in self.columns[table.path])
        return any(is_telling(self.target, one.columns[self.columns[one.path][self.target]]) for one in giving)

    def is_used(self, table: LabelTable) -> bool:
        """Tell whether a table gives the class, the speaker, the sentence or the side of a recording."""
        return not {self.target, "speaker", "text", "split"}.isdisjoint(self.columns[table.path])


def plan_manifest(seen: Seen) -> ManifestPlan:
    """Work out the contents of the manifest of a folder."""
    tables, lists = find_tables(seen)
    columns = {table.path: _fields_of(table) for table in tables}
    named = {field: table.columns[column] for table in tables for field, column in columns[table.path].items()}
    folders, form, found = _path_guesses(seen)
    target = _table_class(named, found)
    found = tuple(one for one in found if one.field not in named and not (target and one.field in CLASSES))
    # parts of a path that are needed: to tell recordings apart, and for the folders with a meaning
    in_folders = {id(guess.piece) for guess in found if guess.piece.folder}
    first = next((number for number, folder in enumerate(folders) if id(folder) in in_folders), len(folders))
    depth = max(least_depth(seen.audio), len(folders) - first + 1)
    pattern = _pattern(folders[len(folders) - depth + 1 :] if in_folders else [], form, found, seen) if found else ""
    found = found if pattern else ()
    fields = {*named, *(guess.field for guess in found)}
    return ManifestPlan(
        depth=depth,
        match="path" if in_folders else "name",
        pattern=pattern,
        form=form,
        folders=tuple(folders),
        guesses=found,
        tables=tuple(tables),
        lists=tuple(lists),
        joins={table.path: joining(table, seen.audio, depth) for table in tables},
        columns=columns,
        target=target or next((guess.field for guess in found if guess.field in CLASSES), UNLABELLED),
        speaker="speaker" if "speaker" in fields else None,
        text="text" if "text" in fields else None,
        depths=len({path.count("/") for path in seen.studied}),
    )


def _table_class(named: Mapping[str, Counter[str]], found: tuple[Guess, ...]) -> str | None:
    """Return the class that a table gives; None where the paths give one that more recordings have, or none does."""
    target = class_field(named)
    in_paths = next((guess for guess in found if guess.field in CLASSES), None)
    if target is None or in_paths is None:
        return target
    covered = sum(named[target].values()) >= len(in_paths.piece.values)
    return target if covered and is_telling(target, named[target]) else None


def _path_guesses(seen: Seen) -> tuple[list[PathField], Form | None, tuple[Guess, ...]]:
    """Return the folders, the form of the names, and the guesses for the way to split them that tells a class."""
    sampled = len(seen.studied) < len(seen.audio)
    forms: list[Form | None] = [*forms_of(seen.studied, sampled=sampled)]
    tried: list[tuple[list[PathField], Form | None, tuple[Guess, ...]]] = []
    for form in forms or [None]:
        paths = form.paths if form else seen.studied
        folders = folders_of(paths, DEEPEST, sampled=sampled)
        tried.append((folders, form, guesses([*folders, *(form.pieces if form else ())])))
    return min(tried, key=lambda one: class_rank(one[2]))


def _fields_of(table: LabelTable) -> dict[str, str]:
    """Name the columns of a table: speaker, text and split as a manifest calls them, the others by their own names."""
    columns = table.columns
    roles = {speaker_field(columns): "speaker", text_field(columns): "text", split_field(columns): "split"}
    fields: dict[str, str] = {}
    for column, counts in columns.items():
        own = column if table.header else f"column{column}"
        if not table.header and sum(map(is_emotion, counts)) * 2 > len(counts) > 0:
            own = "emotion"
        field = roles.get(column, own)
        unlike = tells_apart(counts) and field == own and not (holds_numbers(counts) or is_segment_field(column))
        if counts and field != "file" and field not in fields and not unlike:
            fields[field] = column
    return fields


def _pattern(folders: list[PathField], form: Form | None, found: tuple[Guess, ...], seen: Seen) -> str:
    """Write the pattern; what comes after the last named piece is left open where the whole would be too costly."""
    names = {id(guess.piece): guess.field for guess in found}

    def group(piece: PathField) -> str:
        """Write one piece, as a group of its field's name where it has one."""
        if id(piece) in names:
            return f"(?P<{names[id(piece)]}>{piece.expression})"
        return "[^/]+" if piece.folder and piece.varies else piece.expression

    pieces = form.pieces if form else ()
    last = max((number for number, piece in enumerate(pieces) if id(piece) in names), default=-1)
    named = "".join(f"{group(piece)}/" for piece in folders) + "".join(map(group, pieces[: last + 1]))
    rest = "".join(map(group, pieces[last + 1 :]))
    endings = {path[-len(ending_of(path)) :] for path in seen.audio}
    ending = endings.pop().replace(".", r"\.") if len(endings) == 1 else r"\.\w{1,5}"
    for tail in (".+",) if last < 0 else (rest, ".*"):
        with suppress(ManifestError):
            compile_pattern(named + tail + ending, "a proposal")
            return named + tail + ending
    return ""
