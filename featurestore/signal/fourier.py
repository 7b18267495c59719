"""The Fourier transform of real frames, faster than a general library for the one case that rows spend most time on.

Frames of a power of two of samples are transformed here; other lengths go to scipy. Both are exact to the rounding of
their precision, and a frame's result depends on that frame alone.

A frame of 2 M real samples is a transform of M complex numbers z[n] = x[2n] + i x[2n + 1] and one step that takes the
even and odd halves apart. The complex transform is Stockham's: passes of radix 4 from one buffer to another that leave
the result in order, with no bit reversal.

References
----------
Van Loan (1992), "Computational Frameworks for the Fast Fourier Transform", sections 1.7 (Stockham) and 4.3 (real data).
"""

from __future__ import annotations

import numpy as np
import scipy.fft

from featurestore.signal.arrays import Real
from featurestore.signal.kernel import fast_kernel, inlined

SHORTEST, LONGEST = 64, 4096
"""Lengths, powers of two, that are transformed here; longer ones leave the nearest cache, where scipy is as fast."""


class RealFourier:
    """Transforms real frames of one length in one precision, and back.

    A spectrum is an array [frames, 2, bins]: real parts, imaginary parts, bins from 0 to half the rate.

    Parameters
    ----------
    length : int
        Samples of a frame, even.
    dtype : float32 or float64
    """

    def __init__(self, length: int, dtype: type[np.floating]) -> None:
        self.length, self.dtype = length, dtype
        self.own = SHORTEST <= length <= LONGEST and length & (length - 1) == 0
        half = length // 2
        self._passes = _pass_twiddles(half if self.own else 4).astype(dtype)
        turns = np.exp(-2j * np.pi * np.arange(half) / length)
        self._halves = np.stack([turns.real, turns.imag]).astype(dtype)
        self._work = np.zeros((4, half), dtype)

    def forward(self, frames: Real, spectrum: Real) -> None:
        """Write the spectrum [count, 2, bins] of frames [count, length]."""
        if self.own:
            _forward(frames, self._passes, self._halves, self._work, spectrum)
            return
        transformed = scipy.fft.rfft(frames, axis=1, workers=1)
        spectrum[:, 0], spectrum[:, 1] = transformed.real, transformed.imag

    def inverse(self, spectrum: Real, frames: Real) -> None:
        """Write the frames [count, length] of a spectrum [count, 2, bins]."""
        if self.own:
            _inverse(spectrum, self._passes, self._halves, self._work, frames)
            return
        joined = spectrum[:, 0] + 1j * spectrum[:, 1]
        frames[:] = scipy.fft.irfft(joined, n=self.length, axis=1, workers=1)


def _pass_twiddles(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return w**1, w**2, w**3 of each pass of radix 4 one after the other, array [2, 3, size / 4 + ...]."""
    parts = []
    while size >= 4:
        exponent = np.outer(np.arange(1, 4), np.arange(size // 4))
        turns = np.exp(-2j * np.pi * exponent / size)
        parts.append(np.stack([turns.real, turns.imag]))
        size //= 4
    return np.ascontiguousarray(np.concatenate(parts, axis=2))


@inlined
def _pass_4(xr: Real, xi: Real, yr: Real, yi: Real, turn_r: Real, turn_i: Real, offset: int, stride: int) -> None:
    """Make one pass: x[q + s (p + m j)], j = 0 to 3, become y[q + s (4 p + j)].

    The constant strides of the calls, and indices that cannot be negative, let the compiler use all lanes.
    """
    m = len(xr) // (4 * stride)
    s, quarter = np.uint64(stride), np.uint64(stride * m)
    for p in range(m):
        w1r, w2r, w3r = turn_r[0, offset + p], turn_r[1, offset + p], turn_r[2, offset + p]
        w1i, w2i, w3i = turn_i[0, offset + p], turn_i[1, offset + p], turn_i[2, offset + p]
        begin, end = np.uint64(stride * p), np.uint64(4 * stride * p)
        for lane in range(stride):
            i, j = begin + np.uint64(lane), end + np.uint64(lane)
            i1, i2, i3 = i + quarter, i + quarter + quarter, i + quarter + quarter + quarter
            ar, ai, br, bi = xr[i] + xr[i2], xi[i] + xi[i2], xr[i] - xr[i2], xi[i] - xi[i2]
            cr, ci, dr, di = xr[i1] + xr[i3], xi[i1] + xi[i3], xr[i1] - xr[i3], xi[i1] - xi[i3]
            er, ei, fr, fi, gr, gi = br + di, bi - dr, ar - cr, ai - ci, br - di, bi + dr
            yr[j], yi[j] = ar + cr, ai + ci
            yr[j + s], yi[j + s] = er * w1r - ei * w1i, er * w1i + ei * w1r
            yr[j + s + s], yi[j + s + s] = fr * w2r - fi * w2i, fr * w2i + fi * w2r
            yr[j + s + s + s], yi[j + s + s + s] = gr * w3r - gi * w3i, gr * w3i + gi * w3r


@fast_kernel
def _first_pass(xr: Real, xi: Real, yr: Real, yi: Real, turn_r: Real, turn_i: Real) -> None:
    """Make the pass of stride 1, with p in the inner loop."""
    m = len(xr) // 4
    x0r, x1r, x2r, x3r = xr[:m], xr[m : 2 * m], xr[2 * m : 3 * m], xr[3 * m :]
    x0i, x1i, x2i, x3i = xi[:m], xi[m : 2 * m], xi[2 * m : 3 * m], xi[3 * m :]
    w1r, w2r, w3r, w1i, w2i, w3i = turn_r[0], turn_r[1], turn_r[2], turn_i[0], turn_i[1], turn_i[2]
    for p in range(m):
        ar, ai, br, bi = x0r[p] + x2r[p], x0i[p] + x2i[p], x0r[p] - x2r[p], x0i[p] - x2i[p]
        cr, ci, dr, di = x1r[p] + x3r[p], x1i[p] + x3i[p], x1r[p] - x3r[p], x1i[p] - x3i[p]
        er, ei, fr, fi, gr, gi = br + di, bi - dr, ar - cr, ai - ci, br - di, bi + dr
        yr[4 * p], yi[4 * p] = ar + cr, ai + ci
        yr[4 * p + 1], yi[4 * p + 1] = er * w1r[p] - ei * w1i[p], er * w1i[p] + ei * w1r[p]
        yr[4 * p + 2], yi[4 * p + 2] = fr * w2r[p] - fi * w2i[p], fr * w2i[p] + fi * w2r[p]
        yr[4 * p + 3], yi[4 * p + 3] = gr * w3r[p] - gi * w3i[p], gr * w3i[p] + gi * w3r[p]


@fast_kernel
def _last_pass(x: Real, y: Real) -> None:
    """Make the pass of radix 2, for one part, that is left over where the size is no power of four."""
    half = len(x) // 2
    low, high, total, difference = x[:half], x[half:], y[:half], y[half:]
    for q in range(half):
        total[q], difference[q] = low[q] + high[q], low[q] - high[q]


@fast_kernel
def _wide_pass(xr: Real, xi: Real, yr: Real, yi: Real, turn_r: Real, turn_i: Real, offset: int, stride: int) -> None:
    """Make one pass as `_pass_4` does, where slices as long as the stride pay for themselves."""
    s, quarter = stride, len(xr) // 4
    for p in range(quarter // s):
        w1r, w2r, w3r = turn_r[0, offset + p], turn_r[1, offset + p], turn_r[2, offset + p]
        w1i, w2i, w3i = turn_i[0, offset + p], turn_i[1, offset + p], turn_i[2, offset + p]
        x0r, x1r, x2r, x3r = _quarters(xr[s * p :], quarter, s)
        x0i, x1i, x2i, x3i = _quarters(xi[s * p :], quarter, s)
        y0r, y1r, y2r, y3r = _quarters(yr[4 * s * p :], s, s)
        y0i, y1i, y2i, y3i = _quarters(yi[4 * s * p :], s, s)
        for q in range(s):
            ar, ai, br, bi = x0r[q] + x2r[q], x0i[q] + x2i[q], x0r[q] - x2r[q], x0i[q] - x2i[q]
            cr, ci, dr, di = x1r[q] + x3r[q], x1i[q] + x3i[q], x1r[q] - x3r[q], x1i[q] - x3i[q]
            er, ei, fr, fi, gr, gi = br + di, bi - dr, ar - cr, ai - ci, br - di, bi + dr
            y0r[q], y0i[q] = ar + cr, ai + ci
            y1r[q], y1i[q] = er * w1r - ei * w1i, er * w1i + ei * w1r
            y2r[q], y2i[q] = fr * w2r - fi * w2i, fr * w2i + fi * w2r
            y3r[q], y3i[q] = gr * w3r - gi * w3i, gr * w3i + gi * w3r


@inlined
def _quarters(x: Real, step: int, length: int) -> tuple[Real, Real, Real, Real]:
    return x[:length], x[step : step + length], x[2 * step : 2 * step + length], x[3 * step : 3 * step + length]


@fast_kernel
def _middle_pass(xr: Real, xi: Real, yr: Real, yi: Real, turn_r: Real, turn_i: Real, offset: int, stride: int) -> None:
    if stride == 4:
        _pass_4(xr, xi, yr, yi, turn_r, turn_i, offset, 4)
    elif stride == 16:
        _pass_4(xr, xi, yr, yi, turn_r, turn_i, offset, 16)
    else:
        _wide_pass(xr, xi, yr, yi, turn_r, turn_i, offset, stride)


@fast_kernel
def _transform(xr: Real, xi: Real, yr: Real, yi: Real, turn_r: Real, turn_i: Real) -> bool:
    """Transform the complex numbers in x; return whether the result stands in y (or else in x)."""
    size = len(xr)
    _first_pass(xr, xi, yr, yi, turn_r, turn_i)
    offset, stride, in_y = size // 4, 4, True
    while 4 * stride <= size:
        if in_y:
            _middle_pass(yr, yi, xr, xi, turn_r, turn_i, offset, stride)
        else:
            _middle_pass(xr, xi, yr, yi, turn_r, turn_i, offset, stride)
        offset, stride, in_y = offset + size // (4 * stride), 4 * stride, not in_y
    if stride < size:
        if in_y:
            _last_pass(yr, xr)
            _last_pass(yi, xi)
        else:
            _last_pass(xr, yr)
            _last_pass(xi, yi)
        in_y = not in_y
    return in_y


@fast_kernel
def _split(x: Real, even: Real, odd: Real) -> None:
    for n in range(len(even)):
        even[n], odd[n] = x[2 * n], x[2 * n + 1]


@fast_kernel
def _join(even: Real, odd: Real, x: Real) -> None:
    for n in range(len(even)):
        x[2 * n], x[2 * n + 1] = even[n], odd[n]


@fast_kernel
def _mirror(z: Real, mirrored: Real) -> None:
    """Write z[size - k], where the last entry of an array of one more stands for k = 0, or else the first."""
    size = len(mirrored)
    mirrored[0] = z[size % len(z)]
    for k in range(1, size):
        mirrored[k] = z[np.uint64(size - k)]


@fast_kernel
def _untangle(zr: Real, zi: Real, mr: Real, mi: Real, turn_r: Real, turn_i: Real, real: Real, imaginary: Real) -> None:
    """Take the transforms of the even and odd samples apart and join them: X[k] = E[k] + w**k O[k]."""
    _mirror(zr, mr)
    _mirror(zi, mi)
    half = turn_r[0] / 2
    for k in range(len(zr)):
        er, ei, fr, fi = zr[k] + mr[k], zi[k] - mi[k], zi[k] + mi[k], mr[k] - zr[k]
        real[k] = half * (er + (fr * turn_r[k] - fi * turn_i[k]))
        imaginary[k] = half * (ei + (fr * turn_i[k] + fi * turn_r[k]))
    real[len(zr)], imaginary[len(zr)] = zr[0] - zi[0], 0


@fast_kernel
def _tangle(real: Real, imaginary: Real, mr: Real, mi: Real, turn_r: Real, turn_i: Real, zr: Real, zi: Real) -> None:
    """Undo `_untangle`, divided by the size."""
    _mirror(real, mr)
    _mirror(imaginary, mi)
    scale = turn_r[0] / (2 * len(zr))
    for k in range(len(zr)):
        er, ei, gr, gi = real[k] + mr[k], imaginary[k] - mi[k], real[k] - mr[k], imaginary[k] + mi[k]
        zr[k] = scale * (er - (gi * turn_r[k] - gr * turn_i[k]))
        zi[k] = scale * (ei + (gr * turn_r[k] + gi * turn_i[k]))


@fast_kernel
def _forward(frames: Real, passes: Real, halves: Real, work: Real, spectrum: Real) -> None:
    xr, xi, yr, yi = work[0], work[1], work[2], work[3]
    for t in range(frames.shape[0]):
        _split(frames[t], xr, xi)
        if _transform(xr, xi, yr, yi, passes[0], passes[1]):
            _untangle(yr, yi, xr, xi, halves[0], halves[1], spectrum[t, 0], spectrum[t, 1])
        else:
            _untangle(xr, xi, yr, yi, halves[0], halves[1], spectrum[t, 0], spectrum[t, 1])


@fast_kernel
def _inverse(spectrum: Real, passes: Real, halves: Real, work: Real, frames: Real) -> None:
    """Undo `_forward`; a complex transform with real and imaginary parts exchanged is the inverse one."""
    xr, xi, yr, yi = work[0], work[1], work[2], work[3]
    for t in range(frames.shape[0]):
        _tangle(spectrum[t, 0], spectrum[t, 1], yr, yi, halves[0], halves[1], xr, xi)
        if _transform(xi, xr, yi, yr, passes[0], passes[1]):
            _join(yr, yi, frames[t])
        else:
            _join(xr, xi, frames[t])
