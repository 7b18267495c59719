"""Change of volume."""

from __future__ import annotations

import numpy as np

from featurestore.signal.elementary import power_of_ten


def volume_gain(gain_db: float) -> np.float32:
    """Return the factor of the samples: 10 ** (gain_db / 20).

    Examples
    --------
    >>> volume_gain(20.0)
    np.float32(10.0)
    """
    return np.float32(power_of_ten(gain_db / 20))
