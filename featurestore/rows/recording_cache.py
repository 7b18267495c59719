"""Noises and room responses that rows take in, decoded once and held while there is room for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from featurestore.errors import AudioError, SpecError
from featurestore.signal.arrays import Signal
from featurestore.signal.audio import resample
from featurestore.signal.guarded import GuardedDecoder
from featurestore.signal.reverberation import Noise, Room

ReadBytes = Callable[[str], bytes]
"""Returns the bytes of a recording by its sha256, as `Store.source` does."""
MOST_BYTES = 256_000_000
"""Decoded noises that a worker holds."""
MOST_ROOMS = 64
"""Impulse responses that a worker holds."""


class RecordingCache:
    """Recordings by content and rate; those used longest ago are let go of first.

    Parameters
    ----------
    read : callable, optional
        Returns the bytes of a recording by its sha256; without it no recording can be had.
    decoder : GuardedDecoder
    """

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

        Raises
        ------
        SpecError
            If there is nothing to read recordings from, or the recording is not one.
        MissingObjectError
            If the store has lost it.
        """
        key = (content, rate)
        if key not in self._rooms:
            signal = self._decoded(content, rate)
            try:
                self._rooms[key] = Room.of(signal)
            except ValueError as error:
                raise SpecError(f"recording {content[:12]} of the policy is {error}.") from error
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
            raise SpecError(f"recording {content[:12]} of the policy cannot be used: {error}") from error
        if not len(signal):
            raise SpecError(f"recording {content[:12]} of the policy has no sample at {rate} Hz.")
        return signal
