"""From the bytes of a recording to one row of features: all that the values of a row depend on.

A row depends on its recording and its own perturbation alone. Which rows were computed before it changes no bit:
buffers are reused but every value read was written for the same row, and no sum's order depends on how many rows
there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import numpy as np

from featurestore.errors import AudioError, FeatureStoreError, SpecError
from featurestore.features import FEATURES
from featurestore.features.kind import Transform
from featurestore.perturbations import PERTURBATIONS, RECORDINGS
from featurestore.perturbations.policy_tables import OwnPerturbation
from featurestore.segments import WHOLE, ReadBytes, Segment
from featurestore.signal.arrays import LOUDEST, MAX_SECONDS, Row, Signal, counted_seconds
from featurestore.signal.audio import Recording, resample
from featurestore.signal.copies import Copy, Workspace
from featurestore.signal.guarded import GuardedDecoder
from featurestore.signal.kernels.rounding import stored
from featurestore.signal.pitch_grid import stretched_samples
from featurestore.signal.recordings import DecodedRecording, RecordingCache
from featurestore.signal.timing import fit_length, sounding
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import check_together
from featurestore.trusted_code import trusted_function

ATTEMPTS = 100
"""Draws of what moves speech before a recording is refused."""
LEAST_KEPT = 0.5
"""Share of the energy of the clean row's signal that a copy has to keep."""


class Draw(NamedTuple):
    """What one augmented copy gets."""

    perturbation: Perturbation
    first: bool
    """Whether it is what `draw` returns for the first attempt; otherwise the record of its shard says what changed."""


class Engine(Protocol):
    """What computes rows: `RowEngine` here, or one that lives on another device."""

    @property
    def recordings_at_once(self) -> int:
        """Preferred number of recordings per call of `rows`."""

    def load(self, data: bytes, segment: Segment = WHOLE, max_seconds: float = MAX_SECONDS) -> DecodedRecording:
        """Decode a recording from a file's bytes, or a segment of it, and bring it to the rate of the features.

        `AudioError` if the file cannot be decoded, is shorter than one window, has a rate below what the bands need, or
        has no such segment.
        """

    def load_segments(
        self, data: bytes, segments: Sequence[Segment], max_seconds: float = MAX_SECONDS
    ) -> list[DecodedRecording | AudioError]:
        """Decode segments of one recording in one pass; each is resampled as if it were a file of its own.

        The list has the reason in place of one that cannot become rows; an error of the file is raised.
        """

    def check(self, recording: DecodedRecording) -> AugmentationSpec:
        """Return the augmentation spec if it can be applied to a recording; `AudioError` if silent or too short."""

    def draw_perturbation(self, recording: DecodedRecording, content: str, copy: int) -> Draw:
        """Draw what a copy of a recording gets.

        A copy that keeps less than `LEAST_KEPT` of the energy of the clean row's signal is drawn again, and a piece of
        a noise that would be silence is moved; for a silent recording nothing is. `AudioError` if no draw of `ATTEMPTS`
        keeps the speech.
        """

    def rows(self, wanted: Sequence[tuple[DecodedRecording, Perturbation | None]]) -> list[Row]:
        """Return the rows of recordings that have been checked; clean ones where the perturbation is None."""


class RowEngine:
    """Computes the rows of one pair of feature and augmentation spec; methods as of `Engine`.

    It owns tables and reused buffers; each process or thread makes its own.

    Parameters
    ----------
    features : FeatureSpec
    augmentation : AugmentationSpec or None
        None computes clean rows only.
    recordings : callable, optional
        Returns the bytes of a noise or room response by its sha256, as `Store.original` does; policies without any
        need none.
    """

    recordings_at_once = 1
    """One recording after the other, so that the analysis of each can be freed."""

    def __init__(
        self, features: FeatureSpec, augmentation: AugmentationSpec | None = None, recordings: ReadBytes | None = None
    ) -> None:
        check_together(features, augmentation)
        self.features = features
        self.augmentation = augmentation
        self._decoder = GuardedDecoder()
        self._workspace = Workspace(RecordingCache(recordings, self._decoder))
        self._transforms: dict[int, Transform] = {}

    def load(self, data: bytes, segment: Segment = WHOLE, max_seconds: float = MAX_SECONDS) -> DecodedRecording:
        """Decode a recording, or a segment of it."""
        (found,) = self.load_segments(data, (segment,), max_seconds)
        if isinstance(found, AudioError):
            raise found
        return found

    def load_segments(
        self, data: bytes, segments: Sequence[Segment], max_seconds: float = MAX_SECONDS
    ) -> list[DecodedRecording | AudioError]:
        """Decode segments of one recording in one pass."""
        recordings: list[DecodedRecording | AudioError] = []
        for found in self._decoder.decode_segments(data, segments, max_seconds):
            try:
                recordings.append(found if isinstance(found, AudioError) else self.prepare_recording(found))
            except AudioError as error:
                recordings.append(error)
        return recordings

    def prepare_recording(self, recording: Recording) -> DecodedRecording:
        """Take a decoded recording, resampled and trimmed for the features; errors as of `load`."""
        recorded_rate = recording.rate
        seconds = counted_seconds(len(recording.signal), recorded_rate)
        if self.features.rate is not None:
            recording = resample(recording, self.features.rate)
        signal, start = recording.signal, 0
        if self.features.trim_db is not None:
            kept = sounding(signal, self.features.trim_db)
            signal, start = signal[kept], kept.start
        highest = max(self.features.low_hz, self.features.high_hz or 0.0)
        if highest > recording.rate / 2:
            raise AudioError(f"a rate of {recording.rate} Hz is too low for features up to {highest:g} Hz.")
        self._check_length(recording.rate, len(signal))
        return DecodedRecording(signal, recording.rate, recorded_rate, start, seconds)

    def check(self, recording: DecodedRecording) -> AugmentationSpec:
        """Return the augmentation spec if it can be applied to a recording."""
        policy = self._policy(recording)
        factors = policy.stretch.values if policy.stretch else ()
        shortest = min(stretched_samples(len(recording.signal), factor) for factor in (1.0, *factors))
        self._check_length(recording.rate, shortest)
        return policy

    def _policy(self, recording: DecodedRecording) -> AugmentationSpec:
        """Return the augmentation spec if there is one and each of its perturbations is defined for the recording."""
        if self.augmentation is None:
            raise SpecError("no augmentation: an engine for augmented rows needs an augmentation spec.")
        if recording.silent and any(PERTURBATIONS[name].needs_sound for name in self.augmentation.distributions):
            raise AudioError("the signal is silent: noise at a ratio to it, or a peak, cannot be set.")
        return self.augmentation

    def _check_length(self, rate: int, samples: int) -> None:
        given = self.features.samples(rate) if samples else None
        self._transform(rate).check(samples if given is None else given)

    def draw_perturbation(self, recording: DecodedRecording, content: str, copy: int) -> Draw:
        """Draw what a copy of a recording gets."""
        policy = self._policy(recording)
        window = self.features.samples(recording.rate)
        for attempt in range(ATTEMPTS):
            found = draw(policy, content, copy, attempt)
            made = Copy(policy, recording, found, self._workspace)
            moves = any(PERTURBATIONS[name].moves for name in found.values)
            if not moves or recording.silent or made.kept(window) >= LEAST_KEPT:
                settled: dict[str, Any] = {}
                for name, value in found.values.items():
                    settled |= PERTURBATIONS[name].settled(value, made)
                return Draw(found.changed(settled), first=not (attempt or settled))
        raise AudioError(
            f"copy {copy} loses its speech in each of {ATTEMPTS} draws: allow smaller shifts or stretches."
        )

    def rows(self, wanted: Sequence[tuple[DecodedRecording, Perturbation | None]]) -> list[Row]:
        """Return rows, one after the other."""
        return [
            self.clean(recording) if perturbation is None else self.augmented(recording, perturbation)
            for recording, perturbation in wanted
        ]

    def clean(self, recording: DecodedRecording) -> Row:
        """Return the row of the recording as it is, array [frames, width] in the dtype of the features."""
        return self._row(recording, recording.signal, np.float32(1), np.float64, None)

    def augmented(self, recording: DecodedRecording, perturbation: Perturbation) -> Row:
        """Return the row of one augmented copy, array [frames, width] in the dtype of the features.

        `AudioError` if the recording is silent and the policy has noise or a peak, nothing of the signal is left, or a
        number does not fit the dtype; `SpecError` if a recording or a function of the policy cannot be used.
        """
        copy = self._perturbed(recording, perturbation)
        precision = np.float32 if copy.single else np.float64
        return self._row(recording, copy.signal, copy.gain, precision, copy.warping)

    def waveform(self, recording: DecodedRecording, perturbation: Perturbation | None) -> Signal:
        """Return the signal that a row is computed from, array [time], float32; None is the clean row.

        It has the length that the features set, if any. VTLP leaves it unchanged: it acts on the spectrogram.
        """
        signal, gain = recording.signal, np.float32(1)
        if perturbation is not None:
            copy = self._perturbed(recording, perturbation)
            signal, gain = copy.signal, copy.gain
        return fit_length(signal, self.features.samples(recording.rate)) * gain

    def _perturbed(self, recording: DecodedRecording, perturbation: Perturbation) -> Copy:
        """Return a copy whose signal may lie in a buffer that the next call overwrites."""
        copy = Copy(self._policy(recording), recording, perturbation, self._workspace)
        values = perturbation.values
        _apply({name: value for name, value in values.items() if not PERTURBATIONS[name].last}, copy)
        for own, key in zip(copy.policy.own, perturbation.own, strict=False):
            if key is not None:
                copy.signal = apply_own(own, copy.signal, recording.rate, key)
        _apply({name: value for name, value in values.items() if PERTURBATIONS[name].last}, copy)
        if any(key is not None for key in perturbation.own):
            try:
                self._check_length(recording.rate, len(copy.signal))
            except AudioError as error:
                raise SpecError(f"after the policy's own functions a copy is {error}") from error
            if copy.energy == 0 and not recording.silent:
                raise AudioError("the policy's own functions leave no signal.")
        return copy

    def _row(
        self,
        recording: DecodedRecording,
        signal: Signal,
        gain: np.float32,
        precision: type[np.floating],
        warping: tuple[float, float] | None,
    ) -> Row:
        fitted = fit_length(signal, self.features.samples(recording.rate))
        return stored(self._transform(recording.rate)(fitted, gain, precision, warping), self.features.dtype)

    def _transform(self, rate: int) -> Transform:
        if rate not in self._transforms:
            self._transforms[rate] = FEATURES[self.features.kind].transform(self.features, rate)
        return self._transforms[rate]


def _apply(values: Mapping[str, float], copy: Copy) -> None:
    for name, value in values.items():
        if PERTURBATIONS[name].needs_sound and not copy.loudest and copy.energy == 0:
            raise AudioError(f"no signal is left for {name}: the perturbations before it make the copy silent.")
        PERTURBATIONS[name].apply(value, copy)


def apply_own(own: OwnPerturbation, signal: Signal, rate: int, key: int) -> Signal:
    """Return what a user's function makes of a copy of a signal, array [time], with `key` for its random numbers.

    `SpecError` if its module is not trusted, it fails, or what it returns is no signal.
    """
    rng = np.random.Generator(np.random.Philox(key=key))
    try:
        found = trusted_function(own.function)(signal.copy(), rate, rng, **own.settings)
    except FeatureStoreError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit() would end the worker, for every recording
        reason = str(error).partition("\n")[0]
        raise SpecError(f"perturbation {own.function!r} failed with {type(error).__name__}: {reason}.") from error
    fault = _fault(found)
    if fault:
        raise SpecError(
            f"perturbation {own.function!r} returned {fault}: it must return an array [time] of finite float32."
        )
    return np.ascontiguousarray(found)


def _fault(found: object) -> str:
    """Say what is wrong with a returned signal; nothing if it is sound."""
    if not isinstance(found, np.ndarray):
        return f"a {type(found).__name__}"
    if found.dtype != np.float32 or found.ndim != 1:
        return f"an array {list(found.shape)} of {found.dtype}"
    if not len(found):
        return "no sample"
    loudest = float(np.max(np.abs(found)))
    if not np.isfinite(loudest):
        return "samples that are not finite"
    return f"samples up to {loudest:.3g}" if loudest > LOUDEST else ""


def warm(features: FeatureSpec, augmentation: AugmentationSpec | None = None) -> None:
    """Compile, or load from the cache on disk, all that rows of a spec need.

    Compiling takes seconds the first time on a machine; a worker does it before its first row, or a parent before it
    forks, so that no measured or watched task pays for it.
    """
    rate = features.rate or 16_000
    time = np.arange(max(2 * features.fft_length, rate // 10)) / rate
    signal = np.sin(2 * np.pi * 0.05 * rate * time).astype(np.float32)
    engine = RowEngine(features, augmentation)
    recording = engine.prepare_recording(Recording(signal, rate))
    foreign = FEATURES[features.kind].foreign
    if not foreign:
        engine.clean(recording)
    if augmentation is None:
        return
    typical = {
        name: (min(rule.values) + max(rule.values)) / 2
        for name, rule in augmentation.distributions.items()
        if name not in RECORDINGS
    }
    for left_out in (None, *typical):  # what is left out lets other kernels in
        perturbation = Perturbation(**{name: value for name, value in typical.items() if name != left_out})
        with suppress(AudioError):  # a policy that does not suit this tone
            (engine.waveform if foreign else engine.augmented)(recording, perturbation)
