"""Elementary functions that have the same bits on every processor: in float64 by series, and the logarithm in float32.

The libraries of a system, and numpy above them, have several versions of each function and choose by processor; they
differ in the last bit. Here are sums, products and quotients alone, each of which every processor rounds alike. Errors
are about one unit in the last place. Arrays go through numpy; kernels compile the same formulas for single numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from featurestore.signal.arrays import Float64
from featurestore.signal.kernels.compiled import inlinable, inlined, kernel
from featurestore.signal.kernels.simd import fma

LN2, LN10 = 0.6931471805599453, 2.302585092994046
_ROOT_HALF = 0.7071067811865476
# log(2) in two parts (Cody and Waite 1980, "Software manual for the elementary functions"; digits of fdlibm's e_exp.c):
# the high part ends in 21 zero bits, so its product with any exponent is exact; the low part has what it lacks.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# Taylor series of (exp(r) - 1 - r) / r**2, (sin(x) - x) / x**3, (cos(x) - 1) / x**2 and, with x = (1 + s) / (1 - s), of
# (log(x) - 2 s) / s**3, in powers of r, x**2 and s**2, the highest first.
_EXP = tuple(1 / math.factorial(k) for k in range(13, 1, -1))
_SIN = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, 0, -1))
_COS = tuple((-1) ** k / math.factorial(2 * k) for k in range(9, 0, -1))
_LOG = tuple(2 / (2 * k + 1) for k in range(11, 0, -1))

Numbers = Any
"""A float or an array of float64; functions return the like."""


@inlinable
def exp(x: Numbers) -> Numbers:
    """Return e**x = 2**n e**r with n = round(x / log 2), so that |r| is at most log(2) / 2 and its series is short."""
    twos = np.rint(x * (1 / LN2))
    rest = (x - twos * _LN2_HIGH) - twos * _LN2_LOW
    return np.ldexp(1.0 + (rest + rest * rest * _polynomial(rest, _EXP)), np.int32(twos))


@inlinable
def exp10(x: Numbers) -> Numbers:
    """Return 10**x."""
    return exp(x * LN10)


@kernel
def power_of_ten(x: float) -> float:
    """Return 10**x of one number: `exp10` compiled, which takes a microsecond instead of twenty."""
    return float(exp10(x))


def log(x: Numbers) -> Numbers:
    """Return the natural logarithm of positive numbers.

    x = 2**n m with m in [sqrt(1/2), sqrt(2)), and m = (1 + s) / (1 - s), whose series has odd powers of s alone.
    """
    mantissa, twos = np.frexp(x)
    small = mantissa < _ROOT_HALF
    mantissa, twos = np.where(small, 2 * mantissa, mantissa), twos - small
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    return twos * _LN2_HIGH + (2 * s + (s * square * _polynomial(square, _LOG) + twos * _LN2_LOW))


def cosine_and_sine(turns: Numbers) -> tuple[Float64, Float64]:
    """Return the cosine and the sine of angles of 2 pi turns.

    Whole quarters of a turn come off exactly and choose the function and its sign; what is left lies within pi / 4.
    """
    quarters = np.rint(4 * turns)
    x = (turns - quarters / 4) * (2 * np.pi)
    square = x * x
    sine, cosine = x + x * square * _polynomial(square, _SIN), 1.0 + square * _polynomial(square, _COS)
    quadrant = quarters.astype(np.int64) % 4
    return (
        np.choose(quadrant, (cosine, -sine, -cosine, sine)),
        np.choose(quadrant, (sine, cosine, -sine, -cosine)),
    )


def bessel_i0(x: Numbers) -> Numbers:
    """Return the modified Bessel function of the first kind of order 0, for |x| up to 20.

    The sum of (x**2 / 4)**k / (k!)**2 (Abramowitz and Stegun 9.6.12); no term is negative, so nothing cancels.
    """
    quarter, term, total = x * x / 4, np.ones_like(x), np.ones_like(x)
    for k in range(1, 50):
        term = term * quarter / (k * k)
        total = total + term
    return total


@inlinable
def _polynomial(x: Numbers, coefficients: tuple[float, ...]) -> Numbers:
    """Return the polynomial with these coefficients, that of the highest power first."""
    total = x * 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


ROOT_HALF_BITS = 0x3F3504F3
"""The bits of float32(sqrt(1/2)): mantissas are taken from [sqrt(1/2), sqrt(2)), where log is smallest."""
_BITS, _SHIFT = np.int32(ROOT_HALF_BITS), np.int32(23)
_LN2_HIGH_SINGLE, _LN2_LOW_SINGLE = np.float32(0.693359375), np.float32(-2.12194440e-4)
_HALF, _ONE = np.float32(0.5), np.float32(1)
_C0, _C1, _C2 = np.float32(7.0376836292e-2), np.float32(-1.1514610310e-1), np.float32(1.1676998740e-1)
_C3, _C4, _C5 = np.float32(-1.2420140846e-1), np.float32(1.4249322787e-1), np.float32(-1.6668057665e-1)
_C6, _C7, _C8 = np.float32(2.0000714765e-1), np.float32(-2.4999993993e-1), np.float32(3.3333331174e-1)


@inlined
def natural_log(value: np.float32) -> np.float32:
    """Return log(value) of a positive normal float32 to about two units in the last place.

    value = 2**e * (1 + x); log(1 + x) = x - x**2 / 2 + x**3 * p(x).

    References
    ----------
    Moshier, Cephes Mathematical Library, `logf`: the coefficients of p and the splitting of log(2).
    """
    bits = np.float32(value).view(np.int32)
    exponent = (bits - _BITS) >> _SHIFT
    x = np.int32(bits - (exponent << _SHIFT)).view(np.float32) - _ONE
    square = x * x
    p = fma(fma(fma(_C0, x, _C1), x, _C2), x, _C3)
    p = fma(fma(fma(p, x, _C4), x, _C5), x, _C6)
    p = fma(fma(p, x, _C7), x, _C8)
    scale = np.float32(exponent)
    return np.float32(
        fma(scale, _LN2_HIGH_SINGLE, x + fma(x * square, p, fma(scale, _LN2_LOW_SINGLE, -_HALF * square)))
    )
