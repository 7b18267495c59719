"""Mel bands: the triangles, and the logarithm of the power inside each.

The sum over a band runs over its own few bins in a fixed order. A matrix product would touch a thousand zeros a band,
and its rounding would depend on how many frames are computed at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float32, Float64, Real
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import LN10, exp, exp10, log, natural_log
from featurestore.signal.kernels.simd import LANES, fma, load, load_rows, spread, store_narrow, store_rows, transposed

_BREAK_HZ, _HZ_A_MEL, _BREAK_MEL = 1000.0, 200.0 / 3, 15.0
_LOG_STEP = log(6.4) / 27.0


def hertz_to_mel(hertz: Float64, scale: str) -> Float64:
    """Convert frequencies to mel.

    `htk`: 2595 log10(1 + f / 700) (O'Shaughnessy 1987; the HTK book). `slaney`: linear to 1 kHz, logarithmic above
    (Slaney, Auditory Toolbox, 1998).
    """
    if scale == "htk":
        return np.asarray(2595.0 * (log(1.0 + hertz / 700.0) / LN10))
    high = _BREAK_MEL + log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hertz < _BREAK_HZ, hertz / _HZ_A_MEL, high)


def mel_to_hertz(mel: Float64, scale: str) -> Float64:
    """Convert mel to frequencies, the inverse of `hertz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (exp10(mel / 2595.0) - 1.0))
    high = _BREAK_HZ * exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
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


Bands = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Real]
"""Triangles without their zeros: first bins, stops, offsets and weights.

Band m weighs bins `first[m]` to `stop[m]` with `weights[offset[m]:]`.
"""


def mel_bands(triangles: Float64, dtype: type[np.floating]) -> Bands:
    """Leave out the zeros of triangles [mels, bins]; a band between two bins is empty and sums to zero."""
    held = triangles > 0
    any_held = held.any(axis=1)
    first = np.where(any_held, held.argmax(axis=1), 0)
    stop = np.where(any_held, triangles.shape[1] - held[:, ::-1].argmax(axis=1), 0)
    offset = np.concatenate([[0], np.cumsum(stop - first)])
    pieces = [triangles[m, first[m] : stop[m]] for m in range(len(triangles))]
    return first, stop, offset, np.concatenate(pieces).astype(dtype)


@kernel
def log_mel(powers: Real, bands: Bands, eps: float, sums: Float32, rows: Float32, start: int) -> None:
    """Write log(sum of weights * power + eps) of eight frames, from rows[start] on, each `mels` long.

    Parameters
    ----------
    powers : array [bins * 8]
        |X|**2 with bin k of frame l at 8 k + l.
    bands : Bands
    eps : float
    sums : array [mels * 8], float32
        Work space.
    rows : array, float32
        Overwritten from `start` on.
    """
    first, stop, offset, weights = bands
    zero = spread(weights.dtype.type(0))
    small = spread(weights.dtype.type(eps))
    for m in range(len(first)):
        total, shift = zero, offset[m] - first[m]
        for k in range(first[m], stop[m]):
            total = fma(load(powers, LANES * k), spread(weights[shift + k]), total)
        store_narrow(sums, LANES * m, total + small)
    for i in range(len(sums)):
        sums[i] = natural_log(sums[i])
    turn_rows(sums, len(first), rows, start)


@kernel
def turn_rows(columns: Float32, width: int, rows: Float32, start: int) -> None:
    """Write eight rows of `width` numbers one after the other; number m of row l stands at columns[8 m + l]."""
    whole = width - width % LANES
    for m in range(0, whole, LANES):
        store_rows(rows, start + m, width, transposed(load_rows(columns, LANES * m, LANES)))
    for m in range(whole, width):
        for lane in range(LANES):
            rows[start + lane * width + m] = columns[LANES * m + lane]
