"""Where the clips of a batch stand on the padded time axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LENGTH_STEP = 4
"""Batch lengths are multiples of this: oneDNN compiles kernels for every new length (12 to 27 ms) and keeps 1,024."""


@dataclass(frozen=True)
class Padding:
    """On which side clips are padded, and in which steps.

    With `multiple` 1 a batch is as long as its longest clip; otherwise left padding is rounded up to multiples of it,
    so that pooling windows meet a clip where they would meet it alone, and the length to a multiple of `LENGTH_STEP`.
    """

    side: str = "right"
    """`left` or `right`."""
    multiple: int = 1
    """The model's time stride, frames."""

    def __post_init__(self) -> None:
        if self.side not in ("left", "right") or self.multiple < 1:
            raise ValueError(f"side must be left or right and multiple at least 1, not {self.side!r}, {self.multiple}")

    def layout(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return the first real frame of each clip and the frames of the batch, for clips of `frames [batch]`."""
        starts = np.zeros_like(frames)
        if self.side == "left":
            starts = -(-(frames.max() - frames) // self.multiple) * self.multiple
        step = LENGTH_STEP if self.multiple > 1 else 1
        return starts, -(-int((starts + frames).max()) // step) * step
