"""A recording's rows summed up over time: a fixed list of functionals of each band.

| functional | of the frames of a band |
|---|---|
| `mean`, `deviation` | mean and standard deviation (n in the denominator) |
| `p20`, `p50`, `p80` | percentiles, interpolated between frames |
| `slope` | of the line that fits them best, in units per frame |
| `rising`, `falling` | mean of the changes up, and of those down, from a frame to the next; 0 where there is none |

Rows of a single frame, such as openSMILE's functionals, are taken as they are.

The percentiles and the two kinds of slopes are those that eGeMAPS takes of pitch and loudness.

References
----------
Eyben et al. (2016), "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice research and affective
computing".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.batches.loader import FeatureView
from models.batches.residence import shard_by_shard
from models.errors import TrainingError

FUNCTIONALS = ("mean", "deviation", "p20", "p50", "p80", "slope", "rising", "falling")
PERCENTILES = (20, 50, 80)
FRAME = ("frame",)
"""What stands in place of functionals where every row is one frame."""
LOCATED = [place for place, name in enumerate(FUNCTIONALS) if name not in ("deviation", "slope", "rising", "falling")]
"""Functionals that move with the band's level; all of them scale with its spread."""

Matrix = NDArray[np.float64]


def functionals(frames: NDArray[Any]) -> Matrix:
    """Return the functionals of a row, `array [functionals, bands]`, float64.

    Parameters
    ----------
    frames : array [frames, bands]
        At least one frame; of a single one the deviation and the slopes are 0.

    Examples
    --------
    >>> functionals(np.array([[0.0], [2.0], [1.0], [3.0]]))[:, 0].round(2).tolist()
    [1.5, 1.12, 0.6, 1.5, 2.4, 0.8, 2.0, -1.0]
    """
    values = frames.astype(np.float64)
    time = np.arange(len(values)) - (len(values) - 1) / 2
    changes = np.diff(values, axis=0)
    up, down = np.maximum(changes, 0), np.minimum(changes, 0)
    return np.stack(
        [
            values.mean(axis=0),
            values.std(axis=0),
            *np.percentile(values, PERCENTILES, axis=0),
            time @ values / max(float(time @ time), 1.0),
            up.sum(axis=0) / np.maximum((up > 0).sum(axis=0), 1),
            down.sum(axis=0) / np.maximum((down < 0).sum(axis=0), 1),
        ]
    )


def functional_names(view: FeatureView) -> tuple[str, ...]:
    """Return what `view_functionals` gives: `FUNCTIONALS`, or `FRAME` where every row is one frame."""
    return FRAME if len(view) and int(view.frames.max()) == 1 else FUNCTIONALS


def view_functionals(view: FeatureView) -> Matrix:
    """Return the functionals of all rows, `array [rows, functionals, bands]`; each row is read once.

    Where every row is one frame, that is what they are: [rows, 1, bands].

    Raises
    ------
    DamagedObjectError
        If the bytes of a row are not sound.
    TrainingError
        If a row holds a value that is not finite.
    """
    names = functional_names(view)
    found = np.empty((len(view), len(names), view.bands))
    order = range(len(view)) if view.random_access else shard_by_shard(view).tolist()
    view.expect(order)
    for row in order:
        frames, _ = view[row]
        found[row] = frames if names is FRAME else functionals(frames)
        if not np.isfinite(found[row]).all():
            raise TrainingError(
                f"dataset {view.name}: the features of {view.paths[row]!r} are not finite: run 'featurestore verify'."
            )
    return found


def of_each_utterance(found: Matrix) -> Matrix:
    """Return the functionals of the same rows with each band brought to mean 0 and deviation 1 over its own frames.

    It needs no frames: all functionals follow the scale of a band, and the mean and percentiles its level.

    Parameters
    ----------
    found : array [rows, functionals, bands]
    """
    mean, deviation = found[:, :1], found[:, 1:2]
    moved = found.copy()
    moved[:, LOCATED] -= mean
    return moved / np.where(deviation > 0, deviation, 1.0)
