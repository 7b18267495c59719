"""From the bytes of an audio file to a mono signal, or the reason why not.

Only libsndfile decodes: no fallback that starts programs or guesses. The header is checked before memory is asked
for, since a header of a few bytes can promise hours of sound. A decoder that a file could trap runs in a process of
its own: see `featurestore.signal.guarded`.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from featurestore.errors import AudioError
from featurestore.signal.arrays import Signal
from featurestore.signal.containers import prepare
from featurestore.signal.limits import LOUDEST, check_channels_and_rate, check_length

_BLOCK = 2**18
"""Samples of each channel that are decoded at a time."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A mono signal and its sampling rate."""

    signal: Signal
    """Array [time], float32, full scale is 1."""
    rate: int
    """Samples a second."""
    channels: int = 1
    """Channels of the file, which were averaged."""


def decode(data: bytes, max_seconds: float = 600.0) -> Recording:
    """Decode an audio file held in memory and average its channels.

    Parameters
    ----------
    data : bytes
        The whole file: WAV, Wave64, AIFF, AU, CAF, NIST SPHERE, FLAC, Ogg (Vorbis, Opus, Speex, FLAC) or MP3.
    max_seconds : float
        Longest recording that is accepted.

    Raises
    ------
    AudioError
        If the file is empty, not audio, truncated, too long, without samples, not finite or beyond any sane level.
    """
    prepared = prepare(data)
    try:
        with soundfile.SoundFile(_Bytes(prepared.data)) as file:
            announced = file.frames if prepared.samples is None else prepared.samples
            channels, rate = file.channels, int(file.samplerate)
            check_channels_and_rate(channels, rate)
            check_length(announced, rate, max_seconds)
            signal = _read(file, announced)
    except (soundfile.SoundFileError, TypeError, ValueError, OverflowError) as error:
        raise AudioError(f"not an audio file that libsndfile reads ({_first_line(error)}).") from error
    if len(signal) < announced:
        raise AudioError(f"truncated: the header announces {announced} samples, {len(signal)} could be decoded.")
    return Recording(signal, rate, channels)


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


def _read(file: soundfile.SoundFile, announced: int) -> Signal:
    """Return the mean of the channels, array [time]; shorter than announced where the file ends sooner."""
    if announced <= _BLOCK:
        return _mono(file.read(announced, dtype="float32", always_2d=True))
    signal = np.empty(announced, np.float32)
    done = 0
    while done < announced:
        block = file.read(min(_BLOCK, announced - done), dtype="float32", always_2d=True)
        if not len(block):
            break
        signal[done : done + len(block)] = _mono(block)
        done += len(block)
    return signal[:done]


def _mono(samples: Signal) -> Signal:
    if not len(samples):
        return samples[:, 0]
    loudest = float(np.max(np.abs(samples)))
    if not np.isfinite(loudest):
        raise AudioError("samples that are not numbers or infinite.")
    if loudest > LOUDEST:
        raise AudioError(f"samples up to {loudest:.3g}; full scale is 1.")
    if samples.shape[1] == 1:
        return samples[:, 0]
    mean: Signal = np.mean(samples, axis=1, dtype=np.float32)
    return mean


def _first_line(error: Exception) -> str:
    """Return what libsndfile says, without the address of the buffer that it names."""
    text = re.sub(r"^Error opening <[^>]*>: ", "", str(error).strip())
    lines = text.splitlines()
    return lines[-1].rstrip(".") if lines else type(error).__name__
