"""The kind `function`: a feature of the user's own, cached like every other.

The function is called with the signal, array [time], float32, its sampling rate in hertz, and the settings of the spec
by name; it returns one row, array [frames, bands]. What it returns may depend on nothing else, or `version` has to be
raised: function, version, settings, rate and bands are all that the address of its rows knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import AudioError, FeatureStoreError, SpecError
from featurestore.signal.arrays import Float32, Signal
from featurestore.signal.kinds.waveform import check_not_empty
from featurestore.specs.features import FeatureSpec
from featurestore.trusted_code import trusted_function

MOST_FRAMES = 2**24


class CustomFunction:
    """The rows that a function of the user's own returns; calls as of `registry.Transform`.

    Its module is imported at the first row, and only if the user has allowed it by name (`featurestore.trusted_code`):
    rows that stand are read without it.

    Parameters
    ----------
    features : FeatureSpec
    rate : int
        Sampling rate of the signals in hertz.
    """

    def __init__(self, features: FeatureSpec, rate: int) -> None:
        self.features = features
        self._rate = rate

    def check(self, samples: int) -> None:
        """Refuse a signal without samples with `AudioError`."""
        check_not_empty(samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return what the function makes of a signal, array [frames, bands], float32.

        Raises
        ------
        SpecError
            If its module is not allowed or cannot be imported, or it fails or returns something else than a row.
        AudioError
            If it raises this itself, to refuse a recording.
        """
        settings = dict(self.features.settings)
        try:
            found = self._function(signal * gain, self._rate, **settings)
        except FeatureStoreError:
            raise
        except (Exception, SystemExit) as error:  # sys.exit() would end the worker, for every recording
            reason = str(error).partition("\n")[0]
            raise SpecError(f"{self.features.function} failed with {type(error).__name__}: {reason}") from error
        return self._checked(np.asarray(found))

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return trusted_function(str(self.features.function))

    def _checked(self, found: NDArray[Any]) -> Float32:
        """Return a row as float32 if it is one."""
        wanted = f"[frames, {self.features.width}]"
        if found.dtype.kind not in "fiu" or found.ndim != 2 or found.shape[1] != self.features.width:
            raise SpecError(
                f"{self.features.function} returned an array {list(found.shape)} of {found.dtype}, not {wanted}: "
                "change it, or 'bands' of its spec."
            )
        if not 1 <= len(found) <= MOST_FRAMES:
            raise AudioError(f"{self.features.function} returned {len(found):,} frames; 1 to {MOST_FRAMES:,} can be.")
        with np.errstate(over="ignore"):  # told where rows are rounded to their storage type
            return np.ascontiguousarray(found, np.float32)
