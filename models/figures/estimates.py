"""What a model estimates of each item: numbers on dimensions such as valence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.batches.loader import FeatureView
from models.errors import CheckpointError, RunError


@dataclass(frozen=True)
class Estimates:
    """Items with the truth and the estimate of each dimension, in the order of a view."""

    dimensions: tuple[str, ...]
    paths: tuple[str, ...]
    copies: NDArray[np.int64]
    """Copy index of each item."""
    speakers: tuple[str | None, ...]
    contents: tuple[str, ...]
    """The sha256 of each item's recording."""
    truth: NDArray[np.float64]
    """`[items, dimensions]`, in the unit of the corpus."""
    estimated: NDArray[np.float64]
    """`[items, dimensions]`."""

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def of(
        cls, view: FeatureView, dimensions: Sequence[str], truth: NDArray[np.float64], estimated: NDArray[np.float64]
    ) -> Estimates:
        """Put a view's items and what is estimated of them together."""
        copies = np.asarray(view.copies, np.int64)
        names = tuple(view.paths), copies, tuple(view.speakers), tuple(view.contents)
        return cls(tuple(dimensions), *names, truth, estimated)

    @property
    def items(self) -> list[tuple[str, int, str, tuple[float, ...]]]:
        """Path, copy, recording and truth of each item: what makes two items the same."""
        truth = map(tuple, self.truth.tolist())
        return list(zip(self.paths, self.copies.tolist(), self.contents, truth, strict=True))

    def sorted(self) -> Estimates:
        """Return the items in the order of `items`."""
        order = np.array(sorted(range(len(self)), key=self.items.__getitem__), np.int64)
        texts = (tuple(column[place] for place in order) for column in (self.paths, self.speakers, self.contents))
        paths, speakers, contents = texts
        arrays = {name: getattr(self, name)[order] for name in ("copies", "truth", "estimated")}
        return replace(self, paths=paths, speakers=speakers, contents=contents, **arrays)


def pooled(parts: Sequence[Estimates]) -> Estimates:
    """Put the items of several folds into one; `CheckpointError` if their dimensions differ."""
    if len({part.dimensions for part in parts}) != 1:
        raise CheckpointError("the folds have different dimensions: their estimates cannot be pooled.")
    return Estimates(
        parts[0].dimensions,
        tuple(path for part in parts for path in part.paths),
        np.concatenate([part.copies for part in parts]),
        tuple(speaker for part in parts for speaker in part.speakers),
        tuple(content for part in parts for content in part.contents),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "estimated")),
    )


def on_same_items(runs: Sequence[Estimates], names: Sequence[str]) -> list[Estimates]:
    """Return runs in one order of their items; `RunError` if they estimated other dimensions or items."""
    ordered = [run.sorted() for run in runs]
    for run, name in zip(ordered[1:], names[1:], strict=True):
        if run.dimensions != ordered[0].dimensions:
            theirs, ours = ", ".join(run.dimensions), ", ".join(ordered[0].dimensions)
            raise RunError(f"{names[0]} estimates {ours}, and {name} {theirs}: only runs with one target compare.")
        if run.items != ordered[0].items:
            one = min({*run.items} ^ {*ordered[0].items})[0]
            raise RunError(
                f"{names[0]} and {name} were not tested on the same items and numbers, such as {one!r}. Compare runs "
                "of one dataset and split, or 'featurestore evaluate' both on one dataset."
            )
    return ordered


def ensemble(members: Sequence[Estimates], names: Sequence[str]) -> Estimates:
    """Return the mean estimate of several runs for each item, in the order of the items.

    `RunError` if there is only one member, or items or dimensions differ.
    """
    if len(members) < 2:
        raise RunError("an ensemble needs two members or more: name more runs, or one with several seeds.")
    ordered = on_same_items(members, names)
    return replace(ordered[0], estimated=np.mean([run.estimated for run in ordered], axis=0))
