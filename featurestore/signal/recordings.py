"""Recordings in memory: a decoded one with what its copies share, and the noises and rooms that copies take in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from featurestore.errors import AudioError, SpecError
from featurestore.segments import ReadBytes, brief
from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.audio import resample
from featurestore.signal.envelope import Envelope, envelope
from featurestore.signal.guarded import GuardedDecoder
from featurestore.signal.kernels.level import energy
from featurestore.signal.reverberation import Noise, Room
from featurestore.signal.splices import Resemblance, resemblance

MOST_BYTES = 256_000_000
"""Decoded noises that a worker holds."""
MOST_ROOMS = 64
"""Impulse responses that a worker holds."""


@dataclass(frozen=True, eq=False)
class DecodedRecording:
    """A decoded recording at the rate of its features, with what its copies share, computed on first use."""

    signal: Signal
    """Array [time], float32."""
    rate: int
    """Samples per second."""
    recorded_rate: int
    """Those of the recording."""
    start: int = 0
    """Samples, at `rate`, that were cut away before the first one."""
    seconds: float = 0.0
    """The length of the recording that is held against a limit."""

    @cached_property
    def similar(self) -> Resemblance:
        """What changes of pitch and duration start from."""
        return resemblance(self.signal, self.rate)

    @cached_property
    def envelope(self) -> Envelope:
        """What pitch shifts that keep the formants start from."""
        return envelope(self.signal, self.rate)

    @cached_property
    def silent(self) -> bool:
        """True if the signal has no power: there is no ratio of noise to it."""
        return energy(self.signal) == 0

    def remark(self, window: int | None) -> dict[str, float]:
        """Return what the key of its clean row, cut to `window` samples, does not hold: see `ShardRecord.remarks`."""
        found: dict[str, float] = {}
        if self.silent or self.energy(0, len(self.signal) if window is None else window) == 0:
            found["silent"] = True
        if self.recorded_rate < self.rate:
            found["rate"] = self.recorded_rate
        return found

    def energy(self, start: int, stop: int) -> float:
        """Return the sum of squares of samples `[start, stop)`; equal on every processor, as decisions hang on it."""
        start, stop = (min(max(0, place), len(self.signal)) for place in (start, stop))
        return float(self._energies[stop] - self._energies[start]) if start < stop else 0.0

    @cached_property
    def _energies(self) -> Float64:
        """The sums of squares of the samples before each, one added after the other."""
        return np.concatenate([[0.0], np.cumsum(np.square(self.signal, dtype=np.float64))])


class RecordingCache:
    """Noises and rooms by content and rate; those used longest ago are dropped first. Without `read` there are none."""

    def __init__(self, read: ReadBytes | None, decoder: GuardedDecoder) -> None:
        self._read, self._decoder = read, decoder
        self._noises: OrderedDict[tuple[str, int], Noise] = OrderedDict()
        self._rooms: OrderedDict[tuple[str, int], Room] = OrderedDict()

    def noise(self, content: str, rate: int) -> Noise:
        """Return a noise at a rate; errors as of `room`."""
        key = (content, rate)
        if key not in self._noises:
            self._noises[key] = Noise(self._decoded(content, rate))
        self._noises.move_to_end(key)
        while len(self._noises) > 1 and sum(noise.signal.nbytes for noise in self._noises.values()) > MOST_BYTES:
            self._noises.popitem(last=False)
        return self._noises[key]

    def room(self, content: str, rate: int) -> Room:
        """Return a room by its impulse response at a rate.

        `SpecError` if there is nothing to read recordings from, or the recording is not one; `MissingObjectError` if
        the store has lost it.
        """
        key = (content, rate)
        if key not in self._rooms:
            signal = self._decoded(content, rate)
            try:
                self._rooms[key] = Room.of(signal)
            except ValueError as error:
                raise SpecError(f"recording {brief(content)} of the policy is {error}.") from error
        self._rooms.move_to_end(key)
        if len(self._rooms) > MOST_ROOMS:
            self._rooms.popitem(last=False)
        return self._rooms[key]

    def _decoded(self, content: str, rate: int) -> Signal:
        if self._read is None:
            raise SpecError("no recordings: an engine for rows with noises or rooms needs the store's sources.")
        try:
            signal = resample(self._decoder.decode(self._read(content)), rate).signal
        except AudioError as error:
            raise SpecError(f"recording {brief(content)} of the policy cannot be used: {error}") from error
        if not len(signal):
            raise SpecError(f"recording {brief(content)} of the policy has no samples at {rate} Hz.")
        return signal
