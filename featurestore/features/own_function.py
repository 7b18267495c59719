"""The kind `function`: a feature that the user wrote, cached like every other.

The function is called with the signal, array [time], float32, its sampling rate in hertz, and the settings of the spec
by name; it returns one row, array [frames, bands]. What it returns may depend on nothing else, or `version` has to be
raised: function, version, settings, rate and bands are all that the address of its rows knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from featurestore.errors import AudioError, FeatureStoreError, SpecError
from featurestore.features.kind import BASE, FeatureKind, Rules
from featurestore.features.waveform import check_not_empty
from featurestore.registry import Declared
from featurestore.trusted_code import check_reference, trusted_function

if TYPE_CHECKING:
    import numpy as np

    from featurestore.signal.arrays import Float32, Signal

MOST_BANDS = 8192
MOST_FRAMES = 2**24


class OwnFunction(FeatureKind):
    """What a function of the user returns."""

    name, fields = "function", BASE
    settings = (
        ("function", Any, None, "The user's feature as `module:function`."),
        ("version", int, None, "Version of the function, to be raised with every change of what it returns."),
        ("bands", int, None, "Values of a frame of the function."),
        ("settings", Any, (), "Keyword arguments of the function: a table of strings, numbers and truth values."),
    )
    operations = (("function", 2, ()),)
    cost, foreign = 10.0, True

    def width(self, spec: Declared) -> int:
        """Return the bands that the spec promises."""
        return int(spec.bands)

    def completed(self, spec: Declared) -> Mapping[str, Any]:
        """Return the settings as sorted pairs, which a frozen spec can hold."""
        return {"settings": tuple(sorted(dict(spec.settings).items()))}

    def rules(self, spec: Declared) -> Rules:
        """Yield the rules of a function that can be called and addressed."""
        try:
            check_reference(spec.function)
        except SpecError as error:
            yield False, str(error).rstrip(".")
        yield (spec.version or 0) >= 1, "a function needs a version, a whole number from 1"
        yield 1 <= (spec.bands or 0) <= MOST_BANDS, f"a function needs bands, 1 to {MOST_BANDS:,}"
        for name, value in spec.settings:
            plain = isinstance(value, str | int | float) and not (isinstance(value, float) and not math.isfinite(value))
            yield plain and str(name).isidentifier(), f"setting {name!r} must be a string, a number or true or false"

    def transform(self, spec: Any, rate: int) -> FunctionCall:  # noqa: ANN401
        """Return what calls the function."""
        return FunctionCall(spec, rate)


class FunctionCall:
    """The rows that a function of the user returns for signals of a sampling rate in hertz; calls as of `Transform`.

    Its module is imported at the first row, and only if the user has allowed it by name (`featurestore.trusted_code`):
    stored rows are read without it.
    """

    def __init__(self, features: Declared, rate: int) -> None:
        self._features, self._rate = features, rate

    def check(self, samples: int) -> None:
        """Refuse a signal without samples with `AudioError`."""
        check_not_empty(samples)

    def __call__(
        self, signal: Signal, gain: np.float32, precision: type[np.floating], warping: tuple[float, float] | None
    ) -> Float32:
        """Return what the function makes of a signal, array [frames, bands], float32.

        `SpecError` if its module is not allowed or cannot be imported, or it fails or returns something else than a
        row. An `AudioError` of its own refuses the recording.
        """
        import numpy as np

        try:
            found = self._function(signal * gain, self._rate, **dict(self._features.settings))
        except FeatureStoreError:
            raise
        except (Exception, SystemExit) as error:  # sys.exit() would end the worker, for every recording
            reason = str(error).partition("\n")[0]
            raise SpecError(f"{self._features.function} failed with {type(error).__name__}: {reason}") from error
        found = np.asarray(found)
        function, width = self._features.function, self._features.width
        if found.dtype.kind not in "fiu" or found.ndim != 2 or found.shape[1] != width:
            raise SpecError(
                f"{function} returned an array {list(found.shape)} of {found.dtype}, not [frames, {width}]: "
                "change it, or 'bands' of its spec."
            )
        if not 1 <= len(found) <= MOST_FRAMES:
            raise AudioError(f"{function} returned {len(found):,} frames; 1 to {MOST_FRAMES:,} are allowed.")
        with np.errstate(over="ignore"):  # rows are checked where they are rounded to their storage type
            return np.ascontiguousarray(found, np.float32)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return trusted_function(str(self._features.function))
