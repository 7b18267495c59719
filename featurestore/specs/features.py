"""The description of a feature: its kind, every number that its values depend on, and what they must satisfy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.drawn import checked_number, checked_truth, checked_whole
from featurestore.specs.operations import OPERATIONS
from featurestore.trusted_code import check_reference

BASE = ("kind", "rate", "dtype", "trim_db", "seconds")

SPECTRAL = (
    "window",
    "window_length",
    "hop_length",
    "fft_length",
    "centred",
    "low_hz",
    "high_hz",
    "eps",
    "decibels",
    "range_db",
)

MEL = ("mels", "mel_scale")

EGEMAPS_BANDS = 25
"""Low-level descriptors of eGeMAPS, version 02 (Eyben et al. 2016)."""


Rules = Iterator[tuple[bool, str]]
"""Whether a spec satisfies a rule, and the rule as a sentence without its full stop."""

MOST_BANDS = 8192


def _no_rules(_spec: FeatureSpec) -> Rules:
    yield from ()


@dataclass(frozen=True, slots=True)
class Kind:
    """What the spec of a kind of features consists of."""

    transform: str
    """The class in `featurestore.signal.kinds` that computes it, as `module:Class`; see `Transform` there."""
    fields: tuple[str, ...]
    """Those that a spec of this kind may set; all others are refused and stand in no address."""
    operations: tuple[str, ...]
    """What computes its rows after decoding, by name in `featurestore.specs.operations.OPERATIONS`."""
    width: Callable[[FeatureSpec], int]
    """Values of a frame."""
    pace: Callable[[FeatureSpec, int], float]
    """Frames a second at a sampling rate, as an estimate for what a build will take."""
    warps: bool = False
    """Whether it has a frequency axis that vocal tract length perturbation can bend."""
    cost: float = 1.0
    """Time that computing a row takes, as a multiple of that of a log-mel row; an estimate too."""
    foreign: bool = False
    """Whether code from outside computes it, which no process should load before it has to."""
    in_torch: bool = False
    """Whether `pipelines.torch_rows` computes it too."""
    rules: Callable[[FeatureSpec], Rules] = _no_rules
    """What its fields must satisfy beyond the rules of all kinds."""

    def __post_init__(self) -> None:
        module, _, name = self.transform.partition(":")
        if not name or find_spec(f"featurestore.signal.kinds.{module}") is None:
            raise TypeError(f"a kind of features names a transform {self.transform!r}, which is no module:Class")
        for operation in self.operations:
            if operation not in OPERATIONS:
                raise TypeError(f"a kind of features names an operation {operation!r}, which has no version")


def kept_bins(spec: FeatureSpec) -> range:
    """Return the bins of the transform that lie within `low_hz` and `high_hz`, both ends included.

    Without a rate both ends are the transform's own.
    """
    bins = spec.fft_length // 2 + 1
    if spec.rate is None:
        return range(bins)
    a_hertz = spec.fft_length / spec.rate
    high = bins - 1 if spec.high_hz is None else math.floor(spec.high_hz * a_hertz + 1e-9)
    return range(math.ceil(spec.low_hz * a_hertz - 1e-9), high + 1)


def _bins(spec: FeatureSpec) -> Rules:
    whole = spec.low_hz == 0 and spec.high_hz is None
    yield spec.rate is not None or whole, "a spectrogram within low_hz and high_hz needs a rate"
    yield len(kept_bins(spec)) > 0, "no bin of the transform lies within low_hz and high_hz"


def _own_function(spec: FeatureSpec) -> Rules:
    try:
        check_reference(spec.function)
    except SpecError as error:
        yield False, str(error).rstrip(".")
    yield (spec.version or 0) >= 1, "a function needs a version, a whole number from 1"
    yield 1 <= (spec.bands or 0) <= MOST_BANDS, f"a function needs bands, 1 to {MOST_BANDS:,}"
    for name, value in spec.settings:
        plain = isinstance(value, str | int | float) and not (isinstance(value, float) and not math.isfinite(value))
        yield plain and str(name).isidentifier(), f"setting {name!r} must be a text, a number or true or false"


def _a_hop(spec: FeatureSpec, rate: int) -> float:
    return rate / spec.hop_length


def _hundred(_spec: FeatureSpec, _rate: int) -> float:
    return 100.0


KINDS = {
    "logmel": Kind(
        "log_power:LogMel",
        (*BASE, *SPECTRAL, *MEL),
        ("stft", "mel", "log"),
        width=lambda spec: spec.mels,
        pace=_a_hop,
        warps=True,
        in_torch=True,
    ),
    "spectrogram": Kind(
        "log_power:Spectrogram",
        (*BASE, *SPECTRAL),
        ("stft", "bins", "log"),
        width=lambda spec: len(kept_bins(spec)),
        pace=_a_hop,
        warps=True,
        rules=_bins,
    ),
    "mfcc": Kind(
        "mfcc:Mfcc",
        (*BASE, *SPECTRAL, *MEL, "coefficients"),
        ("stft", "mel", "log", "dct"),
        width=lambda spec: spec.coefficients or 0,
        pace=_a_hop,
        warps=True,
    ),
    "waveform": Kind("waveform:Waveform", BASE, ("waveform",), width=lambda _: 1, pace=lambda _, rate: float(rate)),
    "egemaps": Kind(
        "egemaps:Egemaps",
        BASE,
        ("egemaps",),
        width=lambda _: EGEMAPS_BANDS,
        pace=_hundred,
        cost=80,
        foreign=True,
    ),
    "function": Kind(
        "custom_function:CustomFunction",
        (*BASE, "function", "version", "bands", "settings"),
        ("function",),
        width=lambda spec: spec.bands or 0,
        pace=_hundred,
        cost=10,
        foreign=True,
        rules=_own_function,
    ),
}
"""Every kind by name."""


LONGEST_SECONDS = 3600.0


def broken_rules(spec: FeatureSpec) -> Iterator[str]:
    """Yield, as a sentence without its full stop, each rule that a spec breaks."""
    groups = (_common, _spectral, KINDS[spec.kind].rules)
    for group in groups:
        yield from (rule for holds, rule in group(spec) if not holds)


def _common(spec: FeatureSpec) -> Rules:
    yield spec.rate is None or 1000 <= spec.rate <= 384_000, "rate must lie within 1,000 and 384,000 Hz"
    yield spec.trim_db is None or 0 < spec.trim_db <= 200, "trim_db must lie above 0 and be at most 200"
    within = spec.seconds is None or 0 < spec.seconds <= LONGEST_SECONDS
    yield within, f"seconds must lie above 0 and be at most {LONGEST_SECONDS:g}"


def _spectral(spec: FeatureSpec) -> Rules:
    half = (spec.rate or 384_000) / 2
    high = spec.high_hz if spec.high_hz is not None else half
    yield 2 <= spec.fft_length <= 65_536 and spec.fft_length % 2 == 0, "fft_length must be even, 2 to 65,536"
    yield 1 <= spec.window_length <= spec.fft_length, "window_length must lie within 1 and fft_length"
    yield 1 <= spec.hop_length <= spec.fft_length, "hop_length must lie within 1 and fft_length"
    yield 1 <= spec.mels <= 1024, "mels must lie within 1 and 1,024"
    yield 0 <= spec.low_hz < high <= half, "low_hz and high_hz must satisfy 0 <= low < high <= rate / 2"
    yield 1e-30 <= spec.eps <= 1, "eps must lie within 1e-30 and 1"
    yield spec.range_db is None or 0 < spec.range_db <= 400, "range_db must lie above 0 and be at most 400"
    yield spec.range_db is None or spec.decibels is not None, "range_db needs decibels, 'absolute' or 'relative'"
    count = spec.coefficients
    yield count is None or 1 <= count <= spec.mels, "coefficients must lie within 1 and mels"


WINDOWS = ("hamming", "hann")

MEL_SCALES = ("htk", "slaney")

DTYPES = ("float16", "float32")

DECIBELS = ("absolute", "relative")

ADDED = ("trim_db", "seconds", "decibels", "range_db", "coefficients", "function", "version", "bands", "settings")
"""Fields that stand in an address only where they are set: rows of the first stores do not name them."""

NUMBERS = ("low_hz", "eps", "high_hz", "trim_db", "seconds", "range_db")
"""Fields that may be given as whole numbers and are kept as floats."""

WHOLE = ("rate", "window_length", "hop_length", "fft_length", "mels", "coefficients", "version", "bands")
"""Fields that may be given as floats such as 128.0 and are kept as whole numbers."""

TRUTHS = ("centred",)
"""Fields that are true or false, and neither 1 nor a text."""

COEFFICIENTS = 20
"""Coefficients that `mfcc` has where none are given, those of librosa."""


CHECKS: dict[str, Callable[[str, Any], float]] = {
    **dict.fromkeys(NUMBERS, checked_number),
    **dict.fromkeys(WHOLE, checked_whole),
    **dict.fromkeys(TRUTHS, checked_truth),
}
"""What reads a field, by its name: it takes what messages call the field, and the value."""


Setting = str | int | float | bool


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A feature, described completely; part of the address of every row computed from it.

    Rows have the shape `[frames, width]`. The kind says which fields describe it (`featurestore.specs.features.KINDS`);
    a field of another kind is refused, so that no two specs describe the same rows.

    - `logmel`: log(power in the mel band + eps), natural logarithm, or decibels; also `mfcc` starts from it.
    - `spectrogram`: the same of each bin of the transform from `low_hz` to `high_hz`.
    - `mfcc`: the first `coefficients` of the orthonormal DCT-II of `logmel`.
    - `waveform`: the samples, one a frame.
    - `egemaps`: the 25 low-level descriptors of eGeMAPS by the openSMILE package, 100 frames a second.
    - `function`: what a function of the user's own returns.
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
    coefficients: int | None = None
    """Cepstral coefficients of `mfcc`, the 0th included, at most `mels`; None is librosa's 20."""
    function: str | None = None
    """The user's own feature as `module:function`; see `featurestore.signal.kinds.custom_function`."""
    version: int | None = None
    """Version of the function, to be raised with every change of what it returns."""
    bands: int | None = None
    """Values of a frame of the function."""
    settings: tuple[tuple[str, Setting], ...] = ()
    """Keyword arguments of the function: texts, numbers and truth values; given as a table."""

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
        for rule in broken_rules(self):
            raise SpecError(f"feature spec: {rule}.")

    def _refuse_foreign(self) -> None:
        for field in dataclasses.fields(self):
            if field.name not in KINDS[self.kind].fields and getattr(self, field.name) != field.default:
                raise SpecError(_foreign(field.name, self.kind))

    def _normalise(self) -> None:
        """Give equal specs equal fields: each number becomes that of its field, a table becomes sorted pairs.

        An address tells 16000 from 16000.0 and 0.0 from -0.0, though they mean the same.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in CHECKS and not (value is None and field.default is None):
                object.__setattr__(self, field.name, CHECKS[field.name](f"feature spec: {field.name}", value))
        object.__setattr__(self, "settings", tuple(sorted(dict(self.settings).items())))
        if self.kind == "mfcc" and self.coefficients is None:
            object.__setattr__(self, "coefficients", min(COEFFICIENTS, self.mels))

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
        fields = {name: getattr(self, name) for name in (field.name for field in dataclasses.fields(self))}
        fields["settings"] = dict(self.settings) or None
        kept = KINDS[self.kind].fields
        return {n: value for n, value in fields.items() if n in kept and (n not in ADDED or value is not None)}

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
            if kind in KINDS and name not in KINDS[kind].fields:
                raise SpecError(_foreign(name, kind))
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise SpecError(f"feature spec: a field has the wrong type ({error}).") from error


def _foreign(field: str, kind: str) -> str:
    owners = [name for name, known in KINDS.items() if field in known.fields]
    return f"feature spec: {field!r} does not belong to kind {kind!r}, but to {', '.join(owners)}: leave it out."
