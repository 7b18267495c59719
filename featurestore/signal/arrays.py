"""The array types that signatures speak of, and whether the numbers of one are finite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]
"""Samples, array [time]."""
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Real = NDArray[np.float32] | NDArray[np.float64]
"""Values in the precision of the computation at hand."""
Row = NDArray[np.float16] | NDArray[np.float32]
"""One row of the store, array [frames, width]."""


def is_finite(row: Row) -> bool:
    """Tell whether every value of a stored row is a finite number."""
    if row.dtype == np.float16:  # numpy's own test takes ten times as long for it
        return bool(np.all(row.view(np.uint16) & np.uint16(0x7C00) != 0x7C00))
    return bool(np.isfinite(row).all())
