"""Log power in decibels, absolute or relative to a clip's maximum, with a bounded range."""

from __future__ import annotations

import numpy as np

from featurestore.signal.arrays import Float32
from featurestore.signal.elementary import LN10, log
from featurestore.specs.features import FeatureSpec

SMALLEST = 1e-30
"""Added to powers whose logarithm becomes decibels: far below every floor, and above what float32 holds with all its
digits."""
_A_NEPER = 10 / LN10


def added_power(features: FeatureSpec) -> float:
    """Return what is added to a power before its logarithm: eps, which for decibels is a floor instead."""
    return features.eps if features.decibels is None else SMALLEST


def levels(logarithms: Float32, features: FeatureSpec) -> Float32:
    """Return log power as a spec wants it, array [frames, bands], float32.

    As natural logarithms they stay what they are. Decibels are 10 log10(max(power, eps)); `relative` ones lie below
    those of the clip's maximum, and none lies more than `range_db` below the clip's maximum: the rule of
    `librosa.power_to_db` with `ref=1` or `ref=np.max`, `amin=eps` and `top_db=range_db`.
    """
    if features.decibels is None:
        return logarithms
    decibels: Float32 = np.maximum(logarithms * np.float32(_A_NEPER), np.float32(_A_NEPER * log(features.eps)))
    highest = np.float32(decibels.max())
    if features.range_db is not None:
        decibels = np.maximum(decibels, highest - np.float32(features.range_db))
    if features.decibels == "relative":
        decibels -= highest
    return decibels
