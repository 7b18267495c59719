"""Which piece of paths names the speaker; in doubt none does.

A wrong speaker is worse than none: splits by speaker then promise what they do not hold. So a piece is the speaker only
if it is numbered as people are (`Actor_01`), or is the only piece that returns within the classes and across them as a
speaker does and is nothing else: no counter, date, age, condition or code of the class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from featurestore.corpus.proposal.fields import PathField, alike_left_out
from featurestore.corpus.proposal.values import PERSON, are_speakers, conditions, is_counter

MOST_SPEAKERS = 5_000
MOSTLY_ONE = 0.65
"""Share of the recordings beyond which a single value says that a piece names no speakers."""
LEAST_EACH = 2.0
"""Recordings that a speaker has on average."""
FEWEST_NAMES = 3
"""Values from which a piece may name speakers without saying so; two are conditions more often, as old and young."""
LEAST_FILLED = 0.5
"""Share of the pairs of speaker and class that occur."""
LEAST_REPEATED = 1.5
"""Recordings of such a pair on average; a counter gives each pair one."""
LONGEST_COUNT = 100
"""Number below which those that begin at 0 or 1 are takes or sentences, with gaps as well."""
_DATE = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:[0-2]\d|3[01])(?:[T_-]?\d{4,6})?", re.ASCII)
_HASH = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{6,64}|[0-9]{6,64}|[a-f]{6,64}", re.ASCII)


def speaker_among(
    pieces: Sequence[PathField], left: Sequence[PathField], classes: PathField | None, *, speech: bool
) -> tuple[PathField, str] | None:
    """Return the piece that names the speaker for sure, and why; None if none does.

    Parameters
    ----------
    pieces : sequence of PathField
        All pieces from left to right.
    left : sequence of PathField
        Those that vary and are neither class nor side.
    classes : PathField, optional
        The class.
    speech : bool
        Whether the classes are those of speech. Beside others words are places, instruments or devices, as the cities
        of recorded scenes.
    """
    other = _dates(pieces) | _counted_by_word(pieces)
    pieces = [piece for piece in left if id(piece) not in other]
    for piece in pieces:
        if are_speakers(piece.counts) and _returns(piece):
            return piece, "its values are numbered as speakers are"
    if classes is None:
        return None
    first = next((piece for piece in pieces if not piece.folder), None)
    likely = [piece for piece in pieces if _crosses(piece, classes)]
    named = [
        piece
        for piece in likely
        if _names_someone(piece, leftmost=piece is first or piece.folder)
        and (speech or all(map(str.isdecimal, piece.counts)) or all(map(_HASH.fullmatch, piece.counts)))
    ]
    twice = [piece for piece in likely if speech and piece.folder and _is_told_twice(piece, likely)]
    sure = alike_left_out(twice or [piece for piece in named if piece.folder] or named)
    if len(sure) != 1 or (not sure[0].folder and any(_rivals(piece, sure[0]) for piece in likely)):
        return None
    return sure[0], "it is the only piece whose values return within the classes and across them"


def _rivals(piece: PathField, speaker: PathField) -> bool:
    """Tell whether another piece that returns as speakers do may be the speaker: no take, condition or trait of one."""
    numbers = [int(value) for value in piece.counts if value.isdecimal()]
    take = min(numbers, default=0) <= 1 and (is_counter(piece.counts) or 0 < max(numbers, default=0) < LONGEST_COUNT)
    trait = len({*zip(speaker.values, piece.values, strict=True)}) == len(speaker.counts)
    return not (take or trait or conditions(piece.counts))


def _is_told_twice(folder: PathField, pieces: Iterable[PathField]) -> bool:
    """Tell whether a folder of words or numbers of two digits and more stands in the names as well, as `03/1_03_0`."""
    if len(folder.counts) < FEWEST_NAMES:
        return False
    plain = all(len(value) > 1 and value.isdecimal() for value in folder.counts) or not is_counter(folder.counts)
    return (
        plain and not conditions(folder.counts) and any(one.values == folder.values for one in pieces if not one.folder)
    )


def _returns(piece: PathField) -> bool:
    mostly_one = max(piece.counts.values()) > MOSTLY_ONE * len(piece.values) and len(piece.counts) > 2
    return not mostly_one and 2 <= len(piece.counts) <= min(MOST_SPEAKERS, len(piece.values) / LEAST_EACH)


def _crosses(piece: PathField, classes: PathField) -> bool:
    """Tell whether the values of a piece return across the classes and within them; codes and takes do not."""
    if not _returns(piece):
        return False
    pairs = Counter(zip(piece.values, classes.values, strict=True))
    if all(map(_HASH.fullmatch, piece.counts)):  # thousands of speakers, of whom each says a few of the classes
        several = Counter(value for value, _ in pairs)
        again = [value for value, count in piece.counts.items() if count > 1]
        return 2 * sum(several[value] > 1 for value in again) > len(again) and 1.05 * len(pairs) < len(piece.values)
    filled = len(pairs) / (len(piece.counts) * len(classes.counts))
    return filled >= LEAST_FILLED and len(piece.values) / len(pairs) >= LEAST_REPEATED


def _names_someone(piece: PathField, *, leftmost: bool) -> bool:
    """Tell whether values may name people: words, or numbers that count nothing and are no ages or years."""
    values = list(piece.counts)
    if len(values) < FEWEST_NAMES or conditions(piece.counts) or is_counter(values):
        return False
    if any(_DATE.fullmatch(value) for value in values):
        return False
    if all(map(_HASH.fullmatch, values)) and not all(map(str.isdecimal, values)):
        return True
    numbers = [int(value) for value in values if value.isdecimal() and value.isascii() and len(value) < 10]
    if len(numbers) < len(values):
        return not numbers
    age_or_year = all(10 <= number <= 99 or 1900 <= number <= 2100 for number in numbers)
    return leftmost and not age_or_year


def _counted_by_word(pieces: Sequence[PathField]) -> frozenset[int]:
    """Return the ids of the numbers before which all names have a word that says what they count, as `ses-03`."""
    texts = [piece for piece in _texts(pieces) if not piece.folder]
    return frozenset(
        id(piece)
        for word, piece in pairwise(texts)
        if not word.varies
        and re.fullmatch(r"[A-Za-z]{2,}", word.values[0], re.ASCII)
        and not PERSON.fullmatch(f"{word.values[0]}1")
    )


def _texts(pieces: Sequence[PathField]) -> list[PathField]:
    """Return the pieces without separators."""
    return [piece for piece in pieces if not re.fullmatch(r"[_\-. ]+", piece.values[0])]


def _dates(pieces: Sequence[PathField]) -> frozenset[int]:
    """Return the ids of the pieces that are year, month and day side by side."""
    texts = _texts(pieces)
    threes = zip(texts, texts[1:], texts[2:], strict=False)
    return frozenset(id(piece) for three in threes if _is_date(three) for piece in three)


def _is_date(three: Sequence[PathField]) -> bool:
    """Tell whether three pieces are a year, a month and a day, or the other way round."""

    def fits(piece: PathField, expression: str) -> bool:
        """Tell whether an expression fits all values of a piece."""
        return all(re.fullmatch(expression, value, re.ASCII) for value in piece.counts)

    year, small = r"(?:19|20)\d\d", r"(?:0?[1-9]|[12]\d|3[01])"
    return any(all(map(fits, three, order)) for order in ((year, small, small), (small, small, year)))
