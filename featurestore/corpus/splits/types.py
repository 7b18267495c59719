"""The nouns of splitting: what is split, the three sides, and what a rule that makes them has to say of itself."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import compress
from typing import ClassVar, Protocol, TypeVar

from featurestore.errors import SplitError
from featurestore.segments import recording_of
from featurestore.specs.registry import check_declared

Group = TypeVar("Group", bound=Hashable)

WITHOUT_CORPUS = "Protocols are named as 'emodb/loso', tables end in .tsv."
"""What to say of a name that no split has."""
OFFICIAL_FIELD = "split"
"""The field that holds the sides a corpus comes with."""
FIELD = "FIELD"
"""Stands for any field in the name and in the needs of a rule."""
SPEAKERS_SESSION = "the session of each speaker"
"""Stands in the needs of a rule for a field `session` of which each speaker has one value, shared with others."""
SIDE_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "devel": "validation",
    "test": "test",
    "testing": "test",
}
"""Names of sides as people write them."""


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


class SplitRule(ABC):
    """A way to split, with its name, what it needs and how it says itself.

    A subclass in `featurestore/corpus/splits/rules` is one entry of `SPLITS`. One whose name has parameters also has a
    pattern; it is called without arguments for the entry, and with the name and the pattern's groups for use.
    """

    name: str
    """As `--split` takes it."""
    description: str
    """How lists of splits and run folders say it."""
    pattern: ClassVar[str] = ""
    """Regular expression of the names of a rule with parameters, which are its groups."""
    folds: ClassVar[bool] = False
    """Whether it gives folds for cross-validation instead of one split."""
    needs: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Fields that every utterance must have, and how many values of each there must be."""

    def __init_subclass__(cls, *, registered: bool = True) -> None:
        """Check that nothing is left out; one that is not registered is made from a file of the user's."""
        if registered:
            check_declared(cls, ("name", "description"))

    @abstractmethod
    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return one split or several folds of utterances in name order; `SplitError` if the rule does not fit them."""


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


def folds_by(
    name: str,
    utterances: Iterable[SplitItem],
    group: Callable[[SplitItem], Group],
    folds: Mapping[str, Mapping[Group, str]],
) -> tuple[Split, ...]:
    """Return the folds, each named `NAME/key`, in which some groups have a side and all others train.

    Parameters
    ----------
    group : function
        From an utterance to its group; called once for each, however many folds there are.
    folds : mapping
        `validation` or `test` by group, for each fold.
    """
    paths: list[str] = []
    members: dict[Group, list[int]] = defaultdict(list)
    for number, one in enumerate(sorted(utterances, key=lambda one: one.path)):
        paths.append(one.path)
        members[group(one)].append(number)
    found = []
    for fold, sides in folds.items():
        trains = bytearray(b"\1") * len(paths)
        held: dict[str, list[int]] = {"validation": [], "test": []}
        for value, side in sides.items():
            held[side] += members[value]
            for number in members[value]:
                trains[number] = 0
        validation, test = (tuple(paths[number] for number in sorted(numbers)) for numbers in held.values())
        found.append(Split(f"{name}/{fold}", tuple(compress(paths, trains)), validation, test))
    return tuple(found)


def filled_sides(found: Split) -> Split:
    """Return a split whose three sides hold something; else raise `SplitError`."""
    for side, paths in found.sides.items():
        if not paths:
            raise SplitError(f"split {found.name!r} leaves the {side} side empty: the corpus has too few utterances.")
    return found


def lacking_notes(split: Split, labels: Mapping[str, str]) -> list[str]:
    """Say which sides of a split lack a class, by the class of each path; classes of no side do not count."""
    held = {side: set(map(labels.__getitem__, paths)) for side, paths in split.sides.items()}
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
        Follows the name of a side.

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
