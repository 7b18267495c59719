"""From the bytes of an audio file to a mono signal, or the reason why not.

Only libsndfile decodes: no fallback that starts programs or guesses. The header is checked before memory is asked
for, since a header of a few bytes can promise hours of sound.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from featurestore.errors import AudioError
from featurestore.signal.arrays import Signal
from featurestore.signal.wav_header import data_chunk

MAX_CHANNELS = 8
RATES = (1_000, 384_000)
LOUDEST = 1e6
"""Largest absolute sample; 1 is full scale, and files of floats in 16-bit units reach 32,768."""
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Recording:
    """A mono signal and its sampling rate."""

    signal: Signal
    """Array [time], float32, full scale is 1."""
    rate: int
    """Samples a second."""


def decode(data: bytes, max_seconds: float = 600.0) -> Recording:
    """Decode an audio file held in memory and average its channels.

    Parameters
    ----------
    data : bytes
        The whole file: WAV, FLAC, Ogg, MP3, AIFF or whatever else libsndfile reads.
    max_seconds : float
        Longest recording that is accepted.

    Raises
    ------
    AudioError
        If the file is empty, not audio, truncated, too long, without samples, not finite or beyond any sane level.
    """
    _check_container(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_header(file, max_seconds)
            announced = file.frames
            samples = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise AudioError(f"not an audio file that libsndfile reads ({_first_line(error)}).") from error
    if len(samples) < announced:
        raise AudioError(f"truncated: the header announces {announced} samples, {len(samples)} could be decoded.")
    return Recording(_mono(samples), rate)


def resample(recording: Recording, rate: int) -> Recording:
    """Change the sampling rate with the soxr resampler at its quality `HQ`; an equal rate changes nothing."""
    if rate == recording.rate:
        return recording
    signal = soxr.resample(recording.signal, recording.rate, rate, quality="HQ")
    return Recording(np.ascontiguousarray(signal, np.float32), rate)


def _check_container(data: bytes) -> None:
    if not data:
        raise AudioError("the file is empty.")
    if data.startswith(LFS_POINTER):
        raise AudioError("a Git LFS pointer, not the audio itself: run 'git lfs pull' where it came from.")
    chunk = data_chunk(data)
    if chunk is not None and chunk.held < chunk.promised:
        raise AudioError(f"truncated: the header announces {chunk.promised} bytes of samples, {chunk.held} are there.")


def _check_header(file: soundfile.SoundFile, max_seconds: float) -> None:
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise AudioError(f"a rate of {file.samplerate} Hz; {RATES[0]} to {RATES[1]} are read.")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise AudioError(f"{file.channels} channels; at most {MAX_CHANNELS} are read.")
    if file.frames < 1:
        raise AudioError("the file holds no samples.")
    seconds = file.frames / file.samplerate
    if seconds > max_seconds:
        raise AudioError(f"too long: {seconds:.1f} s; at most {max_seconds:g} s are read.")


def _mono(samples: Signal) -> Signal:
    loudest = float(np.max(np.abs(samples)))
    if not np.isfinite(loudest):
        raise AudioError("samples that are not numbers or infinite.")
    if loudest > LOUDEST:
        raise AudioError(f"samples up to {loudest:.3g}; full scale is 1.")
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0])
    mean: Signal = np.mean(samples, axis=1, dtype=np.float32)
    return mean


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[-1].rstrip(".") if text else type(error).__name__
