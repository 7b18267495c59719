"""Fourier transforms of real frames, eight at a time: each lane of the processor holds one frame.

The numbers are computed in float64 and rounded once.

Nothing ever moves from lane to lane, so every step is one instruction for eight frames, whatever the order of the
samples. Numbers stand in flat arrays: sample n of frame l at 8 n + l, bin k of a spectrum at 16 k (real parts) and
16 k + 8 (imaginary parts). Frames of a power of two of samples are transformed here; other lengths go to scipy. A
frame's result depends on that frame alone.

A frame of 2 M real samples is a transform of M complex numbers z[n] = x[2n] + i x[2n + 1], which stand in place as they
are, and one step that takes the even and odd halves apart. The complex transform has passes of radix 4 and works in
place: decimation in frequency leaves bins in the order of their reversed digits. Blocks of 256 numbers, which fit the
nearest cache, are finished one by one.

References
----------
Van Loan (1992), "Computational Frameworks for the Fast Fourier Transform", sections 1.3 (decimation), 2.4 (radix 4) and
4.3 (real data).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from featurestore.signal.arrays import Real
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.elementary import cosine_and_sine
from featurestore.signal.kernels.simd import LANES, Lanes, fma, load, spread, store

SHORTEST = 8
"""Shortest power of two that `power_spectra` transforms."""

Tables = tuple[Real, Real, Real, NDArray[np.int64]]
"""Twiddle factors of the passes, of a first pass of radix 2 and of the halves, and where each bin stands."""


def is_power_of_two(length: int) -> bool:
    """Tell whether `power_spectra` takes frames of this length; the others are for `scipy_power_spectra`."""
    return length >= SHORTEST and length & (length - 1) == 0


def fourier_tables(length: int, dtype: type[np.floating]) -> Tables:
    """Return what `power_spectra` needs for frames of a length, a power of two from 8 on."""
    size = length // 2
    odd = (size.bit_length() - 1) % 2 == 1
    pair = _twiddles(np.arange(size // 2 if odd else 1), size)
    halves = _twiddles(np.arange(size // 2 + 1), length)
    parts = [np.zeros(0)]
    quarter = 1
    while 4 * quarter <= size:
        parts.append(np.stack([_twiddles(j * np.arange(quarter), 4 * quarter) for j in (1, 2, 3)], axis=1).reshape(-1))
        quarter *= 4
    return (
        np.concatenate(parts).astype(dtype),
        pair.reshape(-1).astype(dtype),
        halves.astype(dtype),
        _bit_reversal(size, odd=odd),
    )


def _twiddles(exponent: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return exp(-2 pi i exponent / size), array [..., 2]."""
    return np.stack(cosine_and_sine(-exponent / size), axis=-1)


def _bit_reversal(size: int, *, odd: bool) -> NDArray[np.int64]:
    """Return where bin k stands after the passes, times 16; bin `size` is bin 0 again."""
    rest, place, block = np.arange(size), np.zeros(size, np.int64), size
    while block > 1:
        radix = 2 if odd and block == size else 4
        block //= radix
        place += rest % radix * block
        rest //= radix
    return np.append(place, 0) * (2 * LANES)


_BLOCK = 256
"""Complex numbers of eight frames that are transformed at a time: 16 KB in float32."""


def scipy_power_spectra(frames: Real, length: int, powers: Real) -> None:
    """Do what `power_spectra` does for frames of any length."""
    spectrum = scipy.fft.rfft(frames.reshape(length, LANES), axis=0, workers=1)
    powers[:] = (spectrum.real**2 + spectrum.imag**2).reshape(-1)


@kernel
def power_spectra(frames: Real, tables: Tables, powers: Real) -> None:
    """Write |X|**2, array [bins * 8], of eight frames [length * 8], which are overwritten."""
    twiddles, pair, halves, bit_reversal = tables
    size = len(bit_reversal) - 1
    block = size
    if len(pair) > 2 or size == 2:
        _pair_pass(frames, size, pair)
        block //= 2
    while block > _BLOCK:
        for begin in range(0, size, block):
            _pass(frames, begin, block, twiddles)
        block //= 4
    for begin in range(0, size, block):
        small = block
        while small > 4:
            for inner in range(begin, begin + block, small):
                _pass(frames, inner, small, twiddles)
            small //= 4
        if small == 4:
            _fours(frames, begin, block)
    _powers(frames, halves, bit_reversal, powers)


@kernel
def _pass(x: Real, begin: int, size: int, twiddles: Real) -> None:
    """Make a pass over numbers `begin` to `begin + size`: part j of four then holds what bins 4 q + j come from.

    With N = 4 M, w = exp(-2 pi i / N) and a, c = x[p] + x[p + 2 M], x[p + M] + x[p + 3 M], b and d their differences,

        X[4 q + j] = sum over p < M of w**(4 q p) * w**(j p) * (a + c, b - i d, a - c, b + i d)[j].
    """
    quarter = size // 4
    far, table = 16 * quarter, 2 * (quarter - 1)
    for p in range(quarter):
        i = 16 * (begin + p)
        j, k, m, w = i + far, i + 2 * far, i + 3 * far, table + 6 * p
        x0r, x1r, x2r, x3r = load(x, i), load(x, j), load(x, k), load(x, m)
        x0i, x1i, x2i, x3i = load(x, i + 8), load(x, j + 8), load(x, k + 8), load(x, m + 8)
        ar, ai, br, bi = x0r + x2r, x0i + x2i, x0r - x2r, x0i - x2i
        cr, ci, dr, di = x1r + x3r, x1i + x3i, x1r - x3r, x1i - x3i
        store(x, i, ar + cr)
        store(x, i + 8, ai + ci)
        _store_twiddled(x, j, br + di, bi - dr, twiddles, w)
        _store_twiddled(x, k, ar - cr, ai - ci, twiddles, w + 2)
        _store_twiddled(x, m, br - di, bi + dr, twiddles, w + 4)


@kernel
def _fours(x: Real, begin: int, count: int) -> None:
    """Make the last pass, over groups of four numbers, whose twiddle factors are all 1."""
    for i in range(16 * begin, 16 * (begin + count), 64):
        x0r, x1r, x2r, x3r = load(x, i), load(x, i + 16), load(x, i + 32), load(x, i + 48)
        x0i, x1i, x2i, x3i = load(x, i + 8), load(x, i + 24), load(x, i + 40), load(x, i + 56)
        ar, ai, br, bi = x0r + x2r, x0i + x2i, x0r - x2r, x0i - x2i
        cr, ci, dr, di = x1r + x3r, x1i + x3i, x1r - x3r, x1i - x3i
        store(x, i, ar + cr)
        store(x, i + 8, ai + ci)
        store(x, i + 16, br + di)
        store(x, i + 24, bi - dr)
        store(x, i + 32, ar - cr)
        store(x, i + 40, ai - ci)
        store(x, i + 48, br - di)
        store(x, i + 56, bi + dr)


@kernel
def _store_twiddled(x: Real, place: int, real: Real, imaginary: Real, twiddles: Real, w: int) -> None:
    real, imaginary = _twiddled(real, imaginary, spread(twiddles[w]), spread(twiddles[w + 1]))
    store(x, place, real)
    store(x, place + 8, imaginary)


@kernel
def _twiddled(real: Lanes, imaginary: Lanes, wr: Lanes, wi: Lanes) -> tuple[Lanes, Lanes]:
    """Return the product of two complex numbers."""
    return fma(real, wr, -(imaginary * wi)), fma(real, wi, imaginary * wr)


@kernel
def _pair_pass(x: Real, size: int, pair: Real) -> None:
    """Make the first pass, of radix 2, where the size is no power of four."""
    for p in range(size // 2):
        i, j = 16 * p, 16 * p + 8 * size
        ar, ai, br, bi = load(x, i), load(x, i + 8), load(x, j), load(x, j + 8)
        store(x, i, ar + br)
        store(x, i + 8, ai + bi)
        _store_twiddled(x, j, ar - br, ai - bi, pair, 2 * p)


@kernel
def _powers(x: Real, halves: Real, bit_reversal: NDArray[np.int64], powers: Real) -> None:
    """Take the halves apart: X[k] = E[k] + w**k O[k] and X[size - k] = conj(E[k] - w**k O[k]).

    2 E[k] = Z[k] + conj(Z[size - k]) and 2 O[k] = -i (Z[k] - conj(Z[size - k])): the factors 2 leave as 1/4 at the end.
    """
    size = len(bit_reversal) - 1
    real, imaginary = load(x, 0), load(x, 8)
    store(powers, 0, (real + imaginary) * (real + imaginary))
    store(powers, 8 * size, (real - imaginary) * (real - imaginary))
    quarter = spread(halves.dtype.type(0.25))
    for k in range(1, size // 2 + 1):
        i, j = bit_reversal[k], bit_reversal[size - k]
        zr, zi, mr, mi = load(x, i), load(x, i + 8), load(x, j), load(x, j + 8)
        er, ei = zr + mr, zi - mi
        gr, gi = _twiddled(zi + mi, mr - zr, spread(halves[k, 0]), spread(halves[k, 1]))
        ar, ai, br, bi = er + gr, ei + gi, er - gr, ei - gi
        store(powers, 8 * k, fma(ar, ar, ai * ai) * quarter)
        store(powers, 8 * (size - k), fma(br, br, bi * bi) * quarter)
