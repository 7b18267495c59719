"""Signal processing: from the bytes of a recording to one row of features."""

KERNELS_NOT_KEPT = "FEATURESTORE_KERNELS_NOT_KEPT"
"""Stands in the environment once somebody tells that compiled code cannot be kept, so that others need not."""
