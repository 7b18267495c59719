"""All rows of a view in memory, so that batches are gathered by index: in RAM, or on the GPU itself.

The rows lie end to end in one array `[frames of all rows, bands]` of the storage type. They are read once, through
the checks of the store, and a batch has the same bits as when it is read from the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batches.loader import TORCH_TYPES, Batch, FeatureView, Padding, ViewDataset
from models.errors import TrainingError
from models.layers.frames import RealFrames, to_device
from models.training_spec import TrainingSpec

GPU_SHARE = 0.6
"""Share of the free GPU memory that rows may take; the model's activations need the rest."""
RAM_SHARE = 0.5
"""Share of the available RAM that rows may take."""
PIECE = 64 * 2**20
"""Bytes that are read before they are sent to a GPU."""


def view_bytes(view: FeatureView) -> int:
    """Return the bytes of all rows of a view."""
    return int(view.frames.sum(dtype=np.int64)) * view.bands * np.dtype(view.features.dtype).itemsize


def available_ram() -> int:
    """Return the bytes of memory that this process can still take, by the system and by its control group."""
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 2**63)
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return max(free, 0)


def fits_in_ram(view: FeatureView) -> bool:
    """Tell whether all rows of a view fit into RAM with a margin."""
    return view_bytes(view) <= RAM_SHARE * available_ram()


def fits_on_gpu(view: FeatureView, device: torch.device) -> bool:
    """Tell whether all rows of a view fit into the free memory of a GPU with a margin."""
    return device.type == "cuda" and view_bytes(view) <= GPU_SHARE * torch.cuda.mem_get_info(device)[0]


def resolve_shuffle(spec: TrainingSpec, view: FeatureView) -> str:
    """Return the order that `shuffle = auto` means for a view: `global` or `blocks`.

    A global order costs nothing where every row is one read away: in a store on this machine, or if all rows
    are held. Otherwise it would fetch a whole shard for every row.
    """
    if spec.shuffle != "auto":
        return spec.shuffle
    held = spec.residence in ("ram", "gpu") or (spec.residence == "auto" and fits_in_ram(view))
    return "global" if view.random_access or held else "blocks"


def resolve_residence(spec: TrainingSpec, view: FeatureView, device: torch.device) -> str:
    """Return what `residence` means for a view on a device: `none`, `ram` or `gpu`.

    `auto` holds rows on a GPU where they fit. RAM is for stores that fetch whole shards: rows of a local one are
    in the system's cache of files already.

    Raises
    ------
    TrainingError
        If a place was asked for by name and the rows do not fit into it.
    """
    if spec.residence == "auto":
        if fits_on_gpu(view, device):
            return "gpu"
        return "ram" if not view.random_access and fits_in_ram(view) else "none"
    if spec.residence == "gpu" and device.type != "cuda":
        raise TrainingError(f"residence gpu needs a GPU, not {device.type}: use '--set residence=auto'.")
    fits = {"none": True, "ram": fits_in_ram(view), "gpu": fits_on_gpu(view, device)}
    if not fits[spec.residence]:
        raise TrainingError(
            f"dataset {view.name}: {view_bytes(view) / 1e9:,.1f} GB of rows do not fit into the free memory "
            f"({spec.residence}): use '--set residence=none'."
        )
    return spec.residence


def reside(dataset: ViewDataset, place: str, device: torch.device) -> ViewDataset:
    """Return the dataset with its rows in `ram` or on the `gpu`, or as it is for `none`."""
    if place == "none":
        return dataset
    return RamDataset(dataset) if place == "ram" else DeviceDataset(dataset, device)


class RamDataset(ViewDataset):
    """A dataset whose rows lie in RAM; `DamagedObjectError` if a chunk of them is damaged."""

    def __init__(self, dataset: ViewDataset) -> None:
        super().__init__(dataset.view, dataset.classes, dataset.targets)
        self._ends = np.cumsum(self.view.frames, dtype=np.int64)
        frames = int(self._ends[-1]) if len(self._ends) else 0
        self._rows = np.empty((frames, self.view.bands), np.dtype(self.view.features.dtype))
        order = shard_by_shard(self.view)
        self.view.expect(order.tolist())
        for row in order.tolist():
            stop = int(self._ends[row])
            start = stop - int(self.view.frames[row])
            self.view.read(np.array([row]), self._rows[None, start:stop])

    @property
    def random_access(self) -> bool:
        """True: the rows are here."""
        return True

    def expect(self, rows: Iterable[int]) -> None:
        """Do nothing: the rows are here."""

    def __getitem__(self, row: int) -> tuple[NDArray[Any], Any]:
        """Return features `array [frames, bands]` and the class number, or other target, of a row."""
        stop = int(self._ends[row])
        return self._rows[stop - int(self.view.frames[row]) : stop], self.targets[row].tolist()

    def read(self, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool = False) -> None:
        """Copy rows into `out [rows, longest, bands]`, padded with 0."""
        stops, lengths, longest = self._ends[rows].tolist(), self.view.frames[rows].tolist(), out.shape[1]
        for target, stop, length in zip(out, stops, lengths, strict=True):
            first = longest - length if left else 0
            target[:first] = 0
            target[first : first + length] = self._rows[stop - length : stop]
            target[first + length :] = 0


def shard_by_shard(view: FeatureView) -> NDArray[np.int64]:
    """Return the rows of a view in an order that opens each shard once."""
    return np.argsort(view.shards, kind="stable")


class DeviceDataset(ViewDataset):
    """A dataset whose rows lie on a device, where batches are gathered; `DamagedObjectError` if a chunk is damaged."""

    def __init__(self, dataset: ViewDataset, device: torch.device) -> None:
        super().__init__(dataset.view, dataset.classes, dataset.targets)
        self.device = device
        order = shard_by_shard(self.view)
        frames = self.view.frames[order].astype(np.int64)
        ends = np.cumsum(frames)
        total = int(frames.sum())
        dtype = TORCH_TYPES[self.view.features.dtype]
        self._rows = torch.zeros(total + 1, self.view.bands, dtype=dtype, device=device)  # the last one is padding
        for first, stop, piece in pieces(dataset, order, ends, pinned=device.type == "cuda"):
            self._rows[first:stop].copy_(piece)
        self._starts = np.empty(len(order), np.int64)
        self._starts[order] = ends - frames
        self._labels = self.targets.to(device)

    def expect(self, rows: Iterable[int]) -> None:
        """Do nothing: the rows are here."""

    def gather(self, rows: Sequence[int], padding: Padding) -> Batch:
        """Return the batch of some rows, float32 on the device: what is sent there is four numbers a clip."""
        chosen = np.asarray(rows, np.int64)
        frames = self.view.frames[chosen].astype(np.int64)
        starts, room = padding.layout(frames)
        numbers = torch.from_numpy(np.stack([chosen, self._starts[chosen], starts, frames]))
        row, place, first, length = to_device(numbers, self.device)
        real = RealFrames(numbers[2], numbers[3], torch.stack([first, length]), padding.joined)
        offset = real.spread((place - first)[:, None], room)[:, :, 0]
        index = torch.arange(room, device=self.device) + offset
        features = self._rows[torch.where(real.mask(room), index, len(self._rows) - 1)].float()
        labels = self._labels[row]
        return Batch(features, torch.from_numpy(frames), torch.from_numpy(starts), labels, torch.from_numpy(chosen))


def pieces(
    dataset: ViewDataset, order: NDArray[np.int64], ends: NDArray[np.int64], *, pinned: bool
) -> Iterator[tuple[int, int, Tensor]]:
    """Read the rows of an order end to end, a piece at a time.

    Yields
    ------
    tuple
        First frame, end, and `[end - first, bands]` in a buffer that is used again.
    """
    bands, frames, dtype = dataset.view.bands, dataset.view.frames, TORCH_TYPES[dataset.view.features.dtype]
    room = max(PIECE // (bands * dtype.itemsize), int(frames.max(initial=1)))
    buffer = torch.empty(room, bands, dtype=dtype, pin_memory=pinned)
    rows, first, filled = buffer.numpy(), 0, 0
    dataset.expect(order.tolist())
    for row, stop in zip(order.tolist(), ends.tolist(), strict=True):
        length = int(frames[row])
        if stop - first > room:
            yield first, first + filled, buffer[:filled]
            first, filled = first + filled, 0
        dataset.read(np.array([row]), rows[None, filled : filled + length])
        filled += length
    yield first, first + filled, buffer[:filled]
