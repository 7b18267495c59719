"""How a model is run on batches: device, precision, memory layout and padding, decided once."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from models.batches.loader import Batch, PadCollate, Padding, ViewDataset, batches, prefetched
from models.batches.normalisation import Normalisation
from models.batches.residence import DeviceDataset
from models.errors import TrainingError
from models.networks import model_card
from models.training_spec import TrainingSpec

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`."""


@dataclass(frozen=True)
class Execution:
    """The way a model is run, in training and afterwards."""

    device: torch.device
    bfloat16: bool
    """Autocast to bfloat16; weights and batch-norm statistics stay float32."""
    channels_last: bool
    side: str
    """Side of the padding, or `joined`."""
    multiple: int
    """Clips begin at multiples of this, see `Padding`."""
    normalisation: Normalisation | None = None
    """What batches are normalised by on the device."""

    @classmethod
    def of(cls, model: str, settings: Mapping[str, Any], spec: TrainingSpec, device: str = "auto") -> Execution:
        """Decide how to run a model of the registry; see `check_padding` for what is refused."""
        check_padding(model, settings, spec)
        chosen = choose_device(device)
        stride = 1 if settings.get("plain_padding") else model_card(model).time_stride
        bfloat16 = computes_in_bfloat16(spec.precision, chosen)
        return cls(chosen, bfloat16, spec.channels_last, spec.padding, stride)

    def normalising(self, normalisation: Normalisation | None) -> Execution:
        """Return the same execution with batches normalised by fitted statistics, or not at all."""
        return replace(self, normalisation=normalisation)

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, in the memory layout."""
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model.to(self.device)

    def feed(self, dataset: ViewDataset, order: Iterable[Sequence[int]]) -> Generator[Batch, None, None]:
        """Yield the batches of an order, float32 on the device and normalised; close it when a loop ends early.

        Rows that lie on the device are gathered there. For a GPU, others are read and copied ahead by a thread. On a
        CPU the reader takes less than a hundredth of a step, and a thread would take it from the same cores.
        """
        if self.normalisation is None:
            yield from self._plain(dataset, order)
            return
        normalise = self.normalisation.normaliser(self.device, dataset)
        with closing(self._plain(dataset, order)) as plain:
            for batch in plain:
                yield normalise(batch)

    def _plain(self, dataset: ViewDataset, order: Iterable[Sequence[int]]) -> Generator[Batch, None, None]:
        padding = Padding(self.side, self.multiple)
        if isinstance(dataset, DeviceDataset):
            for rows in order:
                yield dataset.gather(rows, padding)
        elif self.device.type == "cuda":
            yield from prefetched(dataset, order, padding, self.device)
        else:
            for batch in batches(dataset, order, PadCollate(self.side, self.multiple, reused=True)):
                yield batch.to(self.device)

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the logits of a batch on the device, float32 `[batch, classes]`."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            outputs: Tensor = model(batch.features, batch.lengths, batch.starts)
        return outputs.float()


BATCH = 32
"""Clips at a time where nothing is learnt."""


@torch.no_grad()
def view_logits(model: nn.Module, dataset: ViewDataset, execution: Execution) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs `[batch, outputs]` and targets of all rows, shortest clips first."""
    model.eval()
    order = by_length(dataset.view.frames.tolist(), BATCH)
    with closing(execution.feed(dataset, order)) as feed:
        for batch in feed:
            yield execution.logits(model, batch), batch.labels


def check_padding(model: str, settings: Mapping[str, Any], spec: TrainingSpec) -> None:
    """Raise `TrainingError` if padding is `joined` and the model would mix the clips up."""
    if spec.padding != "joined":
        return
    if not model_card(model).joins:
        raise TrainingError(
            f"padding joined: {model} reads each clip on a row of its own. Use '--set padding=left' or 'right'."
        )
    if settings.get("plain_padding"):
        raise TrainingError(
            "padding joined leaves no padding that plain_padding could take as data: use '--set padding=left', or "
            "leave out plain_padding."
        )


def by_length(frames: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return all rows in batches of like length, shortest first: the cheapest order for inference."""
    rows = sorted(range(len(frames)), key=lambda row: int(frames[row]))
    return [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; `auto` is that of `FEATURESTORE_DEVICE`, else a GPU where torch finds one.

    Raises
    ------
    TrainingError
        If the device is unknown or not there.
    """
    if name == "auto":
        name = os.environ.get("FEATURESTORE_DEVICE", "").strip() or "auto"
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise TrainingError(f"unknown device {name!r}: use auto, cpu or cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise TrainingError("device cuda: torch finds no usable GPU here; use '--device cpu' or '--device auto'.")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Return the device in words, such as `cpu (2 threads)` and `cpu (1 thread)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'s' if threads > 1 else ''})"


def computes_in_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether to autocast: `auto` does where bfloat16 products are native (GPUs, CPUs with AVX-512 BF16 or AMX).

    Elsewhere bfloat16 is emulated and several times slower than float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> bool:
    """Let the process keep the memory it frees, and return whether that could be set (glibc on Linux only).

    The C library hands blocks above 32 MB back to the system and fetches them again, page by page, in every training
    step. Where first touches of memory are slow, that halves the speed of a CNN on the CPU. The setting is the whole
    process's, so training makes it and importing does not.
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

    TF32 (10 bits of mantissa, many times as fast) is used where autocast leaves float32, above all in the LSTM, unless
    the precision is `float32`. cuDNN does not benchmark its algorithms: batches of speech come in dozens of lengths,
    and it would do so for each.
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
