"""What the values of a piece of paths are by themselves: words for emotions and conditions, people, counters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from featurestore.corpus.labels.schemes import SIX, SYNONYMS
from featurestore.corpus.proposal.roles import SIDES

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
