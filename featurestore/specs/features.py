"""The description of a feature: every number that its values depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.errors import SpecError, UnknownNameError

WINDOWS = ("hamming", "hann")
MEL_SCALES = ("htk", "slaney")
DTYPES = ("float16", "float32")
KINDS = ("logmel",)
ADDED = ("trim_db",)
"""Fields that rows of the first stores do not name; None is what those were computed with."""


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A log-mel spectrogram, described completely; part of the address of every row computed from it.

    Rows have the shape `[frames, mels]` and hold log(power in the band + eps), natural logarithm.
    """

    kind: str = "logmel"
    """The feature, a name in `KINDS`."""
    rate: int | None = None
    """Sampling rate in hertz that signals are resampled to; None keeps each file's own rate."""
    window: str = "hamming"
    """The periodic analysis window, a name in `WINDOWS`."""
    window_length: int = 2048
    """Window length in samples, at most `fft_length`."""
    hop_length: int = 512
    """Step between frames in samples."""
    fft_length: int = 2048
    """Length of the Fourier transform in samples; even."""
    centred: bool = False
    """True pads half a transform of zeros on both sides, so that frame t is centred on sample t * hop_length."""
    mels: int = 128
    """Number of mel bands."""
    mel_scale: str = "htk"
    """The mel scale, a name in `MEL_SCALES`; triangles are normalised to unit area."""
    low_hz: float = 0.0
    """Lower edge of the first band in hertz."""
    high_hz: float | None = None
    """Upper edge of the last band in hertz; None is half the sampling rate."""
    eps: float = 2.0**-52
    """Added to the power before the logarithm; at least 1e-30."""
    dtype: str = "float16"
    """Storage type of the rows, a name in `DTYPES`."""
    trim_db: float | None = None
    """Cut silence away at the start and the end of a recording, before it is augmented: what is so many dB below the
    loudest part; above 0, at most 200. None keeps it, and then stands in no address."""

    def __post_init__(self) -> None:
        choices = {"kind": KINDS, "window": WINDOWS, "mel_scale": MEL_SCALES, "dtype": DTYPES}
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise UnknownNameError(field, str(getattr(self, field)), known)
        object.__setattr__(self, "low_hz", float(self.low_hz))
        object.__setattr__(self, "eps", float(self.eps))
        for field in ("high_hz", "trim_db"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, float(getattr(self, field)))
        self._check_numbers()

    def _check_numbers(self) -> None:
        half = (self.rate or 384_000) / 2
        high = self.high_hz if self.high_hz is not None else half
        rules = (
            (self.rate is None or 1000 <= self.rate <= 384_000, "rate must lie within 1,000 and 384,000 Hz"),
            (2 <= self.fft_length <= 65_536 and self.fft_length % 2 == 0, "fft_length must be even, 2 to 65,536"),
            (1 <= self.window_length <= self.fft_length, "window_length must lie within 1 and fft_length"),
            (1 <= self.hop_length <= self.fft_length, "hop_length must lie within 1 and fft_length"),
            (1 <= self.mels <= 1024, "mels must lie within 1 and 1,024"),
            (0 <= self.low_hz < high <= half, "low_hz and high_hz must satisfy 0 <= low < high <= rate / 2"),
            (1e-30 <= self.eps <= 1, "eps must lie within 1e-30 and 1"),
            (self.trim_db is None or 0 < self.trim_db <= 200, "trim_db must lie above 0 and be at most 200"),
        )
        for holds, rule in rules:
            if not holds:
                raise SpecError(f"feature spec: {rule}.")

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values, those that were added later only where they are used.

        Rows that stood before a field was added keep their address.
        """
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if name not in ADDED or value is not None}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FeatureSpec:
        """Read fields as written by `to_dict`; a field that does not exist is an `UnknownNameError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise UnknownNameError("feature field", name, known)
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise SpecError(f"feature spec: a field has the wrong type ({error}).") from error
