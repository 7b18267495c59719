"""Splits by shares: 70 / 15 / 15 % of utterances or of speakers. All rounding is in whole numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from featurestore.corpus.splits.types import (
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
    """Put whole speakers on one side, so that recordings and classes stand as near to 70 / 15 / 15 % as they can.

    The seed draws 15 % of the speakers (one at least) for validation and as many for test; then the change of one
    speaker's side, or the exchange of two, that brings the shares nearer is made until none does.
    """
    speakers = known_values(utterances, "speaker", "speakers")
    speakers.sort(key=lambda speaker: (ticket(seed, speaker), speaker))
    held = max(1, len(speakers) * (100 - VALIDATION_UP_TO_PERCENT) // 100)
    sides = ["test"] * held + ["validation"] * held + ["train"] * (len(speakers) - 2 * held)
    places = dict(zip(speakers, sides, strict=True))
    _balance(places, _Balance(utterances))
    return (sides_by("speakers", utterances, lambda one: places[str(field_of(one, "speaker"))]),)


SHARES = {"train": 70, "validation": 15, "test": 15}
"""Per cent of the recordings, and of each class, that a side is to have."""
ROUNDS = 20
"""Most times that all changes are tried; each change brings the shares nearer, and few rounds change anything."""
MOST_EXCHANGED = 200
"""Speakers up to which exchanges of two are tried; with more, moves of one come near enough."""
LACKING = {"train": 10_000, "validation": 5_000, "test": 5_000}
"""What a side without one of the classes costs, in the units of `_Balance.cost`."""


class _Balance:
    """How far sides are from their shares: over all recordings, and in each class alike, in whole numbers."""

    def __init__(self, utterances: Sequence[SplitItem]) -> None:
        numbers = Counter(one.label for one in utterances)
        classes = {label: place for place, label in enumerate(sorted(numbers), 1)}
        self._totals = [len(utterances), *(numbers[label] for label in classes)]
        self.counts: dict[str, list[int]] = {}
        """Recordings of each speaker: in all, and of each class."""
        for one in utterances:
            counts = self.counts.setdefault(str(one.speaker), [0] * len(self._totals))
            counts[0] += 1
            counts[classes[one.label]] += 1

    def sums(self, places: Mapping[str, str]) -> dict[str, list[int]]:
        """Return the recordings of each side: in all, and of each class."""
        found = {side: [0] * len(self._totals) for side in SHARES}
        for speaker, side in places.items():
            found[side] = [one + other for one, other in zip(found[side], self.counts[speaker], strict=True)]
        return found

    def cost(self, side: str, sums: Sequence[int]) -> int:
        """Return the squares of what a side has too much or too little, relative to its share; huge if it is empty."""
        share = SHARES[side]
        terms = [
            (100 * count - share * total) ** 2 * 100 // (total * total * share)
            for count, total in zip(sums, self._totals, strict=True)
        ]
        lacking = LACKING[side] * sum(count == 0 for count in sums[1:])
        return len(terms) * terms[0] + sum(terms[1:]) + lacking + (0 if sums[0] else 10**9)


def _balance(places: dict[str, str], balance: _Balance) -> None:
    """Move and exchange speakers, in their order, as long as that brings the sides nearer to their shares."""
    sums = balance.sums(places)
    costs = {side: balance.cost(side, sums[side]) for side in SHARES}
    speakers = list(places)
    for _ in range(ROUNDS):
        changed = False
        for number, speaker in enumerate(speakers):
            partners = speakers[number + 1 :] if len(speakers) <= MOST_EXCHANGED else []
            for target, partner in [*((side, "") for side in SHARES), *((places[one], one) for one in partners)]:
                here = places[speaker]
                if target == here or (partner and places[partner] != target):
                    continue
                back = balance.counts[partner] if partner else [0] * len(sums[here])
                moved = [one - other for one, other in zip(balance.counts[speaker], back, strict=True)]
                after = {
                    here: [one - other for one, other in zip(sums[here], moved, strict=True)],
                    target: [one + other for one, other in zip(sums[target], moved, strict=True)],
                }
                cost = {side: balance.cost(side, counts) for side, counts in after.items()}
                if sum(cost.values()) < costs[here] + costs[target]:
                    places[speaker] = target
                    if partner:
                        places[partner] = here
                    sums |= after
                    costs |= cost
                    changed = True
        if not changed:
            return


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
