"""Mel bands: the triangles, and the logarithm of the power inside each.

The sum over a band runs over its own few bins in a fixed order. A matrix product would touch a thousand zeros a band,
and its rounding would depend on how many frames are computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float32, Float64, Real
from featurestore.signal.kernel import fast_kernel
from featurestore.signal.logarithm import natural_log

_BREAK_HZ, _HZ_A_MEL, _BREAK_MEL = 1000.0, 200.0 / 3, 15.0
_LOG_STEP = np.log(6.4) / 27.0


def hertz_to_mel(hertz: Float64, scale: str) -> Float64:
    """Convert frequencies to mel.

    `htk`: 2595 log10(1 + f / 700) (O'Shaughnessy 1987; the HTK book). `slaney`: linear to 1 kHz, logarithmic above
    (Slaney, Auditory Toolbox, 1998).
    """
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    high = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hertz < _BREAK_HZ, hertz / _HZ_A_MEL, high)


def mel_to_hertz(mel: Float64, scale: str) -> Float64:
    """Convert mel to frequencies, the inverse of `hertz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    high = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_A_MEL, high)


def mel_triangles(rate: int, fft_length: int, mels: int, scale: str, low_hz: float, high_hz: float) -> Float64:
    """Return triangular filters of unit area, array [mels, fft_length / 2 + 1].

    Corners are equally spaced in mel from `low_hz` to `high_hz`; triangle m rises from corner m to m + 1 and falls to
    m + 2; its height 2 / (f[m + 2] - f[m]) gives it unit area over hertz.
    """
    bins = np.arange(fft_length // 2 + 1) * (rate / fft_length)
    ends = hertz_to_mel(np.array([low_hz, high_hz]), scale)
    corners = mel_to_hertz(np.linspace(ends[0], ends[1], mels + 2), scale)
    steps = np.diff(corners)
    rising = (bins[None, :] - corners[:-2, None]) / steps[:-1, None]
    falling = (corners[2:, None] - bins[None, :]) / steps[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class MelBands:
    """Triangles without their zeros: band m weighs bins `first[m]` to `stop[m]` with `weights[offset[m]:]`."""

    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    offset: NDArray[np.int64]
    weights: Real


def mel_bands(triangles: Float64, dtype: type[np.floating]) -> MelBands:
    """Leave out the zeros of triangles [mels, bins]; a band between two bins is empty and sums to zero."""
    held = triangles > 0
    any_held = held.any(axis=1)
    first = np.where(any_held, held.argmax(axis=1), 0)
    stop = np.where(any_held, triangles.shape[1] - held[:, ::-1].argmax(axis=1), 0)
    offset = np.concatenate([[0], np.cumsum(stop - first)])
    pieces = [triangles[m, first[m] : stop[m]] for m in range(len(triangles))]
    return MelBands(first, stop, offset, np.concatenate(pieces).astype(dtype))


@fast_kernel
def power(spectrum: Real, powers: Real) -> None:
    """Write |X|**2, array [frames, bins], of a spectrum [frames, 2, bins]."""
    for t in range(powers.shape[0]):
        real, imaginary, target = spectrum[t, 0], spectrum[t, 1], powers[t]
        for k in range(len(target)):
            target[k] = real[k] * real[k] + imaginary[k] * imaginary[k]


@fast_kernel
def log_mel(
    powers: Real,
    first: NDArray[np.int64],
    stop: NDArray[np.int64],
    offset: NDArray[np.int64],
    weights: Real,
    eps: float,
    rows: Float32,
) -> None:
    """Write log(sum of weights * power + eps), array [frames, mels]; see `MelBands` for the bands."""
    for t in range(powers.shape[0]):
        source, target = powers[t], rows[t]
        for m in range(len(target)):
            inside, weight = source[first[m] : stop[m]], weights[offset[m] : offset[m + 1]]
            total = weight.dtype.type(0)
            for j in range(len(inside)):
                total += inside[j] * weight[j]
            target[m] = np.float32(total + eps)
        for m in range(len(target)):
            target[m] = natural_log(target[m])
