"""What a field is likely to be, told by its name and by how many values it has: class, speaker, sentence or split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from featurestore.corpus.labels.tables.rows import is_number
from featurestore.corpus.splits.given_sides import SIDE_NAMES

Counts = Mapping[str, int]
"""How often each value of a field occurs."""

CLASS_NAMES = (
    "emotion",
    "emotions",
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "target",
    "affect",
    "mood",
    "style",
    "command",
    "keyword",
    "intent",
    "word",
    "digit",
    "event",
    "accent",
)
"""Names of fields that hold the class, the likeliest first."""
SPEAKER_NAMES = (
    "speaker",
    "speaker_id",
    "speakerid",
    "spk",
    "spk_id",
    "spkid",
    "spkr",
    "actor",
    "actor_id",
    "client_id",
    "subject",
    "subject_id",
    "participant",
    "talker",
    "reader",
)
TEXT_NAMES = (
    "text",
    "transcription",
    "transcript",
    "sentence",
    "sentence_id",
    "text_id",
    "utterance_text",
    "normalized_text",
    "prompt",
    "statement",
)
SPLIT_NAMES = ("split", "subset", "partition", "set", "side")
TRAIT_NAMES = ("gender", "sex", "age", "age_group", "language", "lang", "locale", "dialect")
"""What is known of speakers; a class only where nothing else can be one."""

SIDES = {**SIDE_NAMES, "eval": "test", "evaluation": "test"}
"""Words for sides of a split, in lower case."""

MOST_CLASSES = 1_000
MOST_NUMBERS = 60
"""Different whole numbers of which a class may have its names, such as 0 to 9."""
MOST_REPEATED = 20
"""Recordings of more than which half must not have a number of their own."""


def class_field(fields: Mapping[str, Counts]) -> str | None:
    """Return the field that is likeliest to be the class to predict; None if none can be.

    A name that is usual for classes wins, then the field that most recordings have, then the fewest values; traits of
    speakers come last. Numbers to be predicted as such (`holds_numbers`), dates, and values of which each recording has
    another one (`tells_apart`) are no classes.
    """
    taken = {speaker_field(fields), text_field(fields), split_field(fields)}
    known = [
        name
        for name, counts in fields.items()
        if name not in taken
        and 2 <= len(counts) <= MOST_CLASSES
        and not (holds_numbers(counts) or tells_apart(counts) or _dates(counts))
    ]
    return min(known, key=lambda name: _class_rank(name, fields[name]), default=None)


def is_telling(name: str, counts: Counts) -> bool:
    """Tell whether a field of a table holds the class for sure: by its name, or words that return often."""
    words = not all(map(is_number, counts)) and plain_name(name) not in TRAIT_NAMES
    return plain_name(name) in CLASS_NAMES or (words and 2 * len(counts) <= sum(counts.values()))


def tells_apart(counts: Counts) -> bool:
    """Tell whether each of three recordings or more has a value of its own, as names and remarks do and classes do not.

    Examples
    --------
    >>> tells_apart({"0": 1, "7": 1, "14": 1}), tells_apart({"joy": 1, "calm": 1}), tells_apart({"a": 2, "b": 1})
    (True, False, False)
    """
    return len(counts) == sum(counts.values()) > 2


def holds_numbers(counts: Counts) -> bool:
    """Tell whether values are numbers to be predicted as such: one is no whole number, or they are too many for names.

    Examples
    --------
    >>> holds_numbers({"0.5": 9, "1": 9}), holds_numbers({"1.0": 9, "2.0": 9}), holds_numbers({"joy": 1})
    (True, False, False)
    """
    if not counts or not all(map(is_number, counts)):
        return False
    many = len(counts) > MOST_NUMBERS or (2 * len(counts) > sum(counts.values()) > MOST_REPEATED)
    return many or any(float(value.replace(",", ".")) % 1 for value in counts)


def _dates(counts: Counts) -> bool:
    """Tell whether all values are dates or times, such as `4/21`, `2024-05-01` or `12:30:00`."""
    return all(re.fullmatch(r"\d{1,4}([/.:-]\d{1,4}){1,2}([T ][\d:.+Z-]+)?", value) for value in counts) and not all(
        map(is_number, counts)
    )


def _class_rank(name: str, counts: Counts) -> tuple[bool, int, int, int]:
    plain = plain_name(name)
    usual = CLASS_NAMES.index(plain) if plain in CLASS_NAMES else len(CLASS_NAMES)
    number = sum(counts.values())
    worst = plain in TRAIT_NAMES or all(map(is_number, counts)) or len(counts) == number
    return (worst and usual == len(CLASS_NAMES), usual, -number, len(counts))


def speaker_field(fields: Iterable[str]) -> str | None:
    """Return the field that names the speaker."""
    return _first(fields, SPEAKER_NAMES)


def text_field(fields: Iterable[str]) -> str | None:
    """Return the field that holds or names the sentence."""
    return _first(fields, TEXT_NAMES)


def split_field(fields: Mapping[str, Counts]) -> str | None:
    """Return the field that names the side of a split: by its name, and every value is a side's name."""
    sides = {name: counts for name, counts in fields.items() if counts and all(v.casefold() in SIDES for v in counts)}
    return _first(sides, SPLIT_NAMES)


def side_of(words: Iterable[str]) -> str | None:
    """Return the first side that is named among words such as the folders of a path."""
    return next((SIDES[word.casefold()] for word in words if word.casefold() in SIDES), None)


def plain_name(name: str) -> str:
    """Return a field's name as it is compared: lower case, `_` between words.

    Examples
    --------
    >>> plain_name("Speaker ID")
    'speaker_id'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")


def _first(fields: Iterable[str], names: Iterable[str]) -> str | None:
    plain: dict[str, str] = {}
    for name in fields:
        plain.setdefault(plain_name(name), name)
    return next((plain[name] for name in names if name in plain), None)
