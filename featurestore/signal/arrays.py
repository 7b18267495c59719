"""The array types that signatures speak of."""

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
