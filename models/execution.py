"""How a model is run on batches: device, precision, memory layout and padding, decided once."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from models.batches.normalisation import Normalisation
from models.batches.prefetch import prefetched
from models.batches.residence import DeviceDataset
from models.data import Batch, PadCollate, Padding, ViewDataset, batches
from models.devices import choose_device, computes_in_bfloat16
from models.errors import TrainingError
from models.registry import model_card
from models.training_spec import TrainingSpec


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

    def collate(self) -> PadCollate:
        """Return a collate function with a buffer of its own."""
        return PadCollate(self.side, self.multiple, reused=True)

    def feed(self, dataset: ViewDataset, order: Iterable[Sequence[int]]) -> Generator[Batch, None, None]:
        """Yield the batches of an order, float32 on the device and normalised; close it when a loop ends early.

        Rows that lie on the device are gathered there. For a GPU, others are read and copied ahead by a thread. On a
        CPU the reader takes less than a hundredth of a step, and a thread would take it from the same cores.
        """
        if self.normalisation is None:
            yield from self._plain(dataset, order)
            return
        change = self.normalisation.change(self.device, dataset)
        with closing(self._plain(dataset, order)) as plain:
            for batch in plain:
                yield change(batch)

    def _plain(self, dataset: ViewDataset, order: Iterable[Sequence[int]]) -> Generator[Batch, None, None]:
        padding = Padding(self.side, self.multiple)
        if isinstance(dataset, DeviceDataset):
            for rows in order:
                yield dataset.gather(rows, padding)
        elif self.device.type == "cuda":
            yield from prefetched(dataset, order, padding, self.device)
        else:
            for batch in batches(dataset, order, self.collate()):
                yield batch.to(self.device)

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the logits of a batch on the device, float32 `[batch, classes]`."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            outputs: Tensor = model(batch.features, batch.lengths, batch.starts)
        return outputs.float()


def check_padding(model: str, settings: Mapping[str, Any], spec: TrainingSpec) -> None:
    """Raise `TrainingError` if clips are to be joined for a model that would mix them up."""
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
