"""The description of a feature: its kind, every number that its values depend on, and what they must satisfy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.features import FEATURES
from featurestore.registry import declared, settle_fields

LONGEST_SECONDS = 3600.0
CHOICES = {
    "window": ("hamming", "hann"),
    "mel_scale": ("htk", "slaney"),
    "dtype": ("float16", "float32"),
    "decibels": (None, "absolute", "relative"),
}
SETTINGS = {
    name: (kind, default, meaning) for one in FEATURES.values() for name, kind, default, meaning in one.settings
}
"""Fields that one kind has to itself: type, default and meaning."""
ADDED = ("trim_db", "seconds", "decibels", "range_db", *SETTINGS)
"""Fields that are part of an address only where they are set: rows of the first stores lack them."""


@dataclass(frozen=True, slots=True)
@declared(SETTINGS)
class FeatureSpec:
    """A feature, described completely; part of the address of every row computed from it.

    Rows have the shape `[frames, width]`. The kind (see `featurestore.features`) says which fields describe it and adds
    fields of its own to those that kinds share; a field of another kind is refused, so that no two specs describe the
    same rows.
    """

    kind: str = "logmel"
    """The feature, a name in `FEATURES`."""
    rate: int | None = None
    """Sampling rate in hertz that signals are resampled to; None keeps each file's own rate."""
    window: str = "hamming"
    """The periodic analysis window, `hamming` or `hann`."""
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
    """The mel scale, `htk` or `slaney`; triangles are normalised to unit area."""
    low_hz: float = 0.0
    """Lower edge of the first band in hertz."""
    high_hz: float | None = None
    """Upper edge of the last band in hertz; None is half the sampling rate."""
    eps: float = 2.0**-52
    """Added to the power before the logarithm; for decibels the least power. At least 1e-30."""
    dtype: str = "float16"
    """Storage type of the rows, `float16` or `float32`."""
    trim_db: float | None = None
    """Cut silence away at the start and the end of a recording, before it is augmented: what is so many dB below the
    loudest part; above 0, at most 200. None keeps it, and is part of no address."""
    seconds: float | None = None
    """Length that every signal is cut to, or lengthened to by zeros at its end, right before the transform and after
    all perturbations: draws and noise levels are those of the recording itself. None keeps each length."""
    decibels: str | None = None
    """None is the natural logarithm. `absolute` is 10 log10(max(power, eps)); `relative` subtracts the clip's maximum,
    so that it lies at 0 dB."""
    range_db: float | None = None
    """What lies more than so many dB below the clip's maximum is raised to that; above 0, at most 400."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...  # noqa: ANN401
        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401

    def __post_init__(self) -> None:
        if self.kind not in FEATURES:
            raise UnknownNameError("kind", str(self.kind), FEATURES)
        kind = FEATURES[self.kind]
        for field in dataclasses.fields(self):
            if field.name not in kind.all_fields and getattr(self, field.name) != field.default:
                raise SpecError(_foreign(field.name, self.kind))
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownNameError(name, str(getattr(self, name)), filter(None, known))
        settle_fields(self, "feature spec: ")
        for name, value in kind.completed(self).items():
            object.__setattr__(self, name, value)
        rules = (
            (self.rate is None or 1000 <= self.rate <= 384_000, "rate must lie within 1,000 and 384,000 Hz"),
            (self.trim_db is None or 0 < self.trim_db <= 200, "trim_db must lie above 0 and be at most 200"),
            (
                self.seconds is None or 0 < self.seconds <= LONGEST_SECONDS,
                f"seconds must lie above 0 and be at most {LONGEST_SECONDS:g}",
            ),
        )
        for holds, rule in chain(rules, kind.rules(self)):
            if not holds:
                raise SpecError(f"feature spec: {rule}.")

    @property
    def width(self) -> int:
        """Values of a frame: the bands of a row."""
        return FEATURES[self.kind].width(self)

    def samples(self, rate: int) -> int | None:
        """Return the samples that `seconds` are at a sampling rate in hertz; None where lengths are kept."""
        return None if self.seconds is None else round(self.seconds * rate)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the kind as JSON values, those that were added later only where they are used."""
        kept, document = FEATURES[self.kind].all_fields, {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in kept and (field.name not in ADDED or value != field.default):
                document[field.name] = dict(value) if isinstance(value, tuple) else value
        return document

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FeatureSpec:
        """Read fields as written by `to_dict`.

        Raises
        ------
        UnknownNameError
            If a field does not exist; the nearest one is named.
        SpecError
            If a field belongs to another kind, or its value makes no sense.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        kind = str(fields.get("kind", "logmel"))
        for name in fields:
            if name not in known:
                raise UnknownNameError("feature field", name, known)
            if kind in FEATURES and name not in FEATURES[kind].all_fields:
                raise SpecError(_foreign(name, kind))
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise SpecError(f"feature spec: a field has the wrong type ({error}).") from error


def _foreign(field: str, kind: str) -> str:
    owners = [name for name, known in FEATURES.items() if field in known.all_fields]
    return f"feature spec: {field!r} does not belong to kind {kind!r}, but to {', '.join(owners)}: leave it out."
