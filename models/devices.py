"""Where and in which precision to compute."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import torch

from models.errors import TrainingError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; `auto` is a GPU where torch finds one.

    Raises
    ------
    TrainingError
        If the device is unknown or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise TrainingError(f"unknown device {name!r}: use auto, cpu or cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise TrainingError("device cuda: torch finds no usable GPU here; use '--device cpu' or '--device auto'.")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Return the device in words, such as `cpu (2 threads)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def computes_in_bfloat16(precision: str, device: torch.device) -> bool:
    """Tell whether to autocast: `auto` does where bfloat16 products are native (GPUs, CPUs with AVX-512 BF16 or AMX).

    Elsewhere bfloat16 is emulated and several times slower than float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return a context that computes in the tensors' own types; devices without autocast do so anyway."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def keep_freed_memory() -> bool:
    """Let the process keep the memory it frees, and tell whether that could be set (glibc on Linux only).

    The C library hands blocks above 32 MB back to the system and fetches them anew, page by page, in every training
    step. On a machine where first touches are slow this halves the speed of a CNN on the CPU. It concerns the
    whole process, so training calls it and importing does not.
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
    return False


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Set how a GPU computes float32 products while a body runs, and put it back afterwards.

    TF32 (10 bits of mantissa, at many times the speed) serves what autocast leaves in float32, the LSTM above all;
    `float32` asked for by name means float32 everywhere. cuDNN does not try its algorithms out: batches of speech come
    in dozens of lengths, and each would be tried anew.
    """
    if device.type != "cuda":
        yield
        return
    reduced, before = precision != "float32", torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if reduced else "highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=reduced):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
