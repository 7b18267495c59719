"""Splits: who trains, validates and tests, as named and repeatable rules over any sequence of utterances.

A split is a view: it holds paths and changes nothing that is stored. All rounding is in whole numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from featurestore.errors import SplitError, UnknownNameError

TRAIN_PERCENT = 70
VALIDATION_UP_TO_PERCENT = 85


class SplitItem(Protocol):
    """What a split needs to know of an utterance."""

    @property
    def path(self) -> str:
        """Path inside the corpus."""

    @property
    def content(self) -> str:
        """sha256 of the audio file."""

    @property
    def label(self) -> str:
        """The class."""

    @property
    def speaker(self) -> str | None:
        """The speaker, None where unknown."""


@dataclass(frozen=True, slots=True)
class Split:
    """Three sides of a corpus, as utterance paths in name order."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The sides by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True, slots=True)
class SplitRule:
    """A named way to split: a function of the utterances and a seed that returns one split or several folds."""

    build: Callable[[Sequence[SplitItem], int], tuple[Split, ...]]
    description: str
    folds: bool = False
    """Whether the rule gives folds for cross-validation instead of one split."""


def split(utterances: Iterable[SplitItem], name: str, seed: int = 0) -> Split:
    """Split utterances by a named rule.

    Parameters
    ----------
    utterances : iterable of objects with `path`, `content`, `label`, `speaker`
    name : str
        A key of `SPLITS`, or one fold of it by name, such as `loso/03`.
    seed : int
        Changes the rules that shuffle, and no other.

    Raises
    ------
    UnknownNameError
        If there is no such rule.
    SplitError
        If the rule gives folds, does not fit the corpus, or leaves a side empty.
    """
    base, _, fold = name.partition("/")
    rule = _rule(base)
    found = rule.build(_in_name_order(utterances), seed)
    if fold:
        return _fold(found, name)
    if rule.folds:
        raise SplitError(
            f"split {name!r} has {len(found)} folds: cross-validate with it, or choose one, such as {found[0].name!r}."
        )
    return found[0]


def _fold(found: Sequence[Split], name: str) -> Split:
    by_name = {one.name: one for one in found}
    if name not in by_name:
        raise UnknownNameError("fold", name, by_name)
    return by_name[name]


def folds(utterances: Iterable[SplitItem], name: str, seed: int = 0) -> tuple[Split, ...]:
    """Return all folds of a named rule; a rule with a single split gives that one."""
    return _rule(name).build(_in_name_order(utterances), seed)


def _rule(name: str) -> SplitRule:
    if name not in SPLITS:
        raise UnknownNameError("split", name, SPLITS)
    return SPLITS[name]


def _in_name_order(utterances: Iterable[SplitItem]) -> Sequence[SplitItem]:
    """Sort by path and drop repeated ones, such as the augmented copies of an utterance."""
    return tuple(dict(sorted({one.path: one for one in utterances}.items())).values())


def _by_name(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Cut each class in name order, as the MathWorks example does; later speakers land in validation and test."""
    return (_cut("mathworks", utterances, lambda one: (one.path, "")),)


def _shuffled(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Cut each class in an order that the seed and the audio's checksum decide, so renaming changes nothing."""
    return (_cut("shuffled", utterances, lambda one: (_ticket(seed, one.content), one.path)),)


def _whole_speakers(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Put whole speakers on one side, 15 % of them (one at least) for validation and as many for test."""
    speakers = sorted(_known_speakers(utterances, "speakers"), key=lambda speaker: (_ticket(seed, speaker), speaker))
    held = max(1, len(speakers) * (100 - VALIDATION_UP_TO_PERCENT) // 100)
    tested, validated = set(speakers[:held]), set(speakers[held : 2 * held])
    return (_speaker_split("speakers", utterances, tested, validated),)


def _ticket(seed: int, content: str) -> str:
    return hashlib.sha256(f"{seed}/{content}".encode()).hexdigest()


def _cut(name: str, utterances: Sequence[SplitItem], order: Callable[[SplitItem], tuple[str, str]]) -> Split:
    """Cut each class at floor(0.70 n) and floor(0.85 n)."""
    sides: tuple[list[str], list[str], list[str]] = ([], [], [])
    for members in _by_label(utterances).values():
        ordered = [one.path for one in sorted(members, key=order)]
        first, second = (len(ordered) * percent // 100 for percent in (TRAIN_PERCENT, VALIDATION_UP_TO_PERCENT))
        for side, part in zip(sides, (ordered[:first], ordered[first:second], ordered[second:]), strict=True):
            side.extend(part)
    return _filled(Split(name, *(tuple(sorted(side)) for side in sides)))


def _by_label(utterances: Sequence[SplitItem]) -> Mapping[str, list[SplitItem]]:
    classes: dict[str, list[SplitItem]] = {}
    for one in utterances:
        classes.setdefault(one.label, []).append(one)
    return classes


def _filled(found: Split) -> Split:
    for side, paths in found.sides.items():
        if not paths:
            raise SplitError(f"split {found.name!r} leaves the {side} side empty: the corpus has too few utterances.")
    return found


def _leave_one_speaker_out(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Fold k tests speaker k in sorted order, validates on the next one cyclically, trains on all others."""
    speakers = _known_speakers(utterances, "loso")
    return tuple(
        _speaker_split(f"loso/{tested}", utterances, {tested}, {speakers[(number + 1) % len(speakers)]})
        for number, tested in enumerate(speakers)
    )


def _known_speakers(utterances: Sequence[SplitItem], name: str) -> list[str]:
    """Return the speakers, sorted; `SplitError` if they are unknown or too few for three sides."""
    unknown = sum(one.speaker is None for one in utterances)
    speakers = sorted({one.speaker for one in utterances if one.speaker is not None})
    if unknown:
        raise SplitError(f"split {name!r} needs speakers, and {unknown} utterances have none. Use 'shuffled'.")
    if len(speakers) < 3:
        raise SplitError(
            f"split {name!r} needs three speakers or more, this corpus has {len(speakers)}. Use 'shuffled'."
        )
    return speakers


def _speaker_split(name: str, utterances: Sequence[SplitItem], tested: set[str], validated: set[str]) -> Split:
    return Split(
        name,
        train=tuple(one.path for one in utterances if one.speaker not in tested | validated),
        validation=tuple(one.path for one in utterances if one.speaker in validated),
        test=tuple(one.path for one in utterances if one.speaker in tested),
    )


SPLITS: Mapping[str, SplitRule] = {
    "mathworks": SplitRule(_by_name, "70 / 15 / 15 % of each class in name order (MathWorks' CNN-LSTM example)"),
    "shuffled": SplitRule(_shuffled, "70 / 15 / 15 % of each class, shuffled by a seed; speakers stand on all sides"),
    "speakers": SplitRule(_whole_speakers, "whole speakers: about 70 / 15 / 15 % of them, drawn by a seed"),
    "loso": SplitRule(_leave_one_speaker_out, "a fold for each speaker; the next one validates", folds=True),
}
"""The rules by name."""
