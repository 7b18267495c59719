"""Work in pieces of one shape: no library can choose another algorithm, so rounding, for another number of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

FRAMES = {"cpu": 256, "cuda": 4096}
"""Frames of a piece: what fits a processor's cache; what keeps a GPU busy."""


def frames_of(device: torch.device) -> int:
    """Return the frames of a piece on a device."""
    return FRAMES.get(device.type, FRAMES["cuda"])


def piece_bounds(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield first and stop of pieces of `size`; the last may be shorter."""
    for first in range(0, count, size):
        yield first, min(count, first + size)


def in_pieces(function: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """Apply a function to frames [count, length] in pieces of one size, the last filled up with zeros."""
    size = frames_of(frames.device)
    results = []
    for first, stop in piece_bounds(len(frames), size):
        piece = frames[first:stop]
        if stop - first < size:
            piece = torch.cat([piece, piece.new_zeros(size - len(piece), *piece.shape[1:])])
        results.append(function(piece)[: stop - first])
    return torch.cat(results)
