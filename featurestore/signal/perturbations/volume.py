"""Change of volume."""

from __future__ import annotations

import numpy as np


def volume_gain(gain_db: float) -> np.float32:
    """Return the factor of the samples: 10 ** (gain_db / 20).

    Examples
    --------
    >>> volume_gain(20.0)
    np.float32(10.0)
    """
    return np.float32(10.0 ** (gain_db / 20))
