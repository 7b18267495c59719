"""The sample lists of aGender: `path speaker-or-session session-or-speaker age sex [class]`, separated by blanks.

What the second and third column mean differs between descriptions, so the speaker is taken from the path. The class
follows from age and sex; where a list states one too, both are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from featurestore.corpus.labels.tables.columns import read_columns
from featurestore.corpus.labels.tables.rows import Row
from featurestore.corpus.sheet.label_rules import TableRule
from featurestore.errors import SourceError

GROUPS = ((14, "child"), (24, "young"), (54, "adult"), (150, "senior"))
"""Oldest age in years of each age group."""

_COLUMNS: dict[str, tuple[str | int, ...]] = {"file": (1,), "age": (4,), "sex": (5,)}


def read_samples(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield `file`, `age`, `sex` (f, m, x), `age_group` and `class` (1 to 7) of each line.

    A line whose own class differs from the one that age and sex give also has the field `stated_class`.

    Raises
    ------
    SourceError
        If an age is no number of years or a sex is none of f, m, x.
    """
    six = b" " in data.strip() and len(data.strip().splitlines()[0].split()) > 5
    columns = {**_COLUMNS, "stated_class": (6,)} if six else _COLUMNS
    for row in read_columns(replace(rule, header=False, delimiter=" ", columns=columns), path, data):
        age, sex = row["age"], row["sex"]
        if not re.fullmatch(r"\d{1,3}", age) or int(age) > GROUPS[-1][0] or sex not in ("f", "m", "x"):
            raise SourceError(f"label file {path!r:.120}: {row['file']!r:.80} has age {age!r:.20} and sex {sex!r:.20}.")
        number = class_of(int(age), sex)
        stated = {} if row.get("stated_class", number) == number else {"stated_class": row["stated_class"]}
        yield {"file": row["file"], "age": age, "sex": sex, "age_group": group_of(int(age)), "class": number, **stated}


def group_of(age: int) -> str:
    """Return the age group of an age in years."""
    return next(name for oldest, name in GROUPS if age <= oldest)


def class_of(age: int, sex: str) -> str:
    """Return the class of a speaker: 1 children, then women and men of each older group, 2 to 7."""
    position = [name for _, name in GROUPS].index(group_of(age))
    return "1" if position == 0 else str(2 * position + (sex == "m"))
