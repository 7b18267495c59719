"""The class that computes each kind of features.

A kind is added with a class here and an entry of its fields and operations in `featurestore.specs.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from featurestore.signal.arrays import Float32, Signal
from featurestore.signal.kinds.egemaps import Egemaps
from featurestore.signal.kinds.log_mel import LogMel
from featurestore.signal.kinds.mfcc import Mfcc
from featurestore.signal.kinds.own_function import OwnFunction
from featurestore.signal.kinds.spectrogram import Spectrogram
from featurestore.signal.kinds.waveform import Waveform
from featurestore.specs.features import FeatureSpec


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


TRANSFORMS: dict[str, Callable[[FeatureSpec, int], Transform]] = {
    "logmel": LogMel,
    "spectrogram": Spectrogram,
    "mfcc": Mfcc,
    "waveform": Waveform,
    "egemaps": Egemaps,
    "function": OwnFunction,
}
"""Each takes a feature spec of its kind and the sampling rate of the signals in hertz."""


def open_transform(features: FeatureSpec, rate: int) -> Transform:
    """Return what computes the features of a spec from signals of a sampling rate in hertz."""
    return TRANSFORMS[features.kind](features, rate)
