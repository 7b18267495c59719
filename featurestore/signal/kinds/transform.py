"""What a class that computes a kind of features can do, and opening that of a spec.

A kind is added with a class here and an entry that names it in `featurestore.specs.features`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

import numpy as np

from featurestore.signal.arrays import Float32, Signal
from featurestore.specs.features import KINDS, FeatureSpec


class Transform(Protocol):
    """The features of a spec at one sampling rate: a signal in, the frames of one row out."""

    def check(self, samples: int) -> None:
        """Refuse a signal that is too short for a frame, with `AudioError`. No code of the user's own is run."""

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return a row, array [frames, width], float32.

        Parameters
        ----------
        signal : array [time], float32
        gain : float32
            Multiplied onto each sample, and rounded, before anything else.
        precision : float32 or float64
            In which a kind with a spectrum computes it.
        warping : (alpha, f0 as a share of fmax) or None
            Vocal tract length perturbation; None for kinds that have no frequency axis.
        """


def open_transform(features: FeatureSpec, rate: int) -> Transform:
    """Return what computes the features of a spec from signals of a sampling rate in hertz."""
    module, _, name = KINDS[features.kind].transform.partition(":")
    found: Callable[[FeatureSpec, int], Transform] = getattr(import_module(f"{__package__}.{module}"), name)
    return found(features, rate)
