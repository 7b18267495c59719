"""The nouns of splitting: what is split, the three sides, and a rule that makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from featurestore.errors import SplitError
from featurestore.segments import recording_of


class SplitItem(Protocol):
    """What a split needs to know of an utterance; rules that go by other fields look at `labels` too."""

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


Build = Callable[[Sequence[SplitItem], int], tuple[Split, ...]]
"""From utterances in name order and a seed to one split or several folds."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """A named way to split: a function of the utterances and a seed that returns one split or several folds."""

    build: Build
    description: str
    folds: bool = False
    """Whether the rule gives folds for cross-validation instead of one split."""
    needs: Mapping[str, int] = field(default_factory=dict)
    """Fields that every utterance must have, and how many values of each there must be."""


def in_name_order(utterances: Iterable[SplitItem]) -> Sequence[SplitItem]:
    """Sort by path and drop repeated ones, such as the augmented copies of an utterance."""
    return tuple(dict(sorted({one.path: one for one in utterances}.items())).values())


def field_of(one: SplitItem, name: str) -> str | None:
    """Return a field of an utterance by name: `speaker`, `label`, or one of its label fields; None if it has none.

    `recording` is the recording that it is or is a segment of, where no label field has that name.
    """
    if name in ("speaker", "label"):
        value: str | None = getattr(one, name)
        return value
    fields = dict(getattr(one, "labels", ()))
    return fields.get(name, recording_of(one.content) if name == "recording" else None)


FEWEST_TO_HOLD = 3
"""Speakers from which some can be taken away to validate."""
HELD_PERCENT = 15


def held_speakers(utterances: Sequence[SplitItem], seed: int) -> frozenset[str]:
    """Return the speakers, about 15 % of them and one at least, that the seed draws to validate.

    None if one is unknown or there are fewer than three.
    """
    speakers = {one.speaker for one in utterances}
    known = sorted(speaker for speaker in speakers if speaker is not None)
    if len(known) < max(FEWEST_TO_HOLD, len(speakers)):
        return frozenset()
    known.sort(key=lambda speaker: (ticket(seed, speaker), speaker))
    return frozenset(known[: max(1, len(known) * HELD_PERCENT // 100)])


def known_values(utterances: Sequence[SplitItem], field: str, name: str, least: int = 3) -> list[str]:
    """Return the values of a field, sorted; `SplitError` if one utterance has none or there are fewer than `least`."""
    values = [field_of(one, field) for one in utterances]
    unknown, found = values.count(None), sorted({value for value in values if value is not None})
    what = "speakers" if field == "speaker" else f"values of {field!r}"
    if unknown:
        raise SplitError(f"split {name!r} needs {what}, and {unknown} utterances have none. Use 'shuffled'.")
    if len(found) < least:
        words = {2: "two", 3: "three"}.get(least, str(least))
        other = "loso" if field == "speaker" and len(found) == 2 else "shuffled"
        raise SplitError(f"split {name!r} needs {words} {what} or more, this corpus has {len(found)}. Use {other!r}.")
    return found


def sides_by(name: str, utterances: Iterable[SplitItem], side: Callable[[SplitItem], str | None]) -> Split:
    """Return a split by a function that names the side of each utterance, None for neither."""
    sides: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for one in utterances:
        chosen = side(one)
        if chosen is not None:
            sides[chosen].append(one.path)
    return Split(name, *(tuple(sorted(paths)) for paths in sides.values()))


def filled_sides(found: Split) -> Split:
    """Return a split whose three sides hold something; else raise `SplitError`."""
    for side, paths in found.sides.items():
        if not paths:
            raise SplitError(f"split {found.name!r} leaves the {side} side empty: the corpus has too few utterances.")
    return found


def lacking_notes(split: Split, utterances: Iterable[SplitItem]) -> list[str]:
    """Say which sides of a split lack a class, as `class_notes` does; classes of no side do not count."""
    labels = {one.path: one.label for one in utterances}
    held = {side: {labels[path] for path in paths} for side, paths in split.sides.items()}
    return class_notes(held, set().union(*held.values()), f" of {split.name!r}")


def class_notes(held: Mapping[str, Set[str]], classes: Iterable[str], split: str = "") -> list[str]:
    """Say which sides, among those that hold something, have nothing of a class: it is not learnt or not judged there.

    Parameters
    ----------
    held : mapping of str to set of str
        Classes of each side.
    classes : iterable of str
        Those that every side should have.
    split : str
        Stands behind the name of a side.

    Returns
    -------
    list of str
        A line such as `the test side of 'speakers' has no recording of: sadness`.
    """
    lacking = {side: sorted(set(classes) - found) for side, found in held.items() if found}
    return [
        f"the {side} side{split} has no recording of: {', '.join(names)[:200]}"
        for side, names in lacking.items()
        if names
    ]


def by_value(utterances: Sequence[SplitItem], field: str) -> Mapping[str | None, list[SplitItem]]:
    """Group utterances by a field, in the order in which its values first occur."""
    groups: dict[str | None, list[SplitItem]] = {}
    for one in utterances:
        groups.setdefault(field_of(one, field), []).append(one)
    return groups


def ticket(seed: int, name: str) -> str:
    """Return what orders names at random, the same on every machine."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
