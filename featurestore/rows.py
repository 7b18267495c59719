"""From the bytes of a recording to one row of features: all that the values of a row depend on.

A row depends on its recording and its own perturbation alone. Which rows were computed before it changes no bit:
buffers are reused but every value read was written for the same row, and no sum's order depends on how many rows
there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from featurestore.errors import AudioError, SpecError
from featurestore.signal.arrays import Row, Signal
from featurestore.signal.audio import Recording, resample
from featurestore.signal.guarded import GuardedDecoder
from featurestore.signal.interpolation import blocks_of, interpolate, interpolation_weights, lanes_length
from featurestore.signal.noise import add_scaled, key_words, noise_gain, standard_normal
from featurestore.signal.peak import energy, largest, peak_gain
from featurestore.signal.pitch_grid import PITCH_GRID, pitch_steps
from featurestore.signal.rounding import round_to_half
from featurestore.signal.shift import shift, shift_samples
from featurestore.signal.stft import frame_count
from featurestore.signal.transform import LogMel
from featurestore.signal.trim import trim
from featurestore.signal.vocoder import Analysis, Vocoder, vocoder_length
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.perturbation import Perturbation

SINGLE_BELOW_DB = 60.0
"""Rows whose noise is at least this strong are transformed in float32: its rounding lies 60 dB further down."""


@dataclass(frozen=True, eq=False)
class Source:
    """A decoded recording at the rate of its features, with what its copies share, computed on first use."""

    signal: Signal
    """Array [time], float32."""
    rate: int
    """Samples a second."""
    vocoder: Vocoder = field(repr=False)
    """What shifts the pitch at this rate; shared by the sources of an engine."""

    @cached_property
    def analysis(self) -> Analysis:
        """The spectra that pitch shifts start from."""
        return self.vocoder.analyse(self.signal)

    @cached_property
    def silent(self) -> bool:
        """True if the signal has no power: no noise can stand in a ratio to it."""
        return energy(self.signal) == 0


@dataclass(frozen=True, slots=True)
class Levelled:
    """A perturbed signal and the gain that is still to be applied to it, in float32, sample by sample."""

    signal: Signal
    gain: np.float32


class Engine(Protocol):
    """What computes rows: `RowEngine` here, or one that lives on another device."""

    @property
    def sources_at_once(self) -> int:
        """Sources whose rows it is best given together."""

    def load(self, data: bytes) -> Source:
        """Decode a recording from a file's bytes; `AudioError` if it cannot become rows."""

    def check(self, source: Source) -> AugmentationSpec:
        """Return the augmentation spec; `AudioError` if it cannot be applied to a source."""

    def rows(self, wanted: Sequence[tuple[Source, Perturbation | None]]) -> list[Row]:
        """Return the rows of sources that have been checked; clean ones where the perturbation is None."""


class RowEngine:
    """Computes the rows of one pair of feature and augmentation spec.

    It owns tables and reused buffers; each process or thread makes its own.

    Parameters
    ----------
    features : FeatureSpec
    augmentation : AugmentationSpec or None
        None computes clean rows only.
    """

    sources_at_once = 1
    """One source after the other, so that its analysis can be let go of."""

    def __init__(self, features: FeatureSpec, augmentation: AugmentationSpec | None = None) -> None:
        self.features = features
        self.augmentation = augmentation
        self._decoder = GuardedDecoder()
        self._buffers: dict[str, Signal] = {}
        self._log_mel: dict[int, LogMel] = {}
        self._vocoders: dict[int, Vocoder] = {}
        self._weights = interpolation_weights()

    def load(self, data: bytes) -> Source:
        """Decode a recording from a file's bytes and bring it to the rate of the features.

        Raises
        ------
        AudioError
            If the file cannot be decoded, is shorter than one window, or has a rate below what the bands need.
        """
        recording = self._decoder.decode(data)
        if self.features.rate is not None:
            recording = resample(recording, self.features.rate)
        return self.source(recording)

    def source(self, recording: Recording) -> Source:
        """Take a decoded recording at the rate of the features, trimmed if they say so; errors as in `load`."""
        signal = recording.signal
        if self.features.trim_db is not None:
            signal = trim(signal, self.features.trim_db)
        frame_count(self.features, len(signal))
        highest = max(self.features.low_hz, self.features.high_hz or 0.0)
        if highest > recording.rate / 2:
            raise AudioError(f"a rate of {recording.rate} Hz is too low for features up to {highest:g} Hz.")
        length = vocoder_length(recording.rate)
        if length not in self._vocoders:
            self._vocoders[length] = Vocoder(length)
        return Source(signal, recording.rate, self._vocoders[length])

    def frames(self, source: Source) -> int:
        """Return the number of frames of each row of a source."""
        return frame_count(self.features, len(source.signal))

    def rows(self, wanted: Sequence[tuple[Source, Perturbation | None]]) -> list[Row]:
        """Return rows, one after the other: clean ones where the perturbation is None, else augmented ones."""
        return [self.clean(source) if one is None else self.augmented(source, one) for source, one in wanted]

    def clean(self, source: Source) -> Row:
        """Return the row of the recording as it is, array [frames, mels] in the dtype of the features."""
        return self._row(source, Levelled(source.signal, np.float32(1)), np.float64, None)

    def augmented(self, source: Source, perturbation: Perturbation) -> Row:
        """Return the row of one augmented copy, array [frames, mels] in the dtype of the features.

        Raises
        ------
        AudioError
            If the source is silent and the policy has noise or a peak.
        """
        snr_db = perturbation.snr_db
        single = snr_db is not None and snr_db <= SINGLE_BELOW_DB
        levelled = self._perturbed(source, perturbation)
        return self._row(source, levelled, np.float32 if single else np.float64, perturbation.vtlp_alpha)

    def waveform(self, source: Source, perturbation: Perturbation | None) -> Signal:
        """Return the signal that a row is computed from, array [time], float32; None is the clean row.

        VTLP leaves it unchanged: it acts on the spectrogram.
        """
        if perturbation is None:
            return source.signal.copy()
        levelled = self._perturbed(source, perturbation)
        return levelled.signal * levelled.gain

    def _perturbed(self, source: Source, perturbation: Perturbation) -> Levelled:
        augmentation = self.check(source)
        signal = source.signal
        if perturbation.semitones is not None:
            signal = self._pitched(source, pitch_steps(perturbation.semitones))
        if perturbation.shift_seconds is not None:
            by = shift_samples(perturbation.shift_seconds, source.rate, len(signal))
            shifted = self._buffer("shifted", len(signal))
            shift(signal, by, augmentation.shift_fill == "circular", shifted)
            signal = shifted
        found = None
        if perturbation.snr_db is not None:
            signal, found = self._noisy(signal, perturbation.snr_db, perturbation.noise_key)
        if perturbation.peak is None:
            return Levelled(signal, np.float32(1))
        return Levelled(signal, peak_gain(float(largest(signal) if found is None else found), perturbation.peak))

    def check(self, source: Source) -> AugmentationSpec:
        """Return the augmentation spec if it can be applied to a source; errors as in `augmented`."""
        if self.augmentation is None:
            raise SpecError("no augmentation: an engine for augmented rows needs an augmentation spec.")
        if (self.augmentation.snr_db or self.augmentation.peak) and source.silent:
            raise AudioError("the signal is silent: noise at a ratio to it, or a peak, cannot be set.")
        return self.augmentation

    def _pitched(self, source: Source, steps: int) -> Signal:
        samples = len(source.signal)
        stretched = source.vocoder.stretch(source.analysis, steps, samples)
        pitched = self._buffer("pitched", blocks_of(samples) * PITCH_GRID)
        interpolate(stretched, steps, self._weights, self._buffer("lanes", lanes_length(steps)), pitched)
        return pitched[:samples]

    def _noisy(self, signal: Signal, snr_db: float, noise_key: int) -> tuple[Signal, np.float32]:
        """Add noise; return the sum and its largest absolute sample. A signal that was shifted away stays silent."""
        signal_energy = energy(signal)
        noisy = self._buffer("noisy", len(signal))
        if signal_energy == 0:
            noisy[:] = signal
            return noisy, largest(signal)
        noise_energy = standard_normal(key_words(noise_key), noisy)
        return noisy, add_scaled(signal, noisy, noise_gain(signal_energy, noise_energy, snr_db))

    def _row(self, source: Source, levelled: Levelled, precision: type[np.floating], vtlp_alpha: float | None) -> Row:
        if source.rate not in self._log_mel:
            self._log_mel[source.rate] = LogMel(self.features, source.rate)
        log_mel = self._log_mel[source.rate]
        bend = self.augmentation.vtlp_f0 if self.augmentation else 1.0
        row = log_mel(levelled.signal, levelled.gain, precision, None if vtlp_alpha is None else (vtlp_alpha, bend))
        if self.features.dtype == "float32":
            return row
        halves = np.empty(row.shape, np.float16)
        round_to_half(row.reshape(-1), halves.reshape(-1).view(np.uint16))
        return halves

    def _buffer(self, name: str, samples: int) -> Signal:
        """Return a reused array [samples] whose values are left from an earlier row."""
        held = self._buffers.get(name)
        if held is None or len(held) < samples:
            held = self._buffers[name] = np.empty(samples + samples // 4, np.float32)
        return held[:samples]


def warm(features: FeatureSpec, augmentation: AugmentationSpec | None = None) -> None:
    """Compile, or load from the cache on disk, all that rows of a spec need.

    Compiling takes seconds the first time on a machine; a worker does it before its first row, or a parent before it
    forks, so that no measured or watched task pays for it.
    """
    rate = features.rate or 16_000
    time = np.arange(2 * features.fft_length) / rate
    signal = np.sin(2 * np.pi * 0.05 * rate * time).astype(np.float32)
    engine = RowEngine(features, augmentation)
    source = engine.source(Recording(signal, rate))
    engine.clean(source)
    if augmentation is None:
        return
    for snr_db in (20.0, None) if augmentation.snr_db else (None,):
        perturbation = Perturbation(
            semitones=1.0 if augmentation.semitones else None,
            shift_seconds=0.01,
            snr_db=snr_db,
            vtlp_alpha=1.05 if augmentation.vtlp_alpha else None,
            peak=1.0,
        )
        engine.augmented(source, perturbation)
