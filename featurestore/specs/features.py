"""The description of a feature: its kind, every number that its values depend on, and what they must satisfy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.features import KINDS
from featurestore.specs.drawn import checked_number, checked_truth, checked_whole
from featurestore.specs.registry import declared

LONGEST_SECONDS = 3600.0

WINDOWS = ("hamming", "hann")

MEL_SCALES = ("htk", "slaney")

DTYPES = ("float16", "float32")

DECIBELS = ("absolute", "relative")

SETTINGS = {name: (default, meaning) for kind in KINDS.values() for name, default, _, meaning in kind.settings}
"""Fields that one kind has to itself: default and meaning."""

ADDED = ("trim_db", "seconds", "decibels", "range_db", *SETTINGS)
"""Fields that stand in an address only where they are set: rows of the first stores do not name them."""

NUMBERS = ("low_hz", "eps", "high_hz", "trim_db", "seconds", "range_db")
"""Fields that may be given as whole numbers and are kept as floats."""

WHOLE = ("rate", "window_length", "hop_length", "fft_length", "mels")
"""Fields that may be given as floats such as 128.0 and are kept as whole numbers."""

TRUTHS = ("centred",)
"""Fields that are true or false, and neither 1 nor a text."""

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(NUMBERS, checked_number),
    **dict.fromkeys(WHOLE, checked_whole),
    **dict.fromkeys(TRUTHS, checked_truth),
    **{name: read for kind in KINDS.values() for name, _, read, _ in kind.settings if read is not None},
}
"""What reads a field, by its name: it takes what messages call the field, and the value."""


@dataclass(frozen=True, slots=True)
@declared(SETTINGS)
class FeatureSpec:
    """A feature, described completely; part of the address of every row computed from it.

    Rows have the shape `[frames, width]`. The kind (see `featurestore.features`) says which fields describe it and adds
    fields of its own to those that kinds share; a field of another kind is refused, so that no two specs describe the
    same rows.
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
    """Added to the power before the logarithm; for decibels the least power. At least 1e-30."""
    dtype: str = "float16"
    """Storage type of the rows, a name in `DTYPES`."""
    trim_db: float | None = None
    """Cut silence away at the start and the end of a recording, before it is augmented: what is so many dB below the
    loudest part; above 0, at most 200. None keeps it, and then stands in no address."""
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
        if self.kind not in KINDS:
            raise UnknownNameError("kind", str(self.kind), KINDS)
        self._refuse_foreign()
        choices = {"window": WINDOWS, "mel_scale": MEL_SCALES, "dtype": DTYPES}
        if self.decibels is not None:
            choices["decibels"] = DECIBELS
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise UnknownNameError(field, str(getattr(self, field)), known)
        self._normalise()
        for holds, rule in chain(_common_rules(self), KINDS[self.kind].rules(self)):
            if not holds:
                raise SpecError(f"feature spec: {rule}.")

    def _refuse_foreign(self) -> None:
        for field in dataclasses.fields(self):
            if field.name not in KINDS[self.kind].all_fields and getattr(self, field.name) != field.default:
                raise SpecError(_foreign(field.name, self.kind))

    def _normalise(self) -> None:
        """Give equal specs equal fields: each number becomes that of its field, a table becomes sorted pairs.

        An address tells 16000 from 16000.0 and 0.0 from -0.0, though they mean the same.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in CHECKS and not (value is None and field.default is None):
                object.__setattr__(self, field.name, CHECKS[field.name](f"feature spec: {field.name}", value))
        for name, value in KINDS[self.kind].completed(self).items():
            object.__setattr__(self, name, value)

    @property
    def width(self) -> int:
        """Values of a frame: the bands of a row."""
        return KINDS[self.kind].width(self)

    def samples(self, rate: int) -> int | None:
        """Return the samples that `seconds` are at a sampling rate in hertz; None where lengths are kept."""
        return None if self.seconds is None else round(self.seconds * rate)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of the kind as JSON values, those that were added later only where they are used.

        Rows that stood before a field was added keep their address.
        """
        kept, document = KINDS[self.kind].all_fields, {}
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
            if kind in KINDS and name not in KINDS[kind].all_fields:
                raise SpecError(_foreign(name, kind))
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise SpecError(f"feature spec: a field has the wrong type ({error}).") from error


def _foreign(field: str, kind: str) -> str:
    owners = [name for name, known in KINDS.items() if field in known.all_fields]
    return f"feature spec: {field!r} does not belong to kind {kind!r}, but to {', '.join(owners)}: leave it out."


def _common_rules(spec: FeatureSpec) -> Iterator[tuple[bool, str]]:
    yield spec.rate is None or 1000 <= spec.rate <= 384_000, "rate must lie within 1,000 and 384,000 Hz"
    yield spec.trim_db is None or 0 < spec.trim_db <= 200, "trim_db must lie above 0 and be at most 200"
    within = spec.seconds is None or 0 < spec.seconds <= LONGEST_SECONDS
    yield within, f"seconds must lie above 0 and be at most {LONGEST_SECONDS:g}"
