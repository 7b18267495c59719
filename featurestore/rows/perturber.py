"""What happens to the signal of a copy, in one fixed order.

Pitch and duration together (one synthesis), time shift, room, recorded noise, white noise, volume, the user's own
functions, peak. What is done to a sound comes before what is done to its recording: the voice, its place in time, the
room around it, noises in that room, the microphone's own noise, its gain, and whatever the user thinks of next. VTLP
acts on the spectrogram and is no part of the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.errors import AudioError, SpecError
from featurestore.rows.held_recordings import HeldRecordings
from featurestore.rows.source import Source
from featurestore.signal.arrays import Signal
from featurestore.signal.interpolation import blocks_of, interpolate, interpolation_weights, lanes_length, reach
from featurestore.signal.noise import add_scaled, key_words, noise_gain, standard_normal
from featurestore.signal.peak import energy, largest, peak_gain
from featurestore.signal.perturbations.own import apply_own
from featurestore.signal.perturbations.recorded_noise import cut_noise, noise_start
from featurestore.signal.perturbations.reverberation import reverberant
from featurestore.signal.perturbations.stretch import stretch_steps, stretched_samples, synthesis_steps
from featurestore.signal.perturbations.volume import volume_gain
from featurestore.signal.pitch_grid import PITCH_GRID, pitch_steps
from featurestore.signal.shift import shift, shift_samples
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.perturbation import Perturbation


@dataclass(frozen=True, slots=True)
class Levelled:
    """A perturbed signal and the gain that is still to be applied to it, in float32, sample by sample."""

    signal: Signal
    gain: np.float32


class Perturber:
    """Turns the signal of a source into that of a copy; it owns buffers that are reused from row to row.

    Parameters
    ----------
    augmentation : AugmentationSpec or None
        None perturbs nothing.
    recordings : HeldRecordings
        Noises and rooms.
    """

    def __init__(self, augmentation: AugmentationSpec | None, recordings: HeldRecordings) -> None:
        self.augmentation = augmentation
        self._recordings = recordings
        self._buffers: dict[str, Signal] = {}
        self._weights = interpolation_weights()

    def check(self, source: Source) -> AugmentationSpec:
        """Return the augmentation spec if it can be applied to a source.

        Raises
        ------
        SpecError
            If there is none.
        AudioError
            If the source is silent and the policy has noise or a peak.
        """
        if self.augmentation is None:
            raise SpecError("no augmentation: an engine for augmented rows needs an augmentation spec.")
        chosen = self.augmentation
        if (chosen.snr_db or chosen.recorded_snr_db or chosen.peak) and source.silent:
            raise AudioError("the signal is silent: noise at a ratio to it, or a peak, cannot be set.")
        return chosen

    def shortest(self, source: Source) -> int:
        """Return the samples of a source's shortest copy, as far as the policy tells."""
        rule = self.augmentation.stretch if self.augmentation else None
        factors = rule.values if rule else ()
        return min(stretched_samples(len(source.signal), factor) for factor in (1.0, *factors))

    def __call__(self, source: Source, perturbation: Perturbation) -> Levelled:
        """Return the signal of a copy, in a buffer that the next call overwrites; errors as in `check`.

        Raises
        ------
        SpecError
            If a recording or a function of the user cannot be used.
        """
        augmentation = self.check(source)
        signal = self._voiced(source, perturbation)
        if perturbation.shift_seconds is not None:
            by = shift_samples(perturbation.shift_seconds, source.rate, len(signal))
            shifted = self._buffer("shifted", len(signal))
            shift(signal, by, augmentation.shift_fill == "circular", shifted)
            signal = shifted
        if perturbation.reverb is not None and perturbation.rir is not None:
            signal = self._in_room(signal, source.rate, perturbation.rir, perturbation.reverb)
        found = None
        if perturbation.recorded_snr_db is not None and perturbation.noise is not None:
            noise = self._recordings.noise(perturbation.noise, source.rate)
            signal, found = self._mixed(signal, noise, perturbation.noise_position, perturbation.recorded_snr_db)
        if perturbation.snr_db is not None:
            signal, found = self._noisy(signal, perturbation.snr_db, perturbation.noise_key)
        if perturbation.gain_db is not None or any(key is not None for key in perturbation.own):
            signal, found = self._changed(signal, source.rate, perturbation), None
        if perturbation.peak is None:
            return Levelled(signal, np.float32(1))
        return Levelled(signal, peak_gain(float(largest(signal) if found is None else found), perturbation.peak))

    def _voiced(self, source: Source, perturbation: Perturbation) -> Signal:
        """Return the signal at its pitch and duration."""
        if perturbation.stretch is not None:
            return self._stretched(source, perturbation.stretch, perturbation.semitones)
        if perturbation.semitones is not None:
            steps, samples = pitch_steps(perturbation.semitones), len(source.signal)
            return self._read(source.vocoder.stretch(source.analysis, steps, samples), steps, samples)
        return source.signal

    def _stretched(self, source: Source, factor: float, semitones: float | None) -> Signal:
        """Return the signal with another duration and, in the same synthesis, another pitch."""
        samples, length = len(source.signal), stretched_samples(len(source.signal), factor)
        if semitones is None:
            return source.vocoder.lengthen(source.even_analysis, stretch_steps(factor), samples, length)
        reading = pitch_steps(semitones)
        steps = synthesis_steps(factor, reading)
        stretched = source.vocoder.stretch(source.analysis, steps, samples, reading, reach(length, reading))
        return self._read(stretched, reading, length)

    def _read(self, stretched: Signal, steps: int, samples: int) -> Signal:
        """Read a stretched signal steps / 2048 times as fast."""
        pitched = self._buffer("pitched", blocks_of(samples) * PITCH_GRID)
        interpolate(stretched, steps, self._weights, self._buffer("lanes", lanes_length(steps)), pitched)
        return pitched[:samples]

    def _in_room(self, signal: Signal, rate: int, rir: str, share: float) -> Signal:
        room = self._buffer("room", len(signal))
        reverberant(signal, self._recordings.room(rir, rate), share, room)
        return room

    def _mixed(self, signal: Signal, noise: Signal, position: float, snr_db: float) -> tuple[Signal, np.float32]:
        """Add a piece of a recorded noise; return the sum and its largest absolute sample. Silence adds nothing."""
        mixed = self._buffer("mixed", len(signal))
        cut_noise(noise, noise_start(position, len(noise), len(signal)), mixed)
        signal_energy, noise_energy = energy(signal), energy(mixed)
        if signal_energy == 0 or noise_energy == 0:
            mixed[:] = signal
            return mixed, largest(signal)
        return mixed, add_scaled(signal, mixed, noise_gain(signal_energy, noise_energy, snr_db))

    def _noisy(self, signal: Signal, snr_db: float, noise_key: int) -> tuple[Signal, np.float32]:
        """Add noise; return the sum and its largest absolute sample. A signal that was shifted away stays silent."""
        signal_energy = energy(signal)
        noisy = self._buffer("noisy", len(signal))
        if signal_energy == 0:
            noisy[:] = signal
            return noisy, largest(signal)
        noise_energy = standard_normal(key_words(noise_key), noisy)
        return noisy, add_scaled(signal, noisy, noise_gain(signal_energy, noise_energy, snr_db))

    def _changed(self, signal: Signal, rate: int, perturbation: Perturbation) -> Signal:
        """Return the signal at its volume and after the functions of the user."""
        if perturbation.gain_db is not None:
            louder = self._buffer("louder", len(signal))
            np.multiply(signal, volume_gain(perturbation.gain_db), out=louder)
            signal = louder
        functions = self.augmentation.own if self.augmentation else ()
        for own, key in zip(functions, perturbation.own, strict=False):
            if key is not None:
                signal = apply_own(own, signal, rate, key)
        return signal

    def _buffer(self, name: str, samples: int) -> Signal:
        """Return a reused array [samples] whose values are left from an earlier row."""
        held = self._buffers.get(name)
        if held is None or len(held) < samples:
            held = self._buffers[name] = np.empty(samples + samples // 4, np.float32)
        return held[:samples]
