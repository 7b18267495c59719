"""What the values of a piece of paths are: emotions, conditions, counters, people; and which piece names the speaker.

A wrong speaker is worse than none: splits by speaker then promise what they do not hold. So a piece is the speaker only
if it is numbered as people are (`Actor_01`), or is the only piece that returns within the classes and across them as a
speaker does and is nothing else: no counter, date, age, condition or code of the class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from featurestore.corpus.labels.schemes import SIX, SYNONYMS
from featurestore.corpus.suggest.path_fields import PathField, alike_left_out
from featurestore.corpus.suggest.roles import SIDES

DENSE = {"from one": 2.0, "from anywhere": 1.25}
"""How many times as many numbers lie between the ends of a counter as it has values, by where it starts."""


EMOTIONS = frozenset({*SYNONYMS, *SYNONYMS.values(), *SIX, "calm", "surprise", "boredom", "contempt"})

_SHORT = frozenset({"ang", "hap", "neu", "ps"})
"""Words for emotions that are no words of any language."""

SEXES = frozenset(("m", "f", "w", "male", "female", "man", "woman", "men", "women", "boy", "girl"))

CONDITIONS = SEXES | frozenset(
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

DEVICES = frozenset(
    re.findall(
        r"\w+",
        """
        akg rode røde shure sennheiser neumann beyerdynamic beyer audiotechnica technica behringer blue yeti
        tascam zoom sony samson logitech jabra plantronics bose dpa electrovoice mxl olympus philips creative
        respeaker kinect focusrite marantz edirol roland iphone ipad apple samsung galaxy huawei xiaomi oneplus
        nokia motorola pixel htc oppo lg lenovo dell asus acer android ios webcam lavalier condenser dynamic
        ribbon array handheld tabletop landline gsm voip telephone cellphone smartphone recorder microphone
        earbuds airpods
        """,
    )
)
"""Makers and kinds of microphones, phones and recorders; several of them are of what was recorded with, not of whom."""

PERSON = re.compile(
    r"(?:(?:actor|speaker|spkr?|subject|subj|person|participant|talker|singer|user|client)[ _-]?\w{1,8}"
    r"|(?:male|female|man|woman)[ _-]?\d{1,3})",
    re.IGNORECASE | re.ASCII,
)

_SEXED = re.compile(r"([fmw])[ _-]?(?!0+$)\d{1,2}", re.IGNORECASE | re.ASCII)


def bare(value: str) -> str:
    """Return a value in lower case without digits and signs at its ends, as `angry` for `01_Angry`."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", value.casefold())


def conditions(values: Iterable[str]) -> bool:
    """Tell whether at least half of the values are words for conditions."""
    known = [*values]
    return 2 * sum(bare(value) in CONDITIONS or _is_device(value) for value in known) >= len(known)


def _is_device(value: str) -> bool:
    return not DEVICES.isdisjoint(re.findall(r"[^\W\d_]+", value.casefold()))


def is_counter(values: Iterable[str]) -> bool:
    """Tell whether values count: takes, sentences, folds, sessions; by numbers, letters, or numbers behind few words.

    Examples
    --------
    >>> is_counter(["01", "02", "03"]), is_counter(["s1", "s2", "t1", "t2"]), is_counter("abc")
    (True, True, True)
    >>> is_counter(["03", "16"]), is_counter(["p225", "p301"]), is_counter(["EB0", "WR0"])
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


def are_speakers(values: Iterable[str]) -> bool:
    """Tell whether values are numbered as speakers are, such as `spk1`, `Actor_01`, or women and men `f1`, `m1`."""
    known = [*values]
    sexes = {one[1].casefold() for one in map(_SEXED.fullmatch, known) if one}
    return all(map(PERSON.fullmatch, known)) or (len(sexes) > 1 and all(map(_SEXED.fullmatch, known)))


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
