"""The kind `egemaps`: the low-level descriptors of eGeMAPS, computed by the openSMILE package.

The package is an extra: its licence allows non-commercial use only.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from featurestore.errors import AudioError, MissingPackageError
from featurestore.signal.arrays import Float32, Signal
from featurestore.specs.features import FeatureSpec
from featurestore.specs.versions import OPTIONAL

LONGEST_WINDOW_SECONDS = 0.06
"""The window of pitch and harmonics; a shorter signal has no frame."""
_LOUDEST = np.float32(32_767 / 32_768)
"""The package takes 16-bit samples and would turn 1 into -1, the sign of what overflows."""


class Egemaps:
    """The 25 low-level descriptors of eGeMAPS v02, 100 frames a second; calls as of `registry.Transform`.

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.

    References
    ----------
    Eyben et al. (2016), "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice research and affective
    computing". Eyben, Wöllmer and Schuller (2010), "openSMILE".
    """

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        self.features = features
        self._rate = rate

    def check(self, samples: int) -> None:
        """Refuse a signal shorter than the longest window with `AudioError`."""
        needed = int(np.ceil(LONGEST_WINDOW_SECONDS * self._rate))
        if samples < needed:
            raise AudioError(f"shorter than one window: {samples} samples, eGeMAPS needs {needed}.")

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return the descriptors, array [frames, 25], float32, in the order of the package."""
        self.check(len(signal))
        found = self._smile(np.clip(signal * gain, -1, _LOUDEST), self._rate)
        return np.ascontiguousarray(found[0].T, np.float32)

    @cached_property
    def _smile(self) -> Any:  # noqa: ANN401 (the package has no types)
        try:
            import opensmile
        except ImportError as error:
            raise MissingPackageError(OPTIONAL["opensmile"]) from error
        return opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02,
            feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
        )
