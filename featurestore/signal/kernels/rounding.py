"""Rows in their storage type: every value finite, rounded from float32 to nearest with ties to even.

numpy converts one value at a time; `round_to_half` gives the same bits on all lanes of the processor.

A float32 has 23 bits of mantissa and a bias of 127, a float16 has 10 and 15. So 13 bits are dropped and the exponent
falls by 112. Adding half of the last bit kept, less one, plus that bit itself (0xFFF + odd) before the shift rounds to
nearest with ties to even; a carry out of the mantissa raises the exponent, as it should.

References
----------
Giesen, "float->half variants": `float_to_half_fast3_rtne` rounds in this way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.errors import AudioError
from featurestore.signal.arrays import Float32, Row
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.level import largest

_SIGN, _MAGNITUDE = np.int32(-(2**31)), np.int32(0x7FFFFFFF)
_INFINITY_32, _OVERFLOW_32, _SMALLEST_NORMAL = np.int32(0x7F800000), np.int32(0x477FF000), np.int32(0x38800000)
_INFINITY_16, _QUIET_16 = np.int32(0x7C00), np.int32(0x7E00)
_REBIAS, _HALF_STEP = np.int32((127 - 15) << 23), np.int32(0xFFF)
_ONE_HALF, _HALF_BITS = np.float32(0.5), np.int32(0x3F000000)
_ONE, _DROPPED, _SIXTEEN, _TEN = np.int32(1), np.int32(13), np.int32(16), np.int32(0x3FF)

OVERFLOW, VANISHING = 65_520.0, 2.0**-25
"""The least value that float16 rounds to infinity, and the largest that it rounds to zero."""


def stored(row: Float32, dtype: str) -> Row:
    """Return a row in its storage type, `float16` or `float32`.

    Raises
    ------
    AudioError
        If a value is not finite there, or all of them would vanish.
    """
    most = float(largest(row.reshape(-1)))
    if not np.isfinite(most):
        raise AudioError("its features are not finite.")
    if dtype == "float32":
        return row
    if most >= OVERFLOW:
        raise AudioError(f"values up to {most:,.6g} do not fit float16: dtype=float32 stores them.")
    if 0 < most <= VANISHING:
        raise AudioError(f"values up to {most:.3g} vanish in float16: dtype=float32 stores them.")
    halves = np.empty(row.shape, np.float16)
    round_to_half(row.reshape(-1), halves.reshape(-1).view(np.uint16))
    return halves


@kernel
def round_to_half(values: NDArray[np.float32], halves: NDArray[np.uint16]) -> None:
    """Write the bits of float16(values).

    Parameters
    ----------
    values : array [size], float32
    halves : array [size], uint16
        Overwritten; the memory of a float16 array seen as whole numbers.
    """
    bits = values.view(np.int32)
    for i in range(len(bits)):
        magnitude = np.int32(bits[i] & _MAGNITUDE)
        odd = (magnitude >> _DROPPED) & _ONE
        normal = (magnitude - _REBIAS + _HALF_STEP + odd) >> _DROPPED
        # Adding one half aligns a subnormal's bits at the end of the mantissa, rounded by the processor.
        subnormal = np.float32(magnitude.view(np.float32) + _ONE_HALF).view(np.int32) - _HALF_BITS
        half = subnormal if magnitude < _SMALLEST_NORMAL else normal
        half = _INFINITY_16 if magnitude >= _OVERFLOW_32 else half
        quiet = _QUIET_16 | ((magnitude >> _DROPPED) & _TEN)
        half = quiet if magnitude > _INFINITY_32 else half
        halves[i] = np.uint16(half | ((bits[i] & _SIGN) >> _SIXTEEN) & np.int32(0x8000))
