"""Guessing which varying piece of a path is the class, the speaker, the side of a split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from featurestore.corpus.labels.schemes import SIX, SYNONYMS
from featurestore.corpus.proposal.fields import PathField
from featurestore.corpus.proposal.roles import SIDES

MOST_CLASSES = 60
MOST_SPEAKERS = 5_000
USUAL_CLASSES = (3, 20)
"""How many classes most corpora have."""
MOSTLY_ONE = 0.65
"""Share of the recordings beyond which a single value says that a piece names no speakers."""
LEAST_A_SPEAKER = 2.0
"""Recordings that a speaker has on average, if a piece names speakers."""

EMOTIONS = frozenset({*SYNONYMS, *SYNONYMS.values(), *SIX, "calm", "surprise", "boredom", "contempt"})
_SHORT = frozenset({"ang", "hap", "neu", "ps"})
"""Words for emotions that are no words of any language."""
_DIGITS = frozenset("0123456789")
_SEXES = frozenset({"m", "f", "w", "male", "female", "man", "woman"})
_SPEAKER = re.compile(r"(actor|speaker|spkr?|spk|subject|person|talker|p|s)[_-]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Guess:
    """A piece of the paths and the field that it seems to be."""

    field: str
    piece: PathField
    why: str


def guesses(pieces: Sequence[PathField]) -> tuple[Guess, ...]:
    """Guess side, class and speaker among the varying pieces of paths, in this order; what cannot be told is absent."""
    found: list[Guess] = []
    for guess in (_side, _class, _speaker):
        left = [piece for piece in pieces if piece.varies and all(piece.values != one.piece.values for one in found)]
        guessed = guess(left)
        if guessed is not None:
            found.append(guessed)
    return tuple(found)


def class_rank(found: Sequence[Guess]) -> tuple[bool, ...]:
    """Return what speaks against the class among guesses, so that ways to split names can be compared."""
    one = next((guess for guess in found if guess.field not in ("split", "speaker")), None)
    return (True,) if one is None else (False, one.field == "label", *_rank(one.piece))


def _side(pieces: Sequence[PathField]) -> Guess | None:
    for piece in pieces:
        if all(value.casefold() in SIDES for value in piece.counts):
            return Guess("split", piece, "all its values are names of sides")
    return None


def _class(pieces: Sequence[PathField]) -> Guess | None:
    """Return the likeliest class: words for emotions, else words of few values, folders before names, else numbers."""
    for piece in pieces:
        if sum(is_emotion(value) for value in piece.counts) * 2 > len(piece.counts):
            return Guess("emotion", piece, "most of its values are words for emotions")
        if _DIGITS <= set(piece.counts) <= {*_DIGITS, "o", "z"}:
            return Guess("digit", piece, "its values are the ten digits")
    few = [piece for piece in pieces if 2 <= len(piece.counts) <= _most(piece, MOST_CLASSES, 2.0)]
    ranked = sorted(few, key=_rank)
    if not ranked:
        return None
    kind = "folders" if ranked[0].folder else "pieces of the names"
    return Guess("label", ranked[0], f"the likeliest class among the {kind}: few values, each with recordings enough")


def _rank(piece: PathField) -> tuple[bool, ...]:
    """Return what speaks against a class, the strongest first; among equals the first from the left is taken."""
    values = list(piece.counts)
    return (
        are_speakers(values) or all(value.casefold() in _SEXES for value in values),
        all(value.isdecimal() for value in values),
        not piece.folder,
        not USUAL_CLASSES[0] <= len(values) <= USUAL_CLASSES[1],
    )


def _speaker(pieces: Sequence[PathField]) -> Guess | None:
    """Return the piece that names the speaker: by words such as `spk1`, else the first that repeats enough."""
    for piece in pieces:
        if are_speakers(piece.counts) and _repeats(piece):
            return Guess("speaker", piece, "its values are numbered as speakers are")
    likely = [piece for piece in pieces if _repeats(piece)]
    if not likely:
        return None
    words = [piece for piece in likely if not _is_counter(piece)]
    return Guess(
        "speaker", (words or likely)[0], "the first other piece whose values return often; check that it is the speaker"
    )


def _is_counter(piece: PathField) -> bool:
    """Tell whether a piece counts from 0 or 1, as takes and sentences are numbered, and speakers sometimes."""
    if not all(value.isdecimal() and value.isascii() and len(value) < 6 for value in piece.counts):
        return False
    numbers = sorted(int(value) for value in piece.counts)
    return numbers[0] <= 1 and numbers[-1] - numbers[0] < 2 * len(numbers)


def _repeats(piece: PathField) -> bool:
    known = all(value.casefold() in _SEXES for value in piece.counts)
    mostly_one = max(piece.counts.values()) > MOSTLY_ONE * len(piece.values)
    return not known and not mostly_one and 2 <= len(piece.counts) <= _most(piece, MOST_SPEAKERS, LEAST_A_SPEAKER)


def _most(piece: PathField, most: int, each: float) -> float:
    return min(most, len(piece.values) / each)


def are_speakers(values: Iterable[str]) -> bool:
    """Tell whether values are numbered as speakers are, such as `spk1` or `Actor_01`."""
    return all(_SPEAKER.fullmatch(value) for value in values)


def is_emotion(value: str) -> bool:
    """Tell whether a value is a word for an emotion, short or long."""
    return value.casefold() in EMOTIONS


def meanings(values: Iterable[str], field: str) -> dict[str, str]:
    """Return what the values of a class or side mean, where at least one is a short form; else nothing.

    Examples
    --------
    >>> meanings(["ang", "neutral"], "emotion"), meanings(["dev"], "split"), meanings(["angry"], "emotion")
    ({'ang': 'anger', 'neutral': 'neutral'}, {'dev': 'validation'}, {})
    """
    table = {"split": SIDES, "emotion": SYNONYMS}.get(field, {})
    meant = {value: table.get(value.casefold(), value.casefold() if is_emotion(value) else value) for value in values}
    short = any(
        value != meaning and (field == "split" or value.casefold() in _SHORT) for value, meaning in meant.items()
    )
    return meant if short else {}
