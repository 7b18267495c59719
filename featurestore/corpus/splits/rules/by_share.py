"""Splits by shares: 70 / 15 / 15 % of utterances or of speakers, or all of it. All rounding is in whole numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import add, sub

from featurestore.corpus.splits.types import (
    Split,
    SplitItem,
    SplitRule,
    by_value,
    filled_sides,
    known_values,
    sides_by,
    ticket,
)

SHARES = {"train": 70, "validation": 15, "test": 15}
"""Per cent of the recordings, and of each class, that a side is to have."""


class ByName(SplitRule):
    """Later speakers land in validation and test."""

    name = "mathworks"
    description = "70 / 15 / 15 % of each class in name order (MathWorks' CNN-LSTM example)"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Cut each class in the order of its paths."""
        return _cut(self.name, by_value(utterances, "label").values(), lambda one: (one.path, ""))


class Shuffled(SplitRule):
    """The order follows from the seed and the audio's checksum, so renaming changes nothing."""

    name = "shuffled"
    description = "70 / 15 / 15 % of each class, shuffled by a seed; speakers appear on all sides"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Cut each class in the order that the seed gives."""
        classes = by_value(utterances, "label").values()
        return _cut(self.name, classes, lambda one: (ticket(seed, one.content), one.path))


class Random(SplitRule):
    """The order follows from the seed and the audio's checksum, as in `shuffled`."""

    name = "random"
    description = "70 / 15 / 15 % of all, shuffled by a seed whatever the classes and speakers"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Cut the whole corpus in the order that the seed gives."""
        return _cut(self.name, [utterances], lambda one: (ticket(seed, one.content), one.path))


def _cut(
    name: str, parts: Iterable[Sequence[SplitItem]], order: Callable[[SplitItem], tuple[str, str]]
) -> tuple[Split, ...]:
    """Cut each part at floor(0.70 n) and floor(0.85 n)."""
    places: dict[str, str] = {}
    for members in parts:
        ordered = [one.path for one in sorted(members, key=order)]
        first = len(ordered) * SHARES["train"] // 100
        second = len(ordered) * (SHARES["train"] + SHARES["validation"]) // 100
        places |= dict.fromkeys(ordered[:first], "train")
        places |= dict.fromkeys(ordered[first:second], "validation")
        places |= dict.fromkeys(ordered[second:], "test")
    return (filled_sides(sides_by(name, (one for part in parts for one in part), lambda one: places[one.path])),)


class Everything(SplitRule):
    """For a model that is given away, whose figure is that of a cross-validation with the same settings."""

    name = "all"
    description = "everything trains; nothing validates, and nothing tests"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the one split."""
        return (sides_by(self.name, utterances, lambda _: "train"),)


class WholeSpeakers(SplitRule):
    """The seed draws 15 % of the speakers (one at least) for validation and as many for test.

    Then the change of one speaker's side, or the exchange of two, that brings recordings and classes nearer to
    70 / 15 / 15 % is made until none does.
    """

    name = "speakers"
    description = "whole speakers: about 70 / 15 / 15 % of the recordings and of each class, drawn by a seed"
    needs = (("speaker", 3),)

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the one split; `SplitError` with an unknown speaker or fewer than three."""
        speakers = known_values(utterances, "speaker", self.name)
        speakers.sort(key=lambda speaker: (ticket(seed, speaker), speaker))
        held = max(1, len(speakers) * SHARES["test"] // 100)
        sides = ["test"] * held + ["validation"] * held + ["train"] * (len(speakers) - 2 * held)
        places = dict(zip(speakers, sides, strict=True))
        _balance(places, utterances)
        return (sides_by(self.name, utterances, lambda one: places[str(one.speaker)]),)


ROUNDS = 20
"""Most times that all changes are tried; each change brings the shares nearer, and few rounds change anything."""
MOST_EXCHANGED = 200
"""Speakers up to which exchanges of two are tried; with more, moves of one come near enough."""
LACKING = {"train": 10_000, "validation": 5_000, "test": 5_000}
"""What a side without one of the classes costs, in the units of `_cost`."""


def _balance(places: dict[str, str], utterances: Sequence[SplitItem]) -> None:
    """Move and exchange speakers, in their order, as long as that brings the sides nearer to their shares."""
    classes = sorted({one.label for one in utterances})
    totals, nobody = _counts(utterances, classes), _counts((), classes)
    counts = {str(speaker): _counts(ones, classes) for speaker, ones in by_value(utterances, "speaker").items()}
    sums = {side: _counts([one for one in utterances if places[str(one.speaker)] == side], classes) for side in SHARES}
    costs = {side: _cost(side, sums[side], totals) for side in SHARES}
    speakers = list(places)
    for _ in range(ROUNDS):
        before = dict(places)
        for number, speaker in enumerate(speakers):
            partners = speakers[number + 1 :] if len(speakers) <= MOST_EXCHANGED else []
            for target, partner in [*((side, "") for side in SHARES), *((places[one], one) for one in partners)]:
                here = places[speaker]
                if target == here or (partner and places[partner] != target):
                    continue
                moved = list(map(sub, counts[speaker], counts[partner] if partner else nobody))
                after = {here: list(map(sub, sums[here], moved)), target: list(map(add, sums[target], moved))}
                cost = {side: _cost(side, found, totals) for side, found in after.items()}
                if sum(cost.values()) < costs[here] + costs[target]:
                    places |= {speaker: target, partner: here} if partner else {speaker: target}
                    sums |= after
                    costs |= cost
        if places == before:
            return


def _counts(utterances: Sequence[SplitItem], classes: Sequence[str]) -> list[int]:
    """Count utterances: in all, then of each class."""
    numbers = Counter(one.label for one in utterances)
    return [len(utterances), *(numbers[label] for label in classes)]


def _cost(side: str, found: Sequence[int], totals: Sequence[int]) -> int:
    """Return the squares of what a side has too much or too little, relative to its share; huge if it is empty."""
    share = SHARES[side]
    terms = [
        (100 * count - share * total) ** 2 * 100 // (total * total * share)
        for count, total in zip(found, totals, strict=True)
    ]
    lacking = LACKING[side] * found[1:].count(0)
    return len(terms) * terms[0] + sum(terms[1:]) + lacking + (0 if found[0] else 10**9)
