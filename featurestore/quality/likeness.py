"""The same recording at another level, upside down, or between other silence: files whose samples differ all the same.

A digest finds equal samples only. Here a recording is told by a few samples around the centre of its energy, read
between two samples where the centre lies there, so that gain, polarity and zeros at the ends change nothing but
rounding. What a lossy codec, a filter or a change of rate does is not undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float64, Signal

POINTS = 64
"""Samples that tell a recording."""
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
    second, moment, fourth = _sums(signal)
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


def _sums(signal: Signal) -> tuple[float, float, float]:
    """Return the sums of x^2, t x^2 and x^4 over the samples."""
    second = moment = fourth = 0.0
    for start in range(0, len(signal), BLOCK):
        squares = np.square(signal[start : start + BLOCK], dtype=np.float64)
        second += float(squares.sum())
        moment += float(squares @ np.arange(start, start + len(squares)))
        fourth += float(squares @ squares)
    return second, moment, fourth


def groups_alike(shapes: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of the shapes of one recording, two or more; each is compared with the first of its group."""
    known = [number for number, shape in enumerate(shapes) if shape]
    lengths = np.array([np.frombuffer(bytes.fromhex(shapes[number][:16]), "<f8")[0] for number in known])
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    points = _directions([shapes[known[place]] for place in order])
    taken = np.zeros(len(known), bool)
    for first, length in enumerate(lengths):
        end = int(np.searchsorted(lengths, length * LARGEST_RATIO, side="right"))
        like = first + np.flatnonzero(~taken[first:end] & (np.abs(points[first:end] @ points[first]) >= LEAST_COSINE))
        if not taken[first] and len(like) > 1:
            taken[like] = True
            yield sorted(known[place] for place in order[like])


def _directions(shapes: Sequence[str]) -> Float64:
    """Return the points of each shape with length 1, array [shapes, points]."""
    points = np.array([np.frombuffer(bytes.fromhex(shape[16:]), "<i2") for shape in shapes], np.float64)
    points = points.reshape(-1, POINTS)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float64)
