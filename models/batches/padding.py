"""Where the clips of a batch stand on the time axis: each on a row of its own, padded, or one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = ("left", "right", "joined")
LENGTH_STEP = 4
"""Batch lengths are multiples of this: oneDNN compiles kernels for every new length (12 to 27 ms) and keeps 1,024."""
JOINED_STEP = 64
"""The same for joined clips, whose lengths add up to many more different ones."""


@dataclass(frozen=True)
class Padding:
    """On which side clips are padded, and in which steps; or that they are joined on one time axis.

    With `multiple` 1 a padded batch is as long as its longest clip; otherwise left padding is rounded up to multiples
    of it, so that pooling windows meet a clip where they would meet it alone, and the length to a multiple of
    `LENGTH_STEP`.

    Joined clips begin at multiples of it too, each at the first one after the end of the clip before, where a clip
    shorter than `multiple` counts as that long. With multiple m and a clip that ends at e, the next one begins at
    m floor(e / m) + m. A layer works on frames pooled by some r that divides m. There the clip ends at floor(e / r),
    and the next one begins at a multiple of m / r above e / r, which is 1 more or greater: at least one zero step
    lies between two clips wherever a convolution of size 3 looks, as padding would have it.
    """

    side: str = "right"
    """`left`, `right` or `joined`."""
    multiple: int = 1
    """The model's time stride, frames."""

    def __post_init__(self) -> None:
        if self.side not in SIDES or self.multiple < 1:
            raise ValueError(
                f"side must be one of {', '.join(SIDES)} and multiple at least 1, not {self.side!r}, {self.multiple}"
            )

    @property
    def joined(self) -> bool:
        """Whether all clips of a batch lie on one row."""
        return self.side == "joined"

    def layout(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return the first real frame of each clip and the frames of the batch, for clips of `frames [batch]`."""
        if self.joined:
            return self._one_after_the_other(frames)
        starts = np.zeros_like(frames)
        if self.side == "left":
            starts = -(-(frames.max() - frames) // self.multiple) * self.multiple
        step = LENGTH_STEP if self.multiple > 1 else 1
        return starts, -(-int((starts + frames).max()) // step) * step

    def _one_after_the_other(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        taken = np.maximum(frames, self.multiple)
        starts = np.cumsum((taken // self.multiple + 1) * self.multiple)
        starts = np.append(0, starts[:-1])
        return starts, -(-int(starts[-1] + taken[-1]) // JOINED_STEP) * JOINED_STEP
