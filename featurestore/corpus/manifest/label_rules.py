"""What a manifest says about labels: patterns of paths, tables and lists beside the audio, derived fields."""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How labels are read from a path: a pattern with named groups, and a table of codes for some groups."""

    pattern: str
    """Regular expression that matches a whole file name; each named group is a label field. Empty where tables
    give every field."""
    target: str
    """The field whose value is the class to predict."""
    match: str = "name"
    """What the pattern matches: `name` (the file name) or `path` (the path inside the corpus)."""
    any_case: bool = False
    """Whether pattern and codes hold in upper and lower case alike."""
    speaker: str | None = "speaker"
    """The field that names the speaker; None where speakers are unknown."""
    text: str | None = None
    """The field that names the sentence, where there is one."""
    join_speakers: bool = False
    """Whether speakers who share a recording, byte for byte, are one: known names of one person, or a slip."""
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Code tables `{field: {code: value}}`; a field without a table keeps its text."""
    compose: Mapping[str, str] = field(default_factory=dict)
    """Fields put together from others, as `{"speaker": "{session}{sex}"}`; codes are translated before."""
    derived: Mapping[str, str] = field(default_factory=dict)
    """Fields computed where nothing else gives them: `{field: name of a rule in DERIVATIONS}`."""


@dataclass(frozen=True, slots=True)
class TableRule:
    """How rows of label files beside the audio become fields of recordings."""

    files: tuple[str, ...]
    """Patterns of the files' paths; one with `k` slashes looks at the last `k + 1` parts."""
    format: str = "columns"
    """A key of `TABLE_FORMATS`."""
    encoding: tuple[str, ...] = ("utf-8-sig",)
    """Encodings, tried in this order."""
    delimiter: str | None = None
    """What stands between two columns; `" "` is any white space, None is found out."""
    header: bool = True
    """Whether the first line names the columns."""
    columns: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    """`{field: accepted names, or the number (1 is the first)}` of its column; empty takes all by their names."""
    key: str = "{file}"
    """The recording that a row is about, put together from the row's fields; its extension may be left out."""
    match: str = "name"
    """What the key is compared with: `name` (the file name), `path` (the path inside the corpus), or `either`: the
    path, and where none is like it the name alone."""
    pattern: str | None = None
    """Regular expression for the label file's own path, whose groups are fields of each row."""
    lower: bool = False
    """Whether values are brought to lower case; what says that one is missing, as `NA` does, stays as it is."""


@dataclass(frozen=True, slots=True)
class ListRule:
    """Lists of recordings, one a line, whose members get a value of a field, such as the side of an official split."""

    files: tuple[str, ...]
    value: str
    field: str = "split"
    match: str = "path"
    """What a line is compared with: `name` or `path`."""


def is_label_file(rules: tuple[TableRule | ListRule, ...], path: str) -> bool:
    """Tell whether one of the rules reads the file at a path of a source."""
    if not rules:
        return False
    parts = _plain(path).split("/")
    return any(_fits(pattern, parts) for rule in rules for pattern in rule.files)


def fits_tail(pattern: str, path: str) -> bool:
    """Tell whether the last parts of a path fit a pattern part by part, in any case and any encoding of accents.

    Examples
    --------
    >>> fits_tail("EmoEvaluation/*.txt", "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt")
    True
    >>> fits_tail("EmoEvaluation/*.txt", "Session1/dialog/EmoEvaluation/Attribute/x.txt")
    False
    """
    return _fits(pattern, _plain(path).split("/"))


def _fits(pattern: str, parts: list[str]) -> bool:
    """Compare the last parts first: most files of a corpus differ there."""
    wanted = _plain(pattern).split("/")
    return len(parts) >= len(wanted) and all(
        fnmatch.fnmatchcase(part, one) for part, one in zip(reversed(parts), reversed(wanted), strict=False)
    )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
