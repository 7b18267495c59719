"""The nouns of splitting: what is split, the three sides, and what a rule that makes them must declare."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import compress
from typing import ClassVar, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import SplitError
from featurestore.registry import check_declared
from featurestore.segments import recording_of

Group = TypeVar("Group", bound=Hashable)

WITHOUT_CORPUS = "Protocols are named as 'emodb/loso', tables end in .tsv."
"""Advice for a name that no split has."""
OFFICIAL_FIELD = "split"
"""The field that holds the sides a corpus comes with."""
FIELD = "FIELD"
"""Any field, in the name and in the needs of a rule."""
SPEAKERS_SESSION = "the session of each speaker"
"""In the needs of a rule, a field `session` of which each speaker has one value, shared with others."""
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
SIDE_BITS = {"train": 1, "validation": 2, "test": 4}
"""The sides, each with its bit in `Split.side_bits`."""


class SplitItem(Protocol):
    """What a split needs to know of an utterance; rules that go by other fields look at `fields` too."""

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


class Split:
    """Three sides of a corpus, as utterance paths in name order; equal to one of the same name and sides.

    It holds a byte for each path: the folds of a corpus have one tuple of paths together, and an array each.
    """

    name: str
    paths: tuple[str, ...]
    """The utterances that were split, in name order, also those on no side."""
    side_bits: NDArray[np.uint8]
    """The sides of each of them, array [paths]: the sum of their `SIDE_BITS`, 0 on none."""

    def __init__(self, name: str, train: Iterable[str], validation: Iterable[str], test: Iterable[str]) -> None:
        sides = tuple(map(tuple, (train, validation, test)))
        self.name, self.paths = name, tuple(sorted({path for paths in sides for path in paths}))
        numbers = {path: number for number, path in enumerate(self.paths)}
        self.side_bits = np.zeros(len(numbers), np.uint8)
        for bit, paths in zip(SIDE_BITS.values(), sides, strict=True):
            self.side_bits[np.array([numbers[path] for path in paths], np.int64)] |= bit
        self.side_bits.flags.writeable = False

    @classmethod
    def of_bits(cls, name: str, paths: tuple[str, ...], side_bits: NDArray[np.uint8]) -> Split:
        """Return the split of `paths`, in name order and each once, with the sides of each."""
        split = object.__new__(cls)
        split.name, split.paths, split.side_bits = name, paths, side_bits
        side_bits.flags.writeable = False
        return split

    @cached_property
    def train(self) -> tuple[str, ...]:
        """The paths to train on."""
        return tuple(Members(self, "train"))

    @cached_property
    def validation(self) -> tuple[str, ...]:
        """The paths to validate on."""
        return tuple(Members(self, "validation"))

    @cached_property
    def test(self) -> tuple[str, ...]:
        """The paths to test on."""
        return tuple(Members(self, "test"))

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The sides by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def members(self) -> dict[str, Members]:
        """The sides by name, without a list of paths until somebody goes through one."""
        return {side: Members(self, side) for side in SIDE_BITS}

    def named(self, name: str) -> Split:
        """Return the same sides under another name."""
        return Split.of_bits(name, self.paths, self.side_bits)

    def bits_of(self, paths: tuple[str, ...]) -> NDArray[np.uint8]:
        """Return the sides of other paths, array [paths]; nothing is looked up if they are those of the split."""
        if paths == self.paths:
            return self.side_bits
        numbers = {path: number for number, path in enumerate(self.paths)}
        found = np.array([numbers.get(path, -1) for path in paths], np.int64)
        return np.append(self.side_bits, np.uint8(0))[found]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and self.name == other.name and self.sides == other.sides

    def __hash__(self) -> int:
        return hash((self.name, *self.sides.values()))

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {', '.join(f'{side}={paths!r}' for side, paths in self.sides.items())})"


class Members(Sequence[str]):
    """The paths of one side of a split, in name order, made when somebody goes through them."""

    def __init__(self, split: Split, side: str) -> None:
        self.paths = split.paths
        self._on_side = split.side_bits & SIDE_BITS[side]

    def __len__(self) -> int:
        return int(np.count_nonzero(self._on_side))

    def __iter__(self) -> Iterator[str]:
        return self.among(self.paths)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return tuple(self)[place]

    def among(self, values: Sequence[str]) -> Iterator[str]:
        """Yield those of the members among values that are given for all `paths`."""
        return compress(values, self._on_side.tobytes())


class SplitRule(ABC):
    """A way to split, with its name, requirements and description.

    A subclass in `featurestore/corpus/splits/rules` is one entry of `SPLITS`. One whose name has parameters also has a
    pattern; it is called without arguments for the entry, and with the name and the pattern's groups for use.
    """

    name: str
    """As `--split` takes it."""
    description: str
    """As lists of splits and run folders have it."""
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
    """Return a field of an utterance by name: `speaker`, `label`, or one of its `fields`; None if it has none.

    `recording` is the recording that it is or is a segment of, where no field has that name.
    """
    if name in ("speaker", "label"):
        value: str | None = getattr(one, name)
        return value
    fields = dict(getattr(one, "fields", ()))
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
    places = {one.path: side(one) for one in utterances}
    paths = tuple(sorted(places))
    side_bits = [0 if (chosen := places[path]) is None else SIDE_BITS[chosen] for path in paths]
    return Split.of_bits(name, paths, np.array(side_bits, np.uint8))


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
    members: dict[Group, list[int]] = {}
    for number, one in enumerate(sorted(utterances, key=lambda one: one.path)):
        paths.append(one.path)
        members.setdefault(group(one), []).append(number)
    everyone, places = tuple(paths), {value: np.array(numbers) for value, numbers in members.items()}
    found = []
    for fold, sides in folds.items():
        side_bits = np.full(len(everyone), SIDE_BITS["train"], np.uint8)
        for value in sides.keys() & places.keys():
            side_bits[places[value]] = SIDE_BITS[sides[value]]
        found.append(Split.of_bits(f"{name}/{fold}", everyone, side_bits))
    return tuple(found)


def filled_sides(found: Split) -> Split:
    """Return a split whose three sides hold something; else raise `SplitError`."""
    for side, members in found.members.items():
        if not members:
            raise SplitError(f"split {found.name!r} leaves the {side} side empty: the corpus has too few utterances.")
    return found


def by_value(utterances: Sequence[SplitItem], field: str) -> Mapping[str | None, list[SplitItem]]:
    """Group utterances by a field, in the order in which its values first occur."""
    groups: dict[str | None, list[SplitItem]] = {}
    for one in utterances:
        groups.setdefault(field_of(one, field), []).append(one)
    return groups


def ticket(seed: int, name: str) -> str:
    """Return what orders names at random, the same on every machine."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
