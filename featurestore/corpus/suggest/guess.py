"""Guessing which varying piece of a path is the class, the speaker, the side of a split; and abstaining in doubt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.corpus.suggest.path_fields import PathField, alike_left_out, are_alike
from featurestore.corpus.suggest.roles import SIDES
from featurestore.corpus.suggest.values import (
    EMOTIONS,
    FEWEST_NAMES,
    SEXES,
    are_speakers,
    bare,
    conditions,
    is_counter,
    speaker_among,
)

MOST_CLASSES = 60
LEAST_EACH = 2.0
"""Recordings that a class has on average."""
FEW = 3
"""Folders that may be classes with one recording each; more of them tell recordings apart."""
_STATES = frozenset(("pos", "neg", "positive", "negative", "normal", "abnormal", "healthy", "sick", "pathological"))
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True)
class Guess:
    """A piece of the paths and the field that it seems to be."""

    field: str
    piece: PathField
    why: str
    sure: bool = True
    """Whether a build may go by it; else somebody has to read the manifest first."""


def guesses(pieces: Sequence[PathField]) -> tuple[Guess, ...]:
    """Guess side, class and speaker among the pieces of paths, in this order; what cannot be told is absent.

    Parameters
    ----------
    pieces : sequence of PathField
        All pieces from left to right, also those that do not vary and separators, with a value for each path.
    """
    left = [piece for piece in pieces if piece.varies]
    found: list[Guess] = []
    for guess in (_side, _class):
        guessed = guess(left)
        if guessed is not None:
            found.append(guessed)
            left = [piece for piece in left if not are_alike(piece, guessed.piece)]
    classes = next((guess for guess in found if guess.field != "split"), None)
    speech = classes is not None and classes.field in ("emotion", "digit")
    speaker = speaker_among(pieces, left, classes.piece if classes else None, speech=speech)
    return (*found, Guess("speaker", *speaker)) if speaker else tuple(found)


def class_rank(found: Sequence[Guess]) -> tuple[bool, ...]:
    """Return what speaks against the class among guesses, so that ways to split names can be compared."""
    one = next((guess for guess in found if guess.field not in ("split", "speaker")), None)
    lacks_speaker = all(guess.field != "speaker" for guess in found)
    return (True, lacks_speaker) if one is None else (False, one.field == "label", not one.piece.folder, lacks_speaker)


def _side(pieces: Sequence[PathField]) -> Guess | None:
    for piece in pieces:
        if all(value.casefold() in SIDES for value in piece.counts):
            return Guess("split", piece, "all its values are names of sides")
    return None


def _class(pieces: Sequence[PathField]) -> Guess | None:
    """Return the class: words for emotions or states, the ten digits, else the one piece of words, folders first."""
    for known, field in ((EMOTIONS, "emotion"), (_STATES, "label")):
        for piece in pieces:
            if sum(bare(value) in known for value in piece.counts) * 2 > len(piece.counts):
                return Guess(
                    field, piece, f"most of its values are words for {'emotions' if known is EMOTIONS else 'states'}"
                )
    alone = sum(piece.folder for piece in pieces) == 1
    words = [piece for piece in pieces if _may_be_class(piece, alone and piece.folder)]
    first = next((piece for piece in pieces if not piece.folder), None)
    digits = [
        piece
        for piece in pieces
        if _DIGITS <= set(piece.counts) <= {*_DIGITS, "o", "z"}
        and (piece.folder or (piece is first and all(_repeated(piece, word) > 1 for word in words)))
    ]
    if digits:
        return Guess("digit", digits[0], "its values are the ten digits") if len(alike_left_out(digits)) == 1 else None
    folders = alike_left_out([piece for piece in words if piece.folder])
    likely = folders or alike_left_out(words)
    if len(likely) > 1:
        likely = [piece for piece in likely if not conditions(piece.counts)]
    if (
        len(likely) != 1
        or _has_side(likely[0])
        or (not folders and any(_hides_words(one, likely[0]) for one in pieces))
    ):
        return None
    kind = "folder" if folders else "piece of the names"
    return Guess(
        "label",
        likely[0],
        f"it is the only {kind} of words that can be a class",
        sure=bool(folders) and not {*map(bare, likely[0].counts)} <= SEXES,
    )


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


def _hides_words(piece: PathField, likely: PathField) -> bool:
    """Tell whether a piece such as `a01` holds a word beside its number, which may be the class as well."""
    words = {bare(value) for value in piece.counts} - {""}
    numbered = all(re.fullmatch(r"[A-Za-z]+\d+", value, re.ASCII) for value in piece.counts)
    return numbered and len(words) >= FEWEST_NAMES and not are_alike(piece, likely)


def _has_side(piece: PathField) -> bool:
    """Tell whether several values are sides and others are not, so that nobody can tell a class from a side."""
    return sum(value.casefold() in SIDES for value in piece.counts) > 1


def _repeated(piece: PathField, other: PathField) -> float:
    """Return how many recordings a pair of values of two pieces has on average."""
    return len(piece.values) / len(set(zip(piece.values, other.values, strict=True)))
