"""From the bytes of an audio file to mono signals, of all of it or of segments.

Only libsndfile decodes what becomes rows: no fallback that starts programs or guesses. The header is checked before
memory is asked for, since a header of a few bytes can promise hours of sound. A decoder that a file could trap runs in
a process of its own: see `featurestore.signal.guarded`.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from featurestore.errors import AudioError
from featurestore.segments import WHOLE, Segment
from featurestore.signal.arrays import LOUDEST, MAX_SECONDS, Signal, check_channels_and_rate, check_length
from featurestore.signal.containers import prepare

LEAST_MIXED = 0.01
"""Share of the channels' mean energy that their mean has to hold; unrelated channels give one over their number."""


UNKNOWN_LENGTH = 2**63 - 1
"""Samples that libsndfile announces where it does not know, as for an MP3 that is shorter than its encoder's delay."""

_BLOCK = 2**18
"""Samples of each channel that are decoded at a time."""

_EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
"""Codings whose samples do not depend on what was read before them."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A mono signal and its sampling rate."""

    signal: Signal
    """Array [time], float32, full scale is 1."""
    rate: int
    """Samples a second."""
    channels: int = 1
    """Channels of the file; they were averaged, but for a segment that names one."""


def decode(data: bytes, max_seconds: float = MAX_SECONDS, segment: Segment = WHOLE) -> Recording:
    """Decode an audio file held in memory, or a segment of it, and average its channels.

    Parameters
    ----------
    data : bytes
        The whole file: WAV, Wave64, AIFF, AU, CAF, NIST SPHERE, FLAC, Ogg (Vorbis, Opus, FLAC) or MP3.
    max_seconds : float
        Longest recording or segment that is accepted; a segment's recording may be longer.
    segment : Segment
        What is wanted of it; equal to the same samples of the decoded file.

    Raises
    ------
    AudioError
        If the file is empty, not audio, truncated, too long, without samples, not finite or beyond any sane level,
        its channels cancel in their mean, or it has no such segment.
    """
    (found,) = decode_segments(data, (segment,), max_seconds)
    if isinstance(found, AudioError):
        raise found
    return found


def decode_segments(
    data: bytes, segments: Sequence[Segment], max_seconds: float = MAX_SECONDS
) -> list[Recording | AudioError]:
    """Decode several segments of one file in one pass; parameters and errors as in `decode`.

    Returns
    -------
    list
        In the order of `segments`; the reason in place of one that cannot be had. An error of the file is raised.
    """
    prepared = prepare(data)
    try:
        with soundfile.SoundFile(_Bytes(prepared.data)) as file:
            announced = file.frames if prepared.samples is None else prepared.samples
            if announced == UNKNOWN_LENGTH:
                raise AudioError("damaged or too short: its number of samples is unknown.")
            check_channels_and_rate(file.channels, int(file.samplerate))
            wanted = [_wanted(file, announced, segment, max_seconds) for segment in segments]
            _read(file, [one for one in wanted if isinstance(one, _Wanted)])
            return [one.recording(file, announced) if isinstance(one, _Wanted) else one for one in wanted]
    except (soundfile.SoundFileError, TypeError, ValueError, OverflowError) as error:
        # the message of libsndfile, without the address of the buffer that it names
        lines = re.sub(r"^Error opening <[^>]*>: ", "", str(error).strip()).splitlines() or [type(error).__name__]
        raise AudioError(f"not an audio file that libsndfile reads ({lines[-1].rstrip('.')}).") from error


def resample(recording: Recording, rate: int) -> Recording:
    """Change the sampling rate with the soxr resampler at its quality `HQ`; an equal rate changes nothing."""
    if rate == recording.rate:
        return recording
    signal = soxr.resample(recording.signal, recording.rate, rate, quality="HQ")
    return Recording(np.ascontiguousarray(signal, np.float32), rate, recording.channels)


class _Bytes(io.BytesIO):
    """A file in memory that answers a seek before its start as the system does, with -1, and not with an exception.

    libsndfile seeks so on headers that are cut; an exception cannot pass through it.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._size = len(data)
        self._refused = False

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move and return the new place in bytes; for a place before the start stay and return -1."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: super().tell(), io.SEEK_END: self._size}[whence]
        self._refused = base + offset < 0
        return -1 if self._refused else super().seek(base + offset)

    def tell(self) -> int:
        """Return the place in bytes; -1 right after a seek that was refused."""
        refused, self._refused = self._refused, False
        return -1 if refused else super().tell()


@dataclass
class _Wanted:
    """A segment on its way: which samples of which channel, and what has been read of them."""

    first: int
    stop: int
    channel: int | None
    signal: Signal
    done: int = 0
    fault: AudioError | None = None
    energy: float = 0.0
    """Mean energy of the channels that are mixed, added up in one order on every processor."""
    mixed_energy: float = 0.0
    """Energy of their mean."""

    def take(self, block: Signal, at: int) -> None:
        """Take what a block holds of it, array [time, channels], whose first sample is number `at` of the file."""
        piece = block[max(0, self.first - at) : max(0, self.stop - at)]
        if not len(piece) or self.fault:
            return
        if self.channel is not None:
            piece = piece[:, self.channel : self.channel + 1]
        loudest = float(np.max(np.abs(piece)))
        if not np.isfinite(loudest):
            self.fault = AudioError("samples that are not numbers or infinite.")
        elif loudest > LOUDEST:
            self.fault = AudioError(f"samples up to {loudest:.3g}; full scale is 1.")
        elif piece.shape[1] == 1:
            self.signal[self.done : self.done + len(piece)] = piece[:, 0]
        else:
            mean: Signal = np.mean(piece, axis=1, dtype=np.float32)
            self.signal[self.done : self.done + len(piece)] = mean
            self.energy += _energy(piece) / piece.shape[1]
            self.mixed_energy += _energy(mean)
        self.done += len(piece)

    def recording(self, file: soundfile.SoundFile, announced: int) -> Recording | AudioError:
        """Return what was read, or why it cannot be used; a mean that cancels is not what was recorded."""
        if self.fault:
            return self.fault
        if self.done < len(self.signal):
            there = self.first + self.done
            return AudioError(f"truncated: the header announces {announced} samples, {there} could be decoded.")
        if self.mixed_energy < LEAST_MIXED * self.energy:
            below = "is silent"
            if self.mixed_energy:
                below = f"lies {10 * math.log10(self.energy / self.mixed_energy):.0f} dB below them"
            return AudioError(f"its channels cancel: their mean {below}, as if one were inverted. Name one channel.")
        return Recording(self.signal, int(file.samplerate), file.channels)


def _energy(samples: Signal) -> float:
    return float(np.cumsum(np.square(samples, dtype=np.float64))[-1])  # one after the other


def _wanted(file: soundfile.SoundFile, announced: int, segment: Segment, max_seconds: float) -> _Wanted | AudioError:
    """Find the samples of a segment, or the reason why it has none."""
    rate = int(file.samplerate)
    try:
        if segment.channel is not None and segment.channel >= file.channels:
            raise AudioError(
                f"there is no channel {segment.channel}: the recording has {file.channels}, and 0 is the first."
            )
        first, stop = segment.samples(announced, rate) if segment.timed else (0, announced)
        check_length(stop - first, rate, max_seconds)
    except AudioError as error:
        return error
    return _Wanted(first, stop, segment.channel, np.empty(stop - first, np.float32))


def _read(file: soundfile.SoundFile, wanted: Sequence[_Wanted]) -> None:
    """Read each segment, block by block and in one pass; it stays incomplete where the file ends sooner.

    Codecs that remember what came before are read from the start, so that a segment equals those samples of the file.
    """
    at, last = 0, max((one.stop for one in wanted), default=0)
    seekable = len(wanted) > 0 and file.subtype.startswith(_EXACT) and file.seekable()
    while at < last and any(one.fault is None for one in wanted):
        until = last
        if seekable:
            at = file.seek(min(max(one.first, at) for one in wanted if one.stop > at))
            until = max(one.stop for one in wanted if one.first <= at)
        block = file.read(min(_BLOCK, until - at), dtype="float32", always_2d=True)
        if not len(block):
            break
        for one in wanted:
            one.take(block, at)
        at += len(block)
