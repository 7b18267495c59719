"""What happens to the signal of a copy: the perturbations that were drawn for it, in their one order."""

from __future__ import annotations

from typing import Any

import numpy as np

from featurestore.errors import AudioError, FeatureStoreError, SpecError
from featurestore.perturbations import KINDS
from featurestore.rows.copies import Copy, Workshop
from featurestore.rows.decoded_recording import DecodedRecording
from featurestore.rows.draws import draw
from featurestore.rows.recording_cache import RecordingCache
from featurestore.signal.arrays import LOUDEST, Signal
from featurestore.signal.pitch_grid import stretched_samples
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.custom import CustomPerturbation
from featurestore.specs.perturbation import Perturbation
from featurestore.trusted_code import trusted_function

ATTEMPTS = 100
"""Draws of what moves speech before a recording is refused."""

LEAST_KEPT = 0.5
"""Share of the energy of the clean row's signal that a copy has to keep."""


class Perturber:
    """Turns the signal of a source into that of a copy.

    Parameters
    ----------
    augmentation : AugmentationSpec or None
        None perturbs nothing.
    recordings : RecordingCache
        Noises and rooms.
    """

    def __init__(self, augmentation: AugmentationSpec | None, recordings: RecordingCache) -> None:
        self.augmentation = augmentation
        self._workshop = Workshop(recordings)

    def check(self, source: DecodedRecording) -> AugmentationSpec:
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

    def shortest(self, source: DecodedRecording) -> int:
        """Return the samples of a source's shortest copy, as far as the policy tells."""
        rule = self.augmentation.stretch if self.augmentation else None
        factors = rule.values if rule else ()
        return min(stretched_samples(len(source.signal), factor) for factor in (1.0, *factors))

    def drawn(
        self, source: DecodedRecording, content: str, number: int, window: int | None
    ) -> tuple[Perturbation, bool]:
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

    def __call__(self, source: DecodedRecording, perturbation: Perturbation) -> Copy:
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
        for custom, key in zip(copy.policy.own, perturbation.own, strict=False):
            if key is not None:
                copy.signal = apply_custom(custom, copy.signal, source.rate, key)
        for name, value in values.items():
            if KINDS[name].last:
                self._apply(name, value, copy)
        return copy

    def _apply(self, name: str, value: float, copy: Copy) -> None:
        if KINDS[name].needs_sound and not copy.loudest and copy.energy == 0:
            raise AudioError(f"nothing of its signal is left for {name}: what comes before makes it silent.")
        KINDS[name].apply(value, copy)


def apply_custom(custom: CustomPerturbation, signal: Signal, rate: int, key: int) -> Signal:
    """Return what a user's function makes of a signal, array [time].

    Parameters
    ----------
    custom : CustomPerturbation
    signal : array [time], float32
        The function gets a copy.
    rate : int
        Samples a second.
    key : int
        Key of its random numbers.

    Raises
    ------
    SpecError
        If its module is not trusted, it fails, or what it returns is no signal.
    """
    rng = np.random.Generator(np.random.Philox(key=key))
    try:
        found = trusted_function(custom.function)(signal.copy(), rate, rng, **custom.settings)
    except FeatureStoreError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit() would end the worker, for every recording
        reason = str(error).partition("\n")[0]
        raise SpecError(f"perturbation {custom.function!r} failed with {type(error).__name__}: {reason}.") from error
    fault = _fault(found)
    if fault:
        raise SpecError(
            f"perturbation {custom.function!r} returned {fault}: it must return an array [time] of finite float32."
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
