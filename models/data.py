"""Views as torch data: batches of padded features, read straight into buffers that are used again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from models.errors import TrainingError

LENGTH_STEP = 4
"""Batch lengths are multiples of this: oneDNN compiles kernels for every new length (12 to 27 ms) and keeps 1,024."""


class FeatureView(Protocol):
    """What training needs of a dataset; `featurestore.view.DatasetView` is one."""

    name: str
    digest: str
    features: FeatureSpec
    augmentation: AugmentationSpec | None

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> tuple[NDArray[Any], str]:
        """Return features `array [frames, bands]` and the label."""

    def read(
        self, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool = False, fill: float = 0.0
    ) -> NDArray[np.int32]:
        """Read rows into `out [rows, longest, bands]`; return their lengths."""

    @property
    def bands(self) -> int:
        """Values of a frame."""

    @property
    def frames(self) -> NDArray[np.int32]:
        """Frames of each row."""

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each row."""

    @property
    def classes(self) -> tuple[str, ...]:
        """All label names, sorted."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Path of each row's recording."""

    @property
    def contents(self) -> tuple[str, ...]:
        """The sha256 of each row's recording."""

    @property
    def copies(self) -> NDArray[np.int32]:
        """Copy index of each row."""

    @property
    def speakers(self) -> Sequence[str | None]:
        """Speaker of each row."""


@dataclass(frozen=True)
class RowRequest:
    """Rows that a batch is to be made of; nothing is read yet."""

    dataset: ViewDataset
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Padded clips.

    Batches of a `PadCollate` share its buffer: one is valid until the next is made.
    """

    features: Tensor
    """`[batch, frames, bands]` of the storage type; padding is 0."""
    lengths: Tensor
    """Real frames of each clip, int64 `[batch]`."""
    starts: Tensor
    """First real frame of each clip, int64 `[batch]`."""
    labels: Tensor
    """Positions in the class list, int64 `[batch]`."""

    def to(self, device: torch.device) -> Batch:
        """Move features and labels to a device and make the features float32 there; lengths stay on the CPU."""
        features = self.features.to(device).float()
        return Batch(features, self.lengths, self.starts, self.labels.to(device))


class ViewDataset(Dataset[tuple[NDArray[Any], int]]):
    """A view as a torch `Dataset` with class numbers for labels.

    Parameters
    ----------
    view : FeatureView
    classes : sequence of str
        Label names in the order of the model's outputs.

    Raises
    ------
    TrainingError
        If a row's label is not among the classes.
    """

    def __init__(self, view: FeatureView, classes: Sequence[str]) -> None:
        self.view = view
        self.classes = tuple(classes)
        number = {name: position for position, name in enumerate(self.classes)}
        unknown = sorted(set(view.labels.tolist()) - set(number))
        if unknown:
            raise TrainingError(f"dataset {view.name}: label {unknown[0]!r} is none of {', '.join(self.classes)}.")
        self.targets = torch.tensor([number[label] for label in view.labels.tolist()], dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, row: int) -> tuple[NDArray[Any], int]:
        """Return features `array [frames, bands]` and the class number of a row."""
        return self.view[row][0], int(self.targets[row])

    def __getitems__(self, rows: Sequence[int]) -> RowRequest:
        """Name the rows of a batch; `PadCollate` reads them straight into its buffer."""
        return RowRequest(self, np.asarray(rows, np.int64))


class PadCollate:
    """Reads a batch into a buffer that is used again, padded on one side.

    First touches of memory are slow, so the buffer grows to the largest batch and stays.

    Parameters
    ----------
    side : str
        `left` or `right`.
    multiple : int
        Left padding is rounded up to multiples of this, the model's time stride, so that pooling windows meet a
        clip where they would meet it alone; some frames of padding may then follow it. With 1, a batch is as long
        as its longest clip; otherwise its length is rounded up to a multiple of `LENGTH_STEP`.
    """

    def __init__(self, side: str = "right", multiple: int = 1) -> None:
        if side not in ("left", "right") or multiple < 1:
            raise ValueError(f"side must be left or right and multiple at least 1, not {side!r} and {multiple}")
        self.side = side
        self.multiple = multiple
        self._buffer = np.empty(0, np.uint8)

    def __call__(self, request: RowRequest) -> Batch:
        """Read the requested rows: features `[batch, longest, bands]`, lengths, starts and class numbers."""
        view, rows = request.dataset.view, request.rows
        frames = view.frames[rows].astype(np.int64)
        starts = self._starts(frames)
        step = LENGTH_STEP if self.multiple > 1 else 1
        longest = -(-int((starts + frames).max()) // step) * step
        out = self._room((len(rows), longest, view.bands), np.dtype(view.features.dtype))
        lengths = self._read(view, rows, out, starts, frames)
        labels = request.dataset.targets[torch.from_numpy(rows)]
        return Batch(torch.from_numpy(out), torch.from_numpy(lengths), torch.from_numpy(starts), labels)

    def _starts(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.side == "right":
            return np.zeros_like(frames)
        starts: NDArray[np.int64] = -(-(frames.max() - frames) // self.multiple) * self.multiple
        return starts

    def _room(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
        size = int(np.prod(shape)) * dtype.itemsize
        if size > self._buffer.nbytes:
            self._buffer = np.empty(size + size // 4, np.uint8)
        return self._buffer[:size].view(dtype).reshape(shape)

    def _read(
        self,
        view: FeatureView,
        rows: NDArray[np.int64],
        out: NDArray[Any],
        starts: NDArray[np.int64],
        frames: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        if self.side == "right" or self.multiple == 1:
            return view.read(rows, out, left=self.side == "left").astype(np.int64)
        out[:] = 0
        for slot, (start, length) in enumerate(zip(starts.tolist(), frames.tolist(), strict=True)):
            view.read(rows[slot : slot + 1], out[slot : slot + 1, start : start + length])
        return frames


def batches(dataset: ViewDataset, order: Iterable[Sequence[int]], collate: PadCollate) -> Iterator[Batch]:
    """Yield the batches of an order, read in this process.

    A memory-mapped store gives batches several times faster than worker processes can hand them over; a torch
    `DataLoader` takes the same dataset, sampler and collate function where workers are wanted all the same.
    """
    for rows in order:
        yield collate(dataset.__getitems__(rows))
