"""What a field is likely to be, by its name and its values: class, speaker, sentence or split; and what values are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from featurestore.corpus.labels.fields import is_number
from featurestore.corpus.labels.schemes import SIX, SYNONYMS
from featurestore.corpus.splits.types import SIDE_NAMES

Counts = Mapping[str, int]
"""How often each value of a field occurs."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CLASS_NAMES = _words(
    "emotion emotions label labels class classes category target affect mood style command keyword intent word digit "
    "event accent"
)
"""Names of fields that hold the class, the likeliest first."""
SPEAKER_NAMES = _words(
    "speaker speaker_id speakerid spk spk_id spkid spkr actor actor_id client_id subject subject_id participant talker "
    "reader"
)
TEXT_NAMES = _words(
    "text transcription transcript sentence sentence_id text_id utterance_text normalized_text prompt statement"
)
SPLIT_NAMES = ("split", "subset", "partition", "set", "side")
TRAIT_NAMES = ("gender", "sex", "age", "age_group", "language", "lang", "locale", "dialect")
"""What is known of speakers; a class only where nothing else can be one."""
SIDES = {**SIDE_NAMES, "eval": "test", "evaluation": "test"}
"""Words for sides of a split, in lower case."""
EMOTIONS = frozenset({*SYNONYMS, *SYNONYMS.values(), *SIX, "calm", "surprise", "boredom", "contempt"})

SHORT_EMOTIONS = frozenset(("ang", "hap", "neu", "ps"))
"""Words for emotions that are no words of any language."""
SEXES = frozenset(("m", "f", "w", "male", "female", "man", "woman", "men", "women", "boy", "girl"))

CONDITIONS = SEXES | frozenset(
    _words(
        "xx lo md hi low mid medium high weak strong soft loud quiet fort faible clean noisy noise far near close "
        "indoor outdoor studio office kitchen street car room mic phone mobile laptop headset tablet left right whole "
        "part full segment segmented original orig raw augmented old young child adult senior read spontaneous impro "
        "script scripted acted natural speech song music yes no on off up down go stop hello bye zero one two three "
        "four five six seven eight nine ten cat dog cow pig horse sheep hen rooster bird frog duck goat lion animal "
        "animals en de fr es it pt nl ru zh ja ko ar hi english german french spanish italian mon tue wed thu fri sat "
        "sun jan feb mar apr may jun jul aug sep oct nov dec morning evening day night am pm slow fast usual rain kids "
        "dogs hall hallway corridor library bathroom classroom bedroom garden home"
    )
)
"""Words for how, where, when and what something was recorded, which return across classes as speakers do."""
DEVICES = frozenset(
    _words(
        "akg rode røde shure sennheiser neumann beyerdynamic beyer audiotechnica technica behringer blue yeti tascam "
        "zoom sony samson logitech jabra plantronics bose dpa electrovoice mxl olympus philips creative respeaker "
        "kinect focusrite marantz edirol roland iphone ipad apple samsung galaxy huawei xiaomi oneplus nokia motorola "
        "pixel htc oppo lg lenovo dell asus acer android ios webcam lavalier condenser dynamic ribbon array handheld "
        "tabletop landline gsm voip telephone cellphone smartphone recorder microphone earbuds airpods"
    )
)
"""Makers and kinds of microphones, phones and recorders; several of them are of what was recorded with, not of whom."""
MOST_CLASSES = 1_000
MOST_NUMBERS = 60
"""Different whole numbers of which a class may have its names, such as 0 to 9."""
MOST_REPEATED = 20
"""Recordings of more than which half must not have a number of their own."""
DENSE, DENSE_FROM_ONE = 1.25, 2.0
"""How many times as many numbers lie between the ends of a counter as it has values; more where it starts at 0 or 1."""
PERSON = re.compile(
    r"(?:(?:actor|speaker|spkr?|subject|subj|person|participant|talker|singer|user|client)[ _-]?\w{1,8}"
    r"|(?:male|female|man|woman)[ _-]?\d{1,3})",
    re.IGNORECASE | re.ASCII,
)

_SEXED = re.compile(r"([fmw])[ _-]?(?!0+$)\d{1,2}", re.IGNORECASE | re.ASCII)


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

    def rank(name: str) -> tuple[bool, int, int, int]:
        """Return what speaks against a field as the class."""
        plain, counts = plain_name(name), fields[name]
        usual = CLASS_NAMES.index(plain) if plain in CLASS_NAMES else len(CLASS_NAMES)
        number = sum(counts.values())
        worst = plain in TRAIT_NAMES or all(map(is_number, counts)) or len(counts) == number
        return (worst and plain not in CLASS_NAMES, usual, -number, len(counts))

    return min(known, key=rank, default=None)


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
    date = re.compile(r"\d{1,4}([/.:-]\d{1,4}){1,2}([T ][\d:.+Z-]+)?")
    return all(map(date.fullmatch, counts)) and not all(map(is_number, counts))


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


def bare(value: str) -> str:
    """Return a value in lower case without digits and signs at its ends, as `angry` for `01_Angry`."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", value.casefold())


def conditions(values: Collection[str]) -> bool:
    """Tell whether at least half of the values are words for conditions, or have the name of a device in them."""
    found = sum(
        bare(value) in CONDITIONS or not DEVICES.isdisjoint(re.findall(r"[^\W\d_]+", value.casefold()))
        for value in values
    )
    return 2 * found >= len(values)


def is_counter(values: Collection[str]) -> bool:
    """Tell whether values count: takes, sentences, folds, sessions; by numbers, letters, or numbers behind few words.

    Examples
    --------
    >>> is_counter(["01", "02", "03"]), is_counter(["s1", "s2", "t1", "t2"]), is_counter("abc")
    (True, True, True)
    >>> is_counter(["03", "16"]), is_counter(["p225", "p301"]), is_counter(["EB0", "WR0"])
    (False, False, False)
    """
    if all(len(value) == 1 and value.isascii() and value.isalpha() for value in values):
        places = sorted(ord(value.lower()) for value in values)
        return places[0] == ord("a") and places[-1] - places[0] < DENSE * len(places)
    found = (re.fullmatch(r"(\D*?)(\d{1,12})([A-Za-z]?)", value, re.ASCII) for value in values)
    parts = [one for one in found if one is not None]
    if len(parts) < len(values):
        return False
    numbers = sorted({int(one[2]) for one in parts})
    if len(numbers) == 1 or 2 * len({one[1] for one in parts}) > len(parts):
        return False
    return numbers[-1] - numbers[0] < len(numbers) * (DENSE_FROM_ONE if numbers[0] <= 1 else DENSE)


def are_speakers(values: Collection[str]) -> bool:
    """Tell whether values are numbered as speakers are, such as `spk1`, `Actor_01`, or women and men `f1`, `m1`."""
    sexed = [_SEXED.fullmatch(value) for value in values]
    sexes = {one and one[1].casefold() for one in sexed}
    return all(map(PERSON.fullmatch, values)) or (None not in sexes and len(sexes) > 1)


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
    short = [value for value, meaning in meant.items() if value != meaning]
    return meant if any(field == "split" or value.casefold() in SHORT_EMOTIONS for value in short) else {}
