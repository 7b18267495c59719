"""The device that rows are computed on, and work in pieces of one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from featurestore.errors import BuildError


def open_device(name: str) -> torch.device:
    """Return the torch device of a name: `cuda`, `cuda:1`, or `torch-cpu`, the processor, which is for testing.

    Raises
    ------
    BuildError
        If torch finds no such GPU.
    """
    if name == "torch-cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        reason = "this torch has no CUDA" if torch.version.cuda is None else "torch finds no usable GPU here"
        raise BuildError(f"--device {name}: {reason}; leave --device out to compute on the processor.")
    number = int(name.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise BuildError(f"--device {name}: there are {torch.cuda.device_count()} GPUs, numbered from cuda:0.")
    return torch.device("cuda", number)


def any_device() -> torch.device:
    """Return a GPU if torch finds one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_gpu() -> bool:
    """Tell whether torch finds a GPU."""
    return bool(torch.cuda.is_available())


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
