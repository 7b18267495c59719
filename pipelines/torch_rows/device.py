"""Which device rows are computed on, by the name that a user gives it."""

from __future__ import annotations

import torch

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
