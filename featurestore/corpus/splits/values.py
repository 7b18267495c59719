"""On which sides of a split the values of a field stand, and the classes that a side lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

import numpy as np
from numpy.typing import NDArray

from featurestore.corpus.splits.types import SIDE_BITS, Split


class Values:
    """What a field says of each utterance, grouped once, so that a split of them costs a few operations on arrays.

    Parameters
    ----------
    values : iterable of str or None
        The value of each utterance, None where it has none.
    """

    def __init__(self, values: Iterable[str | None]) -> None:
        numbers: dict[str, int] = {}
        codes = np.array(
            [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values], np.int64
        )
        self.names = list(numbers)
        """The values, in the order in which they first occur."""
        self._utterances = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
        self._starts = np.searchsorted(codes[self._utterances], np.arange(len(self.names) + 1))

    def standing(self, of_utterances: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return where each value stands, array [values], by where each utterance does (`Split.standing`)."""
        if not self.names:
            return np.zeros(0, np.uint8)
        return np.bitwise_or.reduceat(of_utterances[self._utterances], self._starts[:-1])

    def shared(self, of_utterances: NDArray[np.uint8]) -> tuple[str, ...]:
        """Return the values that stand on several sides, sorted."""
        return tuple(sorted(self.names[number] for number in on_several_sides(self.standing(of_utterances))))

    def sharing(self, of_utterances: NDArray[np.uint8]) -> Iterator[NDArray[np.int64]]:
        """Yield for each value that stands on several sides the numbers of its utterances on any side."""
        for number in on_several_sides(self.standing(of_utterances)):
            utterances = self._utterances[self._starts[number] : self._starts[number + 1]]
            yield utterances[of_utterances[utterances] > 0]


def on_several_sides(standing: NDArray[np.uint8]) -> list[int]:
    """Return the places of what stands on more than one side."""
    places: list[int] = np.flatnonzero(standing & (standing - 1)).tolist()
    return places


def lacking_notes(splits: Iterable[Split], labels: Mapping[str, str]) -> list[str]:
    """Say which sides of splits lack a class, by the class of each path; classes of no side do not count."""
    notes: list[str] = []
    paths, classes = None, Values(())
    for split in splits:
        if split.paths is not paths:  # folds have theirs together
            paths, classes = split.paths, Values(labels[path] for path in split.paths)
        standing = classes.standing(split.standing)
        held = {
            side: {classes.names[place] for place in np.flatnonzero(standing & bit)} for side, bit in SIDE_BITS.items()
        }
        notes += class_notes(held, set().union(*held.values()), f" of {split.name!r}")
    return notes


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
