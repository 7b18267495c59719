"""Guessing which varying piece of a path is the class, the speaker, the side of a split; and abstaining in doubt.

A wrong speaker is worse than none: splits by speaker then promise what they do not hold. So a piece is the speaker only
if it is numbered as people are (`Actor_01`), or is the only piece that returns within the classes and across them as a
speaker does and is nothing else: no counter, date, age, condition or code of the class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from featurestore.corpus.suggest.path_fields import PathField, alike_left_out, are_alike
from featurestore.corpus.suggest.roles import (
    EMOTIONS,
    PERSON,
    SEXES,
    SIDES,
    are_speakers,
    bare,
    conditions,
    is_counter,
)

MOST_CLASSES = 60
LEAST_EACH = 2.0
"""Recordings that a class, and a speaker, has on average."""
FEW = 3
"""Folders that may be classes with one recording each; more of them tell recordings apart."""
MOST_SPEAKERS = 5_000
MOSTLY_ONE = 0.65
"""Share of the recordings beyond which a piece with a single value names no speakers."""
FEWEST_NAMES = 3
"""Values from which a piece may name speakers; two are conditions more often, as old and young."""
LEAST_FILLED = 0.5
"""Share of the pairs of speaker and class that occur."""
LEAST_REPEATED = 1.5
"""Recordings of such a pair on average; a counter gives each pair one."""
LONGEST_COUNT = 100
"""Number below which those that begin at 0 or 1 are takes or sentences, with gaps as well."""

_STATES = frozenset(("pos", "neg", "positive", "negative", "normal", "abnormal", "healthy", "sick", "pathological"))
_DIGITS = frozenset("0123456789")
_DATE = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:[0-2]\d|3[01])(?:[T_-]?\d{4,6})?", re.ASCII)
_HASH = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{6,64}|[0-9]{6,64}|[a-f]{6,64}", re.ASCII)


@dataclass(frozen=True)
class Guess:
    """A piece of the paths and the field that it seems to be."""

    field: str
    piece: PathField
    why: str
    sure: bool = True
    """Whether a build may go by it; else somebody has to read the manifest first."""


def guesses(pieces: Sequence[PathField]) -> tuple[Guess, ...]:
    """Guess side, class and speaker among the pieces of paths, in this order; what is in doubt is absent.

    There are all pieces from left to right, also those that do not vary and separators, with a value for each path.
    """
    left = [piece for piece in pieces if piece.varies]
    side = next((piece for piece in left if all(value.casefold() in SIDES for value in piece.counts)), None)
    found = [Guess("split", side, "all its values are names of sides")] if side else []
    if side:
        left = [piece for piece in left if not are_alike(piece, side)]
    classes = _class(left)
    if classes:
        found.append(classes)
        left = [piece for piece in left if not are_alike(piece, classes.piece)]
    speaker = _speaker(pieces, left, classes)
    return (*found, speaker) if speaker else tuple(found)


def class_rank(found: Sequence[Guess]) -> tuple[bool, ...]:
    """Return what speaks against the class among guesses, so that ways to split names can be compared."""
    one = next((guess for guess in found if guess.field not in ("split", "speaker")), None)
    lacks_speaker = all(guess.field != "speaker" for guess in found)
    return (True, lacks_speaker) if one is None else (False, one.field == "label", not one.piece.folder, lacks_speaker)


def _class(pieces: Sequence[PathField]) -> Guess | None:
    """Return the class: words for emotions or states, the ten digits, else the one piece of words, folders first."""
    for known, field, what in ((EMOTIONS, "emotion", "emotions"), (_STATES, "label", "states")):
        for piece in pieces:
            if sum(bare(value) in known for value in piece.counts) * 2 > len(piece.counts):
                return Guess(field, piece, f"most of its values are words for {what}")
    alone = sum(piece.folder for piece in pieces) == 1
    words = [piece for piece in pieces if _may_be_class(piece, alone and piece.folder)]
    first = next((piece for piece in pieces if not piece.folder), None)
    digits = [
        piece
        for piece in pieces
        if _DIGITS <= set(piece.counts) <= {*_DIGITS, "o", "z"}
        and (piece.folder or (piece is first and all(_pairs(piece, word) < len(word.values) for word in words)))
    ]
    if digits:
        return Guess("digit", digits[0], "its values are the ten digits") if len(alike_left_out(digits)) == 1 else None
    folders = alike_left_out([piece for piece in words if piece.folder])
    likely = folders or alike_left_out(words)
    if len(likely) > 1:
        likely = [piece for piece in likely if not conditions(piece.counts)]
    if len(likely) != 1:
        return None
    one = likely[0]
    if sum(value.casefold() in SIDES for value in one.counts) > 1:  # nobody can tell a class from a side
        return None
    if not folders and any(_hides_words(piece) and not are_alike(piece, one) for piece in pieces):
        return None
    kind = "folder" if folders else "piece of the names"
    sure = bool(folders) and not {*map(bare, one.counts)} <= SEXES
    return Guess("label", one, f"it is the only {kind} of words that can be a class", sure=sure)


def _may_be_class(piece: PathField, only_folder: bool) -> bool:
    """Tell whether a piece has few values with recordings enough, and is no number, speaker or list.

    Of the only folder that varies, single letters and values of one recording each may be classes as well.
    """
    values = list(piece.counts)
    enough = len(piece.values) / LEAST_EACH
    few = 2 <= len(values) <= min(MOST_CLASSES, max(enough, FEW) if only_folder else enough)
    words = {re.sub(r"\d+", "", value) for value in values}  # of numbered dialogues only one is left
    likely = few and 2 * len(words) > len(values) and all(map(bare, values))
    listed = is_counter(values) and not (only_folder and all(len(value) == 1 for value in values))
    return likely and not are_speakers(values) and not listed


def _hides_words(piece: PathField) -> bool:
    """Tell whether a piece such as `a01` holds a word beside its number, which may be the class as well."""
    numbered = all(re.fullmatch(r"[A-Za-z]+\d+", value, re.ASCII) for value in piece.counts)
    return numbered and len({bare(value) for value in piece.counts}) >= FEWEST_NAMES


def _pairs(piece: PathField, other: PathField) -> int:
    """Return how many pairs of values of two pieces occur."""
    return len(set(zip(piece.values, other.values, strict=True)))


def _speaker(pieces: Sequence[PathField], left: Sequence[PathField], classes: Guess | None) -> Guess | None:
    """Return the piece that names the speaker for sure, among those `left` that are neither class nor side.

    Words beside classes that are no speech are places, instruments or devices, as the cities of recorded scenes.
    """
    other = _dates_and_counted(pieces)
    left = [piece for piece in left if id(piece) not in other]
    for piece in left:
        if are_speakers(piece.counts) and _returns(piece):
            return Guess("speaker", piece, "its values are numbered as speakers are")
    if classes is None:
        return None
    speech = classes.field in ("emotion", "digit")
    first = next((piece for piece in left if not piece.folder), None)
    likely = [piece for piece in left if _crosses(piece, classes.piece)]
    named = [
        piece
        for piece in likely
        if _names_someone(piece, leftmost=piece is first or piece.folder)
        and (speech or all(map(str.isdecimal, piece.counts)) or all(map(_HASH.fullmatch, piece.counts)))
    ]
    in_names = {piece.values for piece in likely if not piece.folder}
    twice = [piece for piece in likely if speech and piece.folder and piece.values in in_names and _may_repeat(piece)]
    sure = alike_left_out(twice or [piece for piece in named if piece.folder] or named)
    if len(sure) != 1 or (not sure[0].folder and any(_rivals(piece, sure[0]) for piece in likely)):
        return None
    return Guess("speaker", sure[0], "it is the only piece whose values return within the classes and across them")


def _dates_and_counted(pieces: Sequence[PathField]) -> set[int]:
    """Return the ids of pieces that are year, month and day side by side, or are counted by a word, as `ses-03`."""
    texts = [piece for piece in pieces if not re.fullmatch(r"[_\-. ]+", piece.values[0])]
    found: set[int] = set()
    year, small = r"(?:19|20)\d\d", r"(?:0?[1-9]|[12]\d|3[01])"
    for three in zip(texts, texts[1:], texts[2:], strict=False):
        for order in ((year, small, small), (small, small, year)):
            fits = zip(three, order, strict=True)
            if all(re.fullmatch(part, value, re.ASCII) for piece, part in fits for value in piece.counts):
                found |= set(map(id, three))
    for word, piece in pairwise(one for one in texts if not one.folder):
        text = word.values[0]
        named = re.fullmatch(r"[A-Za-z]{2,}", text, re.ASCII) and not PERSON.fullmatch(f"{text}1")
        if named and not word.varies:
            found.add(id(piece))
    return found


def _rivals(piece: PathField, speaker: PathField) -> bool:
    """Tell whether another piece that returns as speakers do may be the speaker: no take, condition or trait of one."""
    numbers = [int(value) for value in piece.counts if value.isdecimal()]
    take = min(numbers, default=0) <= 1 and (is_counter(piece.counts) or 0 < max(numbers, default=0) < LONGEST_COUNT)
    trait = _pairs(speaker, piece) == len(speaker.counts)
    return not (take or trait or conditions(piece.counts))


def _may_repeat(folder: PathField) -> bool:
    """Tell whether a folder that is repeated in the names, as in `03/1_03_0`, has words or numbers of two digits."""
    plain = all(len(value) > 1 and value.isdecimal() for value in folder.counts) or not is_counter(folder.counts)
    return len(folder.counts) >= FEWEST_NAMES and plain and not conditions(folder.counts)


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
