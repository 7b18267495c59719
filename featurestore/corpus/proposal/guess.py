"""Guessing which varying piece of a path is the class, the speaker, the side of a split; and abstaining in doubt.

A wrong speaker is worse than none: splits by speaker then promise what they do not hold. So a piece is the speaker only
if it is numbered as people are (`Actor_01`), or is the only piece that returns within the classes and across them as a
speaker does and is nothing else: no counter, date, age, condition or code of the class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from featurestore.corpus.labels.schemes import SIX, SYNONYMS
from featurestore.corpus.proposal.fields import PathField
from featurestore.corpus.proposal.roles import SIDES

MOST_CLASSES = 60
MOST_SPEAKERS = 5_000
MOSTLY_ONE = 0.65
"""Share of the recordings beyond which a single value says that a piece names no speakers."""
LEAST_EACH = 2.0
"""Recordings that a class or a speaker has on average."""
FEWEST_NAMES = 3
"""Values from which a piece may name speakers without saying so; two are conditions more often, as old and young."""
LEAST_FILLED = 0.5
"""Share of the pairs of speaker and class that occur."""
LEAST_REPEATED = 1.5
"""Recordings of such a pair on average; a counter gives each pair one."""
LONGEST_COUNT = 100
"""Number below which those that begin at 0 or 1 are takes or sentences, with gaps as well."""
DENSE = {"from one": 2.0, "from anywhere": 1.25}
"""How many times as many numbers lie between the ends of a counter as it has values, by where it starts."""

EMOTIONS = frozenset({*SYNONYMS, *SYNONYMS.values(), *SIX, "calm", "surprise", "boredom", "contempt"})
_SHORT = frozenset({"ang", "hap", "neu", "ps"})
"""Words for emotions that are no words of any language."""
_STATES = frozenset(("pos", "neg", "positive", "negative", "normal", "abnormal", "healthy", "sick", "pathological"))
_DIGITS = frozenset("0123456789")
_SEXES = frozenset(("m", "f", "w", "male", "female", "man", "woman", "men", "women", "boy", "girl"))
_CONDITIONS = _SEXES | frozenset(
    re.findall(
        r"\w+",
        """
        xx lo md hi low mid medium high weak strong soft loud quiet fort faible clean noisy noise far near close indoor
        outdoor studio office kitchen street car room mic phone mobile laptop headset tablet left right whole part full
        segment segmented original orig raw augmented old young child adult senior read spontaneous impro script
        scripted acted natural speech song music yes no on off up down go stop hello bye zero one two three four five
        six seven eight nine ten cat dog cow pig horse sheep hen rooster bird frog duck goat lion animal animals en de
        fr es it pt nl ru zh ja ko ar hi english german french spanish italian mon tue wed thu fri sat sun jan feb mar
        apr may jun jul aug sep oct nov dec morning evening day night am pm
        slow fast usual rain kids dogs hall hallway corridor library bathroom classroom bedroom garden home
        """,
    )
)
"""Words for how, where, when and what something was recorded, which return across classes as speakers do."""
_PERSON = re.compile(
    r"(?:(?:actor|speaker|spkr?|subject|subj|person|participant|talker|singer|user|client)[ _-]?\w{1,8}"
    r"|(?:male|female|man|woman)[ _-]?\d{1,3})",
    re.IGNORECASE | re.ASCII,
)
_SEXED = re.compile(r"([fmw])[ _-]?(?!0+$)\d{1,2}", re.IGNORECASE | re.ASCII)
_DATE = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:[0-2]\d|3[01])(?:[T_-]?\d{4,6})?", re.ASCII)
_HASH = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{6,64}|[0-9]{6,64}|[a-f]{6,64}", re.ASCII)


@dataclass(frozen=True)
class Guess:
    """A piece of the paths and the field that it seems to be."""

    field: str
    piece: PathField
    why: str
    sure: bool = True
    """Whether a build may go by it; else somebody has to read the sheet first."""


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
            left = [piece for piece in left if not _alike(piece, guessed.piece)]
    classes = next((guess for guess in found if guess.field != "split"), None)
    other = _dates(pieces) | _counted_by_word(pieces)
    speaker = _speaker([piece for piece in left if id(piece) not in other], classes)
    return (*found, speaker) if speaker else tuple(found)


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
            if sum(_bare(value) in known for value in piece.counts) * 2 > len(piece.counts):
                return Guess(
                    field, piece, f"most of its values are words for {'emotions' if known is EMOTIONS else 'states'}"
                )
    words = [piece for piece in pieces if _may_be_class(piece)]
    first = next((piece for piece in pieces if not piece.folder), None)
    digits = [
        piece
        for piece in pieces
        if _DIGITS <= set(piece.counts) <= {*_DIGITS, "o", "z"}
        and (piece.folder or (piece is first and all(_repeated(piece, word) > 1 for word in words)))
    ]
    if digits:
        return Guess("digit", digits[0], "its values are the ten digits") if len(_distinct(digits)) == 1 else None
    folders = _distinct([piece for piece in words if piece.folder])
    likely = folders or _distinct(words)
    if len(likely) > 1:
        likely = [piece for piece in likely if not _conditions(piece)]
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
        sure=bool(folders) and not {*map(_bare, likely[0].counts)} <= _SEXES,
    )


def _may_be_class(piece: PathField) -> bool:
    """Tell whether a piece has few values with recordings enough, and is no number, speaker or list."""
    values = list(piece.counts)
    few = 2 <= len(values) <= min(MOST_CLASSES, len(piece.values) / LEAST_EACH)
    words = {re.sub(r"\d+", "", value) for value in values}  # of numbered dialogues only one is left
    likely = few and 2 * len(words) > len(values) and all(map(_bare, values))
    return likely and not are_speakers(values) and not _is_counter(values)


def _hides_words(piece: PathField, likely: PathField) -> bool:
    """Tell whether a piece such as `a01` holds a word beside its number, which may be the class as well."""
    words = {_bare(value) for value in piece.counts} - {""}
    numbered = all(re.fullmatch(r"[A-Za-z]+\d+", value, re.ASCII) for value in piece.counts)
    return numbered and len(words) >= FEWEST_NAMES and not _alike(piece, likely)


def _has_side(piece: PathField) -> bool:
    """Tell whether several values are sides and others are not, so that nobody can tell a class from a side."""
    return sum(value.casefold() in SIDES for value in piece.counts) > 1


def _speaker(pieces: Sequence[PathField], classes: Guess | None) -> Guess | None:
    """Return the piece that names the speaker for sure; words may only where the classes are those of speech.

    Beside other classes the same words are places, instruments or devices, as the cities of recorded scenes.
    """
    for piece in pieces:
        if are_speakers(piece.counts) and _returns(piece):
            return Guess("speaker", piece, "its values are numbered as speakers are")
    if classes is None:
        return None
    first = next((piece for piece in pieces if not piece.folder), None)
    likely = [piece for piece in pieces if _crosses(piece, classes.piece)]
    speech = classes.field in ("emotion", "digit")
    named = [
        piece
        for piece in likely
        if _names_someone(piece, leftmost=piece is first or piece.folder)
        and (speech or all(map(str.isdecimal, piece.counts)) or all(map(_HASH.fullmatch, piece.counts)))
    ]
    twice = [piece for piece in likely if speech and piece.folder and _is_told_twice(piece, likely)]
    sure = _distinct(twice or [piece for piece in named if piece.folder] or named)
    if len(sure) != 1 or (not sure[0].folder and any(_rivals(piece, sure[0]) for piece in likely)):
        return None
    return Guess("speaker", sure[0], "it is the only piece whose values return within the classes and across them")


def _rivals(piece: PathField, speaker: PathField) -> bool:
    """Tell whether another piece that returns as speakers do may be the speaker: no take, condition or trait of one."""
    numbers = [int(value) for value in piece.counts if value.isdecimal()]
    take = min(numbers, default=0) <= 1 and (_is_counter(piece.counts) or 0 < max(numbers, default=0) < LONGEST_COUNT)
    trait = len({*zip(speaker.values, piece.values, strict=True)}) == len(speaker.counts)
    return not (take or trait or _conditions(piece))


def _is_told_twice(folder: PathField, pieces: Iterable[PathField]) -> bool:
    """Tell whether a folder of words or numbers of two digits and more stands in the names as well, as `03/1_03_0`."""
    if len(folder.counts) < FEWEST_NAMES:
        return False
    plain = all(len(value) > 1 and value.isdecimal() for value in folder.counts) or not _is_counter(folder.counts)
    return plain and not _conditions(folder) and any(one.values == folder.values for one in pieces if not one.folder)


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
    if len(values) < FEWEST_NAMES or _conditions(piece) or _is_counter(values):
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


def _conditions(piece: PathField) -> bool:
    return sum(_bare(value) in _CONDITIONS for value in piece.counts) * 2 >= len(piece.counts)


def _is_counter(values: Iterable[str]) -> bool:
    """Tell whether values count: takes, sentences, folds, sessions; by numbers, letters, or numbers behind few words.

    Examples
    --------
    >>> _is_counter(["01", "02", "03"]), _is_counter(["s1", "s2", "t1", "t2"]), _is_counter("abc")
    (True, True, True)
    >>> _is_counter(["03", "16"]), _is_counter(["p225", "p301"]), _is_counter(["EB0", "WR0"])
    (False, False, False)
    """
    known = [*values]
    if all(len(value) == 1 and value.isascii() and value.isalpha() for value in known):
        places = sorted(map(ord, map(str.lower, known)))
        return places[0] == ord("a") and places[-1] - places[0] < DENSE["from anywhere"] * len(places)
    found = [re.fullmatch(r"(\D*?)(\d{1,12})([A-Za-z]?)", value, re.ASCII) for value in known]
    parts = [one for one in found if one is not None]
    if len(parts) < len(known):
        return False
    numbers = sorted({int(one[2]) for one in parts})
    if len(numbers) == 1 or 2 * len({one[1] for one in parts}) > len(parts):
        return False
    span = numbers[-1] - numbers[0]
    return span < len(numbers) * DENSE["from one" if numbers[0] <= 1 else "from anywhere"]


def _counted_by_word(pieces: Sequence[PathField]) -> frozenset[int]:
    """Return the ids of the numbers before which all names have a word that says what they count, as `ses-03`."""
    texts = [piece for piece in _texts(pieces) if not piece.folder]
    return frozenset(
        id(piece)
        for word, piece in pairwise(texts)
        if not word.varies
        and re.fullmatch(r"[A-Za-z]{2,}", word.values[0], re.ASCII)
        and not _PERSON.fullmatch(f"{word.values[0]}1")
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


def _repeated(piece: PathField, other: PathField) -> float:
    """Return how many recordings a pair of values of two pieces has on average."""
    return len(piece.values) / len(set(zip(piece.values, other.values, strict=True)))


def _alike(one: PathField, other: PathField) -> bool:
    """Tell whether two pieces tell the recordings apart in the same way, whatever they call them."""
    return len({*zip(one.values, other.values, strict=True)}) == len(one.counts) == len(other.counts)


def _distinct(pieces: Iterable[PathField]) -> list[PathField]:
    """Leave out pieces that are like an earlier one."""
    found: list[PathField] = []
    for piece in pieces:
        if not any(_alike(piece, other) for other in found):
            found.append(piece)
    return found


def _bare(value: str) -> str:
    """Return a value in lower case without digits and signs at its ends, as `angry` for `01_Angry`."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", value.casefold())


def are_speakers(values: Iterable[str]) -> bool:
    """Tell whether values are numbered as speakers are, such as `spk1`, `Actor_01`, or women and men `f1`, `m1`."""
    known = [*values]
    sexes = {one[1].casefold() for one in map(_SEXED.fullmatch, known) if one}
    return all(map(_PERSON.fullmatch, known)) or (len(sexes) > 1 and all(map(_SEXED.fullmatch, known)))


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
