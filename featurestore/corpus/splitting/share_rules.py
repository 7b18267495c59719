"""Splits by shares: 70 / 15 / 15 % of utterances or of speakers. All rounding is in whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from featurestore.corpus.splitting.sides import (
    Split,
    SplitItem,
    by_value,
    field_of,
    filled_sides,
    known_values,
    sides_by,
    ticket,
)

TRAIN_PERCENT = 70
VALIDATION_UP_TO_PERCENT = 85


def by_name(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Cut each class in name order, as the MathWorks example does; later speakers land in validation and test."""
    return (_cut("mathworks", by_value(utterances, "label").values(), lambda one: (one.path, "")),)


def stratified(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Cut each class in an order that the seed and the audio's checksum decide, so renaming changes nothing."""
    return (
        _cut("shuffled", by_value(utterances, "label").values(), lambda one: (ticket(seed, one.content), one.path)),
    )


def random(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Cut the whole corpus in an order that the seed and the audio's checksum decide, whatever the classes."""
    return (_cut("random", [utterances], lambda one: (ticket(seed, one.content), one.path)),)


def whole_speakers(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Put whole speakers on one side, 15 % of them (one at least) for validation and as many for test."""
    speakers = known_values(utterances, "speaker", "speakers")
    speakers.sort(key=lambda speaker: (ticket(seed, speaker), speaker))
    held = max(1, len(speakers) * (100 - VALIDATION_UP_TO_PERCENT) // 100)
    places = {**dict.fromkeys(speakers[:held], "test"), **dict.fromkeys(speakers[held : 2 * held], "validation")}
    return (sides_by("speakers", utterances, lambda one: places.get(str(field_of(one, "speaker")), "train")),)


def _cut(name: str, parts: Iterable[Sequence[SplitItem]], order: Callable[[SplitItem], tuple[str, str]]) -> Split:
    """Cut each part at floor(0.70 n) and floor(0.85 n)."""
    places: dict[str, str] = {}
    for members in parts:
        ordered = [one.path for one in sorted(members, key=order)]
        first, second = (len(ordered) * percent // 100 for percent in (TRAIN_PERCENT, VALIDATION_UP_TO_PERCENT))
        places |= dict.fromkeys(ordered[:first], "train")
        places |= dict.fromkeys(ordered[first:second], "validation")
        places |= dict.fromkeys(ordered[second:], "test")
    everyone = [one for members in parts for one in members]
    return filled_sides(sides_by(name, everyone, lambda one: places[one.path]))
