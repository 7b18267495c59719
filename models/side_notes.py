"""What the classes on the sides of a split leave open, told before a training and in its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.data import FeatureView


def side_notes(sides: Mapping[str, FeatureView], classes: Sequence[str]) -> list[str]:
    """Return a line for the classes that nobody trains, and for each side that tells of one class alone.

    Parameters
    ----------
    sides : mapping
        `train`, `validation` and `test`.
    classes : sequence of str
        Those that the model tells apart.
    """
    held = {side: set(view.labels.tolist()) for side, view in sides.items()}
    absent = [name for name in classes if name not in held["train"]]
    notes = []
    if absent:
        notes.append(f"the training side has no rows of {', '.join(absent)}: no model can learn what is not there.")
    for side in ("validation", "test"):
        if len(held[side]) == 1 < len(classes):
            (only,) = held[side]
            notes.append(f"the {side} side has rows of {only} alone: its figures say nothing of the other classes.")
    return notes
