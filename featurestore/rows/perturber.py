"""What happens to the signal of a copy: the perturbations that were drawn for it, in their one order."""

from __future__ import annotations

from typing import Any

import numpy as np

from featurestore.errors import AudioError, SpecError
from featurestore.perturbations import KINDS
from featurestore.rows.draws import draw
from featurestore.rows.held_recordings import HeldRecordings
from featurestore.rows.source import Source
from featurestore.signal.arrays import Signal
from featurestore.signal.interpolation import interpolation_weights, reading_filters
from featurestore.signal.peak import energy
from featurestore.signal.perturbations.own import apply_own
from featurestore.signal.perturbations.stretch import stretched_samples
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.perturbation import Perturbation

ATTEMPTS = 100
"""Draws of what moves speech before a recording is refused."""
LEAST_KEPT = 0.5
"""Share of the energy of the clean row's signal that a copy has to keep."""


class Workshop:
    """What copies are made with: recordings, tables, and buffers that are reused from row to row."""

    def __init__(self, recordings: HeldRecordings) -> None:
        self.recordings = recordings
        self.weights = interpolation_weights()
        self.filters = reading_filters()
        self._buffers: dict[str, Signal] = {}

    def buffer(self, name: str, samples: int) -> Signal:
        """Return a reused array [samples] whose values are left from an earlier row."""
        held = self._buffers.get(name)
        if held is None or len(held) < samples:
            held = self._buffers[name] = np.empty(samples + samples // 4, np.float32)
        return held[:samples]


class Copy:
    """A copy in the making: what perturbations read, and what they change.

    Parameters
    ----------
    policy : AugmentationSpec
    source : Source
    drawn : Perturbation
        All that happens to it.
    workshop : Workshop
    """

    def __init__(self, policy: AugmentationSpec, source: Source, drawn: Perturbation, workshop: Workshop) -> None:
        self.policy, self.source, self.drawn = policy, source, drawn
        self.recordings, self.buffer = workshop.recordings, workshop.buffer
        self.weights, self.filters = workshop.weights, workshop.filters
        self.signal = source.signal
        self.gain = np.float32(1)
        """Still to be applied to each sample, in float32."""
        self.warping: tuple[float, float] | None = None
        """Of the frequency axis: factor, and where it bends as a share of the upper cut-off frequency."""
        self.single = False
        """Whether its noise hides what float32 loses in a transform."""

    @property
    def signal(self) -> Signal:
        """The signal so far, array [time], float32, perhaps in a buffer that the next copy overwrites."""
        return self._signal

    @signal.setter
    def signal(self, signal: Signal) -> None:
        self._signal = signal
        self.loudest: np.float32 | None = None
        """The largest absolute sample, where whoever made the signal knows it."""
        self._energy: float | None = None

    @property
    def energy(self) -> float:
        """The sum of squares of the signal so far."""
        if self._energy is None:
            self._energy = energy(self._signal)
        return self._energy

    @property
    def samples(self) -> int:
        """Length of the finished copy, as far as the policy tells."""
        return stretched_samples(len(self.source.signal), self.drawn.stretch or 1.0)

    def kept(self, window: int | None) -> float:
        """Return the share of the energy of the clean row's signal that lies in the copy's, which may be above 1.

        Parameters
        ----------
        window : int or None
            Samples that rows are cut to; None keeps all.
        """
        clean = self.source.energy(0, len(self.source.signal) if window is None else window)
        samples = self.samples
        end = samples if window is None else min(window, samples)
        by = round((self.drawn.shift_seconds or 0.0) * self.source.rate)
        if self.drawn.shift_seconds is not None and self.policy.shift_fill == "circular":
            by %= samples
            parts = [(-by, end - by), (samples - by, samples - by + end)]
        else:
            parts = [(-by, end - by)]
        scale = len(self.source.signal)
        found = sum(
            self.source.energy(max(0, a) * scale // samples, min(samples, max(0, b)) * scale // samples)
            for a, b in parts
        )
        return found / clean if clean > 0 else 0.0


class Perturber:
    """Turns the signal of a source into that of a copy.

    Parameters
    ----------
    augmentation : AugmentationSpec or None
        None perturbs nothing.
    recordings : HeldRecordings
        Noises and rooms.
    """

    def __init__(self, augmentation: AugmentationSpec | None, recordings: HeldRecordings) -> None:
        self.augmentation = augmentation
        self._workshop = Workshop(recordings)

    def check(self, source: Source) -> AugmentationSpec:
        """Return the augmentation spec if it can be applied to a source.

        Raises
        ------
        SpecError
            If there is none.
        AudioError
            If the source is silent and a perturbation of the policy is not defined for silence.
        """
        if self.augmentation is None:
            raise SpecError("no augmentation: an engine for augmented rows needs an augmentation spec.")
        if source.silent and any(KINDS[name].needs_sound for name in self.augmentation.drawn):
            raise AudioError("the signal is silent: noise at a ratio to it, or a peak, cannot be set.")
        return self.augmentation

    def shortest(self, source: Source) -> int:
        """Return the samples of a source's shortest copy, as far as the policy tells."""
        rule = self.augmentation.stretch if self.augmentation else None
        factors = rule.values if rule else ()
        return min(stretched_samples(len(source.signal), factor) for factor in (1.0, *factors))

    def drawn(self, source: Source, content: str, number: int, window: int | None) -> tuple[Perturbation, bool]:
        """Return what a copy gets, and whether that is its first draw.

        A copy that keeps less than `LEAST_KEPT` of the energy of the clean row's signal is drawn again, and a piece of
        a noise that would be silence is moved; for a silent source nothing is.

        Raises
        ------
        AudioError
            If no draw of `ATTEMPTS` keeps the speech.
        """
        policy = self.check(source)
        for attempt in range(ATTEMPTS):
            found = draw(policy, content, number, attempt)
            copy = Copy(policy, source, found, self._workshop)
            moves = any(KINDS[name].moves for name in found.values)
            if not moves or source.silent or copy.kept(window) >= LEAST_KEPT:
                settled: dict[str, Any] = {}
                for name, value in found.values.items():
                    settled |= KINDS[name].settled(value, copy)
                return found.changed(settled), not (attempt or settled)
        raise AudioError(
            f"its speech lies so that copy {number} loses it in {ATTEMPTS} draws: allow smaller shifts or stretches."
        )

    def __call__(self, source: Source, perturbation: Perturbation) -> Copy:
        """Return a copy whose signal may lie in a buffer that the next call overwrites.

        Raises
        ------
        AudioError
            As of `check`; or if nothing of the signal is left.
        SpecError
            If a recording or a function of the user cannot be used.
        """
        copy = Copy(self.check(source), source, perturbation, self._workshop)
        values = perturbation.values
        for name, value in values.items():
            if not KINDS[name].last:
                self._apply(name, value, copy)
        for own, key in zip(copy.policy.own, perturbation.own, strict=False):
            if key is not None:
                copy.signal = apply_own(own, copy.signal, source.rate, key)
        for name, value in values.items():
            if KINDS[name].last:
                self._apply(name, value, copy)
        return copy

    def _apply(self, name: str, value: float, copy: Copy) -> None:
        if KINDS[name].needs_sound and not copy.loudest and copy.energy == 0:
            raise AudioError(f"nothing of its signal is left for {name}: what comes before makes it silent.")
        KINDS[name].apply(value, copy)
