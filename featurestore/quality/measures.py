"""Measurements of one recording, and which recordings are alike.

A digest finds equal samples only. Here a recording is recognised by a few samples around the centre of its energy, read
between two samples where the centre lies there, so that gain, polarity and zeros at the ends change nothing but
rounding. What a lossy codec, a filter or a change of rate does is not undone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.audio import Recording, decode
from featurestore.signal.guarded import Answer, Question, segments_of

POINTS = 64
"""Samples by which a recording is recognised."""
STEP_SECONDS = 0.011
"""Between two of them: together they cover 0.7 s."""
BLOCK = 2**20
"""Samples that are summed at a time."""
LEAST_COSINE = 0.999
"""Between the points of two copies: the rounding to 16 bits of a copy at a fiftieth of full scale costs 0.0001."""
LARGEST_RATIO = 1.002
"""Between the lengths in which two copies have their energy."""


def shape_of(signal: Signal, rate: int) -> str:
    """Return what gain, polarity and zeros at the ends do not change: hexadecimal digits, empty for silence.

    The first eight bytes are the length in samples in which the energy lies, (sum x^2)^2 / sum x^4, as a float; the
    others the points in units of the largest, two bytes each.
    """
    second = moment = fourth = 0.0  # the sums of x^2, t x^2 and x^4 over the samples
    for start in range(0, len(signal), BLOCK):
        squares = np.square(signal[start : start + BLOCK], dtype=np.float64)
        second += float(squares.sum())
        moment += float(squares @ np.arange(start, start + len(squares)))
        fourth += float(squares @ squares)
    if not (fourth > 0 and np.isfinite(fourth)):
        return ""
    places = moment / second + (np.arange(POINTS) - (POINTS - 1) / 2) * STEP_SECONDS * rate
    below = np.floor(places).astype(np.int64)
    shares = places - below
    points = (1 - shares) * _samples(signal, below) + shares * _samples(signal, below + 1)
    largest = float(np.max(np.abs(points)))
    if largest == 0:
        return ""
    head = np.array([second**2 / fourth], "<f8").tobytes()
    tail = np.round(points / largest * 32_767).astype("<i2").tobytes()
    return bytes(head + tail).hex()


def _samples(signal: Signal, places: NDArray[np.int64]) -> Float64:
    """Return the samples at some places, zero beyond the ends."""
    inside = (places >= 0) & (places < len(signal))
    return np.where(inside, signal[np.clip(places, 0, len(signal) - 1)], 0).astype(np.float64)


def groups_alike(shapes: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of the shapes of one recording, two or more; each is compared with the first of its group."""
    known = [number for number, shape in enumerate(shapes) if shape]
    lengths = np.array([np.frombuffer(bytes.fromhex(shapes[number][:16]), "<f8")[0] for number in known])
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    points = np.array([np.frombuffer(bytes.fromhex(shapes[known[n]][16:]), "<i2") for n in order], np.float64)
    points = points.reshape(-1, POINTS)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    taken = np.zeros(len(known), bool)
    for first, length in enumerate(lengths):
        end = int(np.searchsorted(lengths, length * LARGEST_RATIO, side="right"))
        like = first + np.flatnonzero(~taken[first:end] & (np.abs(points[first:end] @ points[first]) >= LEAST_COSINE))
        if not taken[first] and len(like) > 1:
            taken[like] = True
            yield sorted(known[place] for place in order[like])


FRAME_SECONDS = 0.02
SILENT_DB = -60.0
"""Level in dB of full scale below which a frame is silent whatever the rest of the recording."""
QUIET_DB = 40.0
"""A frame so far below the loudest one counts as silence at the start and the end."""
CLIPPED_RUN = 3
"""Equal samples at the largest value in a row that make a clipped peak."""
LOWEST_CLIP = 0.5
"""Largest sample from which a run of equal ones is taken for clipping: editors scale clipped sound down."""
NOISE_SHARE = 0.1
"""Share of the frames, the quietest ones, whose level is taken for that of the noise."""
DIGITAL_SILENCE_DB = 20 * float(np.log10(2.0**-15))
"""Level of one step of 16 bits: a quieter frame holds rounding and no sound of a room."""
MOST_SNR_DB = 60.0
"""Largest ratio that is reported: no room and microphone do better, so a larger one comes from gates and fades."""
FEWEST_FRAMES = 20
"""Frames with sound from which a signal-to-noise ratio is estimated."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measurements of one recording; levels in dB of full scale (a sine at full scale has -3)."""

    rate: int
    """Samples a second."""
    channels: int
    samples: int
    """Samples of each channel."""
    peak: float
    """Largest absolute sample; 1 is full scale."""
    level_db: float
    """Root mean square of the whole recording."""
    offset: float
    """Mean of the samples."""
    clipped: float
    """Share of the samples in runs of `CLIPPED_RUN` or more at the largest value."""
    silent: float
    """Share of the frames below `SILENT_DB`."""
    leading: float
    """Seconds at the start that are `QUIET_DB` below the loudest frame."""
    trailing: float
    """The same at the end."""
    snr_db: float | None
    """Estimated signal-to-noise ratio, `MOST_SNR_DB` at the most; None without pauses to measure noise in."""
    digest: str
    """sha256 of rate and decoded samples: equal for the same sound in two containers."""
    shape: str = ""
    """What identifies the recording at any level and with any zeros at its ends, see `shape_of`."""

    @property
    def seconds(self) -> float:
        """The length."""
        return self.samples / self.rate

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Measures:
        """Read fields as written by `to_dict`; others are passed over."""
        return cls(**{field.name: fields[field.name] for field in dataclasses.fields(cls)})


def measure(recording: Recording) -> Measures:
    """Measure a decoded recording of at least one sample.

    The signal-to-noise ratio compares the mean power of the frames with that of the quietest tenth, which is taken
    for the noise: right where a tenth of the recording is pause, too low where less is. Frames of digital silence,
    which editors put around recordings and gates into their pauses, are no noise and are left out; so is an offset.
    """
    signal, rate = recording.signal, recording.rate
    length = max(1, round(FRAME_SECONDS * rate))
    powers = frame_powers(signal, length)
    mean_power = float(np.mean(np.square(signal, dtype=np.float64)))
    loud = np.flatnonzero(powers > max(powers.max() * 10 ** (-QUIET_DB / 10), 10 ** (SILENT_DB / 10)))
    leading, trailing = (int(loud[0]), int(len(powers) - 1 - loud[-1])) if len(loud) else (len(powers), len(powers))
    return Measures(
        rate=rate,
        channels=recording.channels,
        samples=len(signal),
        peak=float(np.max(np.abs(signal))),
        level_db=decibels(mean_power),
        offset=float(np.mean(signal, dtype=np.float64)),
        clipped=clipped_share(signal),
        silent=float(np.mean(powers < 10 ** (SILENT_DB / 10))),
        leading=min(leading * FRAME_SECONDS, len(signal) / rate),
        trailing=min(trailing * FRAME_SECONDS, len(signal) / rate),
        snr_db=_snr(frame_variances(signal, length)),
        digest=hashlib.sha256(f"{rate}\n".encode() + signal.tobytes()).hexdigest(),
        shape=shape_of(signal, rate),
    )


def measured(data: bytes, question: Question) -> Answer:
    """Decode a segment of a file and measure it: a task of `featurestore.signal.guarded`."""
    (segment,) = segments_of(question)
    return measure(decode(data, question["max_seconds"], segment)).to_dict(), b""


def frame_powers(signal: Signal, length: int) -> Float64:
    """Return the mean power of each whole frame of `length` samples, array [frames]; of all if there is none."""
    if len(signal) < length:
        return np.array([np.mean(np.square(signal, dtype=np.float64))])
    frames = signal[: len(signal) // length * length].reshape(-1, length)
    powers: Float64 = np.einsum("ft,ft->f", frames, frames, dtype=np.float64) / length
    return powers


def frame_variances(signal: Signal, length: int) -> Float64:
    """Return the power of each whole frame without its own offset, array [frames]; of all if there is none."""
    frames = signal[: max(1, len(signal) // length) * length].reshape(-1, min(length, len(signal)))
    means = np.mean(frames, axis=1, dtype=np.float64)
    variances: Float64 = np.maximum(frame_powers(signal, length) - means**2, 0)
    return variances


def clipped_share(signal: Signal) -> float:
    """Return the share of samples in runs of `CLIPPED_RUN` or more that all have the largest or smallest value."""
    clipped = 0
    for extreme in {float(signal.max()), float(signal.min())}:
        if abs(extreme) >= LOWEST_CLIP:
            edges = np.flatnonzero(np.diff(signal == extreme, prepend=False, append=False))
            runs = edges[1::2] - edges[::2]
            clipped += int(runs[runs >= CLIPPED_RUN].sum())
    return clipped / len(signal)


def decibels(power: float) -> float:
    """Return a power in dB, -200 at the least."""
    return 10 * float(np.log10(max(power, 1e-20)))


def _snr(variances: Float64) -> float | None:
    audible = np.sort(variances[variances > 10 ** (DIGITAL_SILENCE_DB / 10)])
    if len(audible) < FEWEST_FRAMES:
        return None
    noise = float(np.mean(audible[: int(NOISE_SHARE * len(audible))]))
    sound = float(np.mean(audible)) - noise
    return None if sound <= noise else min(MOST_SNR_DB, 10 * float(np.log10(sound / noise)))
