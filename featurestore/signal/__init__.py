"""Signal processing: from the bytes of a recording to one row of features."""

KERNELS_NOT_KEPT = "FEATURESTORE_KERNELS_NOT_KEPT"
"""Set in the environment once a process has reported that compiled code cannot be kept, so that others need not."""
