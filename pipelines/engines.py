"""What computes rows: the processor's own engine, or torch on a device, by the name of `--device`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from featurestore.errors import UnknownNameError
from featurestore.specs.rows import RowSpec
from featurestore.specs.versions import CPU, TORCH

if TYPE_CHECKING:
    from featurestore.rows import Engine

DEVICES = ("auto", "cpu", "cuda", "torch-cpu")


def chosen_device(name: str) -> str:
    """Return the device of a name; `auto` is `cuda` where torch finds a GPU, else `cpu`.

    Raises
    ------
    UnknownNameError
        If it is none of `auto`, `cpu`, `cuda`, `cuda:N` and `torch-cpu`.
    """
    if name not in DEVICES and not re.fullmatch(r"cuda:[0-9]{1,3}", name):
        raise UnknownNameError("device", name, DEVICES, "A certain GPU is cuda:N.")
    if name != "auto":
        return name
    from pipelines.torch_rows.device import has_gpu

    return "cuda" if has_gpu() else "cpu"


def engine_of(device: str) -> str:
    """Return the engine that computes rows on a device: `cpu` or `torch`. Nothing heavy is imported."""
    return CPU if device == "cpu" else TORCH


def open_engine(spec: RowSpec, device: str | None = None) -> Engine:
    """Return an engine for the rows of a spec.

    Parameters
    ----------
    spec : RowSpec
        Says which engine.
    device : str, optional
        Where the torch engine computes; by default a GPU if there is one, else the processor.

    Raises
    ------
    BuildError
        If the device is not there.
    """
    if spec.engine == CPU:
        from featurestore.rows import RowEngine

        return RowEngine(spec.features, spec.augmentation)
    from pipelines.torch_rows.device import any_device, open_device
    from pipelines.torch_rows.engine import TorchEngine

    return TorchEngine(spec.features, spec.augmentation, open_device(device) if device else any_device())


@lru_cache(maxsize=2)
def kept_engine(spec: RowSpec) -> Engine:
    """Keep tables, buffers and compiled kernels from one task of a worker to the next."""
    return open_engine(spec)
