"""A copy in the making: its signal, and what perturbations have at hand as they change it."""

from __future__ import annotations

import numpy as np

from featurestore.registry import Declared
from featurestore.signal.arrays import Signal
from featurestore.signal.interpolation import interpolation_weights, reading_filters
from featurestore.signal.kernels.level import energy
from featurestore.signal.pitch_grid import stretched_samples
from featurestore.signal.recordings import DecodedRecording, RecordingCache


class Workspace:
    """What copies are made with: recordings, tables, and buffers that are reused from row to row."""

    def __init__(self, recordings: RecordingCache) -> None:
        self.inputs = recordings
        """Noises and rooms, by content and rate."""
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

    `policy` is an `AugmentationSpec`, and `perturbation` the `Perturbation` with all that happens to the copy.
    """

    def __init__(
        self, policy: Declared, recording: DecodedRecording, perturbation: Declared, workspace: Workspace
    ) -> None:
        self.policy, self.recording, self.perturbation = policy, recording, perturbation
        self.inputs, self.buffer = workspace.inputs, workspace.buffer
        self.weights, self.filters = workspace.weights, workspace.filters
        self.signal = recording.signal
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
        """Put a changed signal in place of the last; what was known of that is forgotten."""
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
        return stretched_samples(len(self.recording.signal), self.perturbation.stretch or 1.0)

    def kept(self, window: int | None) -> float:
        """Return the share of the energy of the clean row's signal that lies in the copy's, which may be above 1.

        Rows are cut to `window` samples; None keeps all.
        """
        clean = self.recording.energy(0, len(self.recording.signal) if window is None else window)
        samples = self.samples
        end = samples if window is None else min(window, samples)
        by = round((self.perturbation.shift_seconds or 0.0) * self.recording.rate)
        if self.perturbation.shift_seconds is not None and self.policy.shift_fill == "circular":
            by %= samples
            parts = [(-by, end - by), (samples - by, samples - by + end)]
        else:
            parts = [(-by, end - by)]
        scale = len(self.recording.signal)
        found = sum(
            self.recording.energy(max(0, a) * scale // samples, min(samples, max(0, b)) * scale // samples)
            for a, b in parts
        )
        return found / clean if clean > 0 else 0.0
