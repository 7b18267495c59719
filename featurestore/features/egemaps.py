"""The kind `egemaps`: the low-level descriptors of eGeMAPS, computed by the openSMILE package.

The package is an extra: its licence allows non-commercial use only.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from featurestore.errors import AudioError, MissingPackageError
from featurestore.features.kind import BASE, FeatureKind
from featurestore.registry import OPTIONAL, Declared

if TYPE_CHECKING:
    import numpy as np

    from featurestore.signal.arrays import Float32, Signal

BANDS = 25
"""Low-level descriptors of eGeMAPS, version 02 (Eyben et al. 2016)."""
LONGEST_WINDOW_SECONDS = 0.06
"""The window of pitch and harmonics; a shorter signal has no frame."""


class Egemaps(FeatureKind):
    """The 25 low-level descriptors of eGeMAPS by the openSMILE package, 100 frames per second."""

    name, fields = "egemaps", BASE
    operations = (("egemaps", 1, ("opensmile",)),)
    cost, foreign = 80.0, True

    def width(self, spec: Declared) -> int:
        """Return the number of descriptors."""
        return BANDS

    def transform(self, spec: Any, rate: int) -> OpenSmile:  # noqa: ANN401
        """Return what calls the package."""
        return OpenSmile("eGeMAPSv02", "LowLevelDescriptors", rate)


class OpenSmile:
    """A feature set of openSMILE on signals of a sampling rate in hertz; calls as of `Transform`.

    Parameters
    ----------
    feature_set, level : str
        Members of the package's `FeatureSet` and `FeatureLevel`.
    rate : int

    References
    ----------
    Eyben et al. (2016), "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice research and affective
    computing". Eyben, Wöllmer and Schuller (2010), "openSMILE".
    """

    def __init__(self, feature_set: str, level: str, rate: int) -> None:
        self._feature_set, self._level, self._rate = feature_set, level, rate

    def check(self, samples: int) -> None:
        """Refuse a signal shorter than the longest window with `AudioError`."""
        needed = math.ceil(LONGEST_WINDOW_SECONDS * self._rate)
        if samples < needed:
            raise AudioError(f"shorter than one window: {samples} samples, openSMILE needs {needed}.")

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return the features, array [frames, width], float32, in the order of the package; functionals are 1 frame."""
        import numpy as np

        self.check(len(signal))
        loudest = np.float32(32_767 / 32_768)  # the package takes 16-bit samples, in which 1 would overflow to -1
        found = self._smile(np.clip(signal * gain, -1, loudest), self._rate)
        return np.ascontiguousarray(found[0].T, np.float32)

    @cached_property
    def _smile(self) -> Any:  # noqa: ANN401 (the package has no types)
        try:
            import opensmile
        except ImportError as error:
            raise MissingPackageError(OPTIONAL["opensmile"]) from error
        return opensmile.Smile(
            feature_set=opensmile.FeatureSet[self._feature_set], feature_level=opensmile.FeatureLevel[self._level]
        )
