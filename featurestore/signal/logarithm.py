"""The natural logarithm in single precision, as a formula without branches that runs on all lanes of the processor."""

from __future__ import annotations

import numpy as np

from featurestore.signal.kernel import inlined
from featurestore.signal.lanes import fma

ROOT_HALF_BITS = 0x3F3504F3
"""The bits of float32(sqrt(1/2)): mantissas are taken from [sqrt(1/2), sqrt(2)), where log is smallest."""
_BITS, _SHIFT = np.int32(ROOT_HALF_BITS), np.int32(23)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
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
    return np.float32(fma(scale, _LN2_HIGH, x + fma(x * square, p, fma(scale, _LN2_LOW, -_HALF * square))))
