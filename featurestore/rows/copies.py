"""A copy in the making: its random numbers, and its signal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from featurestore.errors import SpecError
from featurestore.rows.recordings import DecodedRecording, RecordingCache
from featurestore.signal.arrays import Signal
from featurestore.signal.interpolation import interpolation_weights, reading_filters
from featurestore.signal.kernels.level import energy
from featurestore.signal.pitch_grid import stretched_samples
from featurestore.specs.policy_tables import Drawn
from featurestore.specs.registry import Declared


class Workspace:
    """What copies are made with: recordings, tables, and buffers that are reused from row to row."""

    def __init__(self, recordings: RecordingCache) -> None:
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

    `policy` is an `AugmentationSpec`, and `drawn` the `Perturbation` with all that happens to the copy.
    """

    def __init__(self, policy: Declared, source: DecodedRecording, drawn: Declared, workspace: Workspace) -> None:
        self.policy, self.source, self.drawn = policy, source, drawn
        self.recordings, self.buffer = workspace.recordings, workspace.buffer
        self.weights, self.filters = workspace.weights, workspace.filters
        self.signal = source.signal
        self.gain = np.float32(1)
        """Still to be applied to each sample, in float32."""
        self.warping: tuple[float, float] | None = None
        """Warp of the frequency axis: factor, and where it bends as a share of the upper cut-off frequency."""
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
        """Length of the finished copy, as far as the policy determines it."""
        return stretched_samples(len(self.source.signal), self.drawn.stretch or 1.0)

    def kept(self, window: int | None) -> float:
        """Return the share of the energy of the clean row's signal that lies in the copy's, which may be above 1.

        Rows are cut to `window` samples; None keeps all.
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


@dataclass(frozen=True, slots=True)
class CopyDraws:
    """The random numbers of one copy, by their purpose."""

    policy: Declared
    content: str
    copy: int
    attempt: int = 0

    def words(self, purpose: str, *, shared: bool = False) -> tuple[int, int]:
        """Return two independent whole numbers of 64 bits, the first sixteen bytes of a sha256.

        With `shared` they come from a digest without the content: all recordings share them.
        """
        whose = f"{self.copy}" if shared or not self.content else f"{self.content}/{self.copy}"
        digest = hashlib.sha256(f"{self.policy.seed}/{whose}/{purpose}".encode("ascii")).digest()
        return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")

    def value(self, name: str, rule: Drawn, *, moves: bool) -> float | None:
        """Decide whether a perturbation is applied and draw its value; None if it is not.

        One that moves speech has another value at another `attempt`.
        """
        decision, position = self.words(name, shared=rule.shared)
        if _unit(decision) >= rule.probability:
            return None
        again = self.attempt if moves else 0
        if rule.uniform is None:
            return rule.listed[(self.copy - 1 + again) % len(rule.listed)]
        if again:
            position = self.words(f"{name}/{again}", shared=rule.shared)[1]
        low, high = rule.uniform
        return min(high, low + (high - low) * _unit(position))

    def recording(self, name: str) -> tuple[str, float]:
        """Return which recording of a field a copy takes in, and a position in it, in [0, 1)."""
        chosen = self.policy.recordings[name]
        which, where = self.words(name, shared=chosen.per == "copy")
        count = len(chosen.contents)
        if not count:
            raise SpecError(f"the {name} of this policy have not been read, which a build does before it plans.")
        place = (self.copy - 1) % count if chosen.per == "turn" else which * count >> 64
        return chosen.contents[place], _unit(where)

    def custom_key(self, place: int) -> int | None:
        """Return the key of a user's function's random numbers; None if it is not applied to this copy."""
        custom = self.policy.own[place]
        decision, key = self.words(f"own/{place}/{custom.function}", shared=custom.per == "copy")
        return key if _unit(decision) < custom.probability else None


def _unit(word: int) -> float:
    """Map 64 bits onto [0, 1), using the 53 bits that a float64 can hold."""
    return (word >> 11) * 2.0**-53
