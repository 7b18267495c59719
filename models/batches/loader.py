"""From a view to batches of padded or joined features, read straight into their memory, here or ahead by a thread."""

from __future__ import annotations

import itertools
import math
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from models.errors import TrainingError
from models.layers.frames import RealFrames
from models.training_spec import PADDING_SIDES

TORCH_TYPES = {"float16": torch.float16, "float32": torch.float32}
"""Storage types of features."""
LENGTH_STEP = 4
"""Batch lengths are multiples of this: oneDNN compiles kernels for every new length (12 to 27 ms) and keeps 1,024."""
JOINED_STEP = 64
"""The same for joined clips, whose lengths add up to many more different ones."""
DEPTH = 2
"""Batches that wait ready; more would only hold more memory, since they are made faster than they are used."""

Item = TypeVar("Item")


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

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return what a dimension such as `valence` is of each row, `array [rows]`; NaN where it has none."""

    def vote_shares(self, classes: Sequence[str]) -> NDArray[np.float32]:
        """Return the share of the raters' voices that each class got, `array [rows, classes]`; each row sums to 1."""

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

    @property
    def shards(self) -> NDArray[np.int32]:
        """Number of the shard that holds each row."""

    def expect(self, rows: Iterable[int]) -> None:
        """Announce the rows that are read next, in this order, so that remote ones can be fetched meanwhile."""

    @property
    def random_access(self) -> bool:
        """Whether each row is read by itself, not fetched with its whole shard."""


class Sides(NamedTuple):
    """The views of a split."""

    train: FeatureView
    validation: FeatureView
    test: FeatureView


@dataclass(frozen=True)
class RowRequest:
    """Rows that a batch is to be made of; nothing is read yet."""

    dataset: ViewDataset
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Padded clips, or joined ones."""

    features: Tensor
    """`[batch, frames, bands]` of the storage type, or `[1, frames, bands]` of joined clips; padding is 0."""
    lengths: Tensor
    """Real frames of each clip, int64 `[batch]`."""
    starts: Tensor
    """First real frame of each clip, int64 `[batch]`."""
    labels: Tensor
    """Positions in the class list, int64 `[batch]`; of dimensions their numbers, float32 `[batch, dimensions]`; soft
    labels, float32 `[batch, classes + 1]`."""
    rows: Tensor | None = None
    """Row of each clip in the view, int64 `[batch]` on the CPU; None for clips of no view."""

    @property
    def real(self) -> RealFrames:
        """Which frames are real, on the device of the features."""
        shared = len(self.features) != len(self.lengths)
        return RealFrames.of(self.lengths, self.starts, self.features.device, shared=shared)

    def to(self, device: torch.device) -> Batch:
        """Move features and labels to a device and make the features float32 there; lengths stay on the CPU.

        From pinned memory the copy is asynchronous.
        """
        features = self.features.to(device, non_blocking=True).float()
        return replace(self, features=features, labels=self.labels.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory, from which a GPU copies by itself; torch's loader calls this."""
        return replace(self, features=self.features.pin_memory(), labels=self.labels.pin_memory())


class ViewDataset(Dataset[tuple[NDArray[Any], Any]]):
    """A view as a torch `Dataset` with class numbers for labels, in the order of `classes`, the model's outputs.

    Parameters
    ----------
    targets : Tensor, optional
        What is learnt of each row in place of class numbers, `[rows, ...]`.

    Raises
    ------
    TrainingError
        If a row's label is not among the classes.
    """

    def __init__(self, view: FeatureView, classes: Sequence[str], targets: Tensor | None = None) -> None:
        self.view = view
        self.classes = tuple(classes)
        if targets is not None:
            self.targets = targets
            return
        number = {name: position for position, name in enumerate(self.classes)}
        unknown = sorted(set(view.labels.tolist()) - set(number))
        if unknown:
            raise TrainingError(f"dataset {view.name}: label {unknown[0]!r} is none of {', '.join(self.classes)}.")
        self.targets = torch.tensor([number[label] for label in view.labels.tolist()], dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, row: int) -> tuple[NDArray[Any], Any]:
        """Return features `array [frames, bands]` and the class number, or other target, of a row."""
        return self.view[row][0], self.targets[row].tolist()

    def __getitems__(self, rows: Sequence[int]) -> RowRequest:
        """Name the rows of a batch; `PadCollate` reads them straight into the batch."""
        return RowRequest(self, np.asarray(rows, np.int64))

    @property
    def random_access(self) -> bool:
        """Whether each row is read by itself, not fetched with its whole shard."""
        return self.view.random_access

    def expect(self, rows: Iterable[int]) -> None:
        """Announce the rows that are read next, in this order."""
        self.view.expect(rows)

    def read(self, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool = False) -> None:
        """Read rows into `out [rows, longest, bands]`, padded with 0."""
        self.view.read(rows, out, left=left)


@dataclass(frozen=True)
class Padding:
    """On which side clips are padded and in which steps, or that they are joined on one time axis.

    With `multiple` 1 a padded batch is as long as its longest clip; otherwise left padding is rounded up to multiples
    of it, so that pooling windows fall on a clip as if it were alone, and the length to a multiple of
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
        if self.side not in PADDING_SIDES or self.multiple < 1:
            raise ValueError(
                f"side must be one of {', '.join(PADDING_SIDES)} and multiple at least 1, not {self.side!r}, "
                f"{self.multiple}"
            )

    @property
    def joined(self) -> bool:
        """Whether all clips of a batch lie on one row."""
        return self.side == "joined"

    def layout(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return the first real frame of each clip and the frames of the batch, for clips of `frames [batch]`."""
        if self.joined:
            taken = np.maximum(frames, self.multiple)
            starts = np.append(0, np.cumsum((taken // self.multiple + 1) * self.multiple)[:-1])
            return starts, -(-int(starts[-1] + taken[-1]) // JOINED_STEP) * JOINED_STEP
        starts = np.zeros_like(frames)
        if self.side == "left":
            starts = -(-(frames.max() - frames) // self.multiple) * self.multiple
        step = LENGTH_STEP if self.multiple > 1 else 1
        return starts, -(-int((starts + frames).max()) // step) * step


class PadCollate:
    """Reads a batch, padded on one side or joined; torch's `DataLoader` takes it with any number of workers.

    Parameters
    ----------
    side, multiple
        See `Padding`.
    reused : bool
        Read into one buffer, which grows to the largest batch and stays, since first touches of memory are slow. A
        batch is then valid until the next one is made, in this process alone.
    pinned : bool
        Use memory that a GPU can copy from by itself.

    Raises
    ------
    TrainingError
        If a buffer that is used again would be handed over by a loader's worker process.
    """

    def __init__(self, side: str = "right", multiple: int = 1, *, reused: bool = False, pinned: bool = False) -> None:
        self.padding = Padding(side, multiple)
        self.reused, self.pinned = reused, pinned
        self._buffer = torch.empty(0, dtype=torch.uint8)

    def __call__(self, request: RowRequest) -> Batch:
        """Read the requested rows: features `[batch or 1, frames, bands]`, lengths, starts and class numbers."""
        if self.reused and get_worker_info() is not None:
            raise TrainingError(
                "a loader's worker hands its batches over while it makes the next: leave out reused=True."
            )
        if not isinstance(request, RowRequest):
            raise TrainingError(
                "rows of a ViewDataset are collated, and of a Subset of one: to join datasets, build A+B, not a "
                "ConcatDataset; and give the loader a batch_size."
            )
        dataset, rows, padding = request.dataset, request.rows, self.padding
        frames = dataset.view.frames[rows].astype(np.int64)
        starts, longest = padding.layout(frames)
        shape = (1 if padding.joined else len(rows), longest, dataset.view.bands)
        features = self._room(shape, TORCH_TYPES[dataset.view.features.dtype])
        out = features.numpy()
        if padding.side == "right" or (padding.side == "left" and padding.multiple == 1):
            dataset.read(rows, out, left=padding.side == "left")
        else:
            out[:] = 0
            for slot, (start, length) in enumerate(zip(starts.tolist(), frames.tolist(), strict=True)):
                place = out[:1] if padding.joined else out[slot : slot + 1]
                dataset.read(rows[slot : slot + 1], place[:, start : start + length])
        numbers = torch.from_numpy(rows)
        labels = dataset.targets[numbers]
        labels = labels.pin_memory() if self.pinned else labels
        return Batch(features, torch.from_numpy(frames), torch.from_numpy(starts), labels, numbers)

    def _room(self, shape: tuple[int, int, int], dtype: torch.dtype) -> Tensor:
        if not self.reused:
            return torch.empty(shape, dtype=dtype, pin_memory=self.pinned)
        size = math.prod(shape) * dtype.itemsize
        if size > len(self._buffer):
            self._buffer = torch.empty(size + size // 4, dtype=torch.uint8, pin_memory=self.pinned)
        return self._buffer[:size].view(dtype).view(shape)


def batches(dataset: ViewDataset, order: Iterable[Sequence[int]], collate: PadCollate) -> Iterator[Batch]:
    """Yield the batches of an order, read in this process.

    A store on this machine gives batches several times faster than worker processes can hand them over; torch's
    `DataLoader` takes the same dataset, sampler and collate function where workers are wanted all the same.
    """
    for rows in order:
        yield collate(dataset.__getitems__(rows))


def ahead(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item, None, None]:
    """Yield items in their order while a thread makes the next ones.

    At most `depth` items wait; one more may be in the making. What goes wrong in the thread is raised here, at the
    item that it concerns. However the loop over the items ends (Ctrl-C too), the thread has ended before anything
    else happens, provided that the generator is closed.
    """
    waiting: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(depth)  # an item, an error, or the end
    over = threading.Event()

    def make() -> None:
        """Put items into the queue, then what ended them: an error, or None."""
        last: BaseException | None = None
        try:
            for item in items:
                if over.is_set():
                    return
                waiting.put((item,))
        except BaseException as error:
            last = error
        if not over.is_set():
            waiting.put(last)

    thread = threading.Thread(target=make, name="prefetch", daemon=True)
    try:
        thread.start()  # Ctrl-C may come while this waits for the thread's first sign of life
        while (entry := waiting.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        over.set()
        while not waiting.empty():  # makes room for a `put` that waits; at most one more follows, and finds room
            waiting.get()
        if thread.is_alive():
            thread.join()


def prefetched(
    dataset: ViewDataset, order: Iterable[Sequence[int]], padding: Padding, device: torch.device, depth: int = DEPTH
) -> Generator[Batch, None, None]:
    """Yield the batches of an order on a GPU, as `batches` makes them, some steps ahead.

    A thread reads into pinned memory and starts the copy on a stream of its own; the model's stream waits for the copy,
    no processor does. A batch is valid until the next one is taken.
    """
    collates = [PadCollate(padding.side, padding.multiple, reused=True, pinned=True) for _ in range(depth + 2)]
    with closing(ahead(uploads(dataset, order, collates, device), depth)) as copied:
        for batch, done in copied:
            current = torch.cuda.current_stream(device)
            current.wait_event(done)
            for tensor in (batch.features, batch.labels):
                tensor.record_stream(current)  # its memory was taken on the copying stream
            yield batch


def uploads(
    dataset: ViewDataset, order: Iterable[Sequence[int]], collates: Sequence[PadCollate], device: torch.device
) -> Iterator[tuple[Batch, torch.cuda.Event]]:
    """Yield batches whose copies to a GPU are under way, each with the event that ends its copy."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    copies: list[torch.cuda.Event | None] = [None] * len(collates)
    for rows, slot in zip(order, itertools.cycle(range(len(collates)))):
        before = copies[slot]
        if before is not None:
            before.synchronize()  # this thread alone waits until the slot's buffer has been read
        batch = collates[slot](dataset.__getitems__(rows))
        with torch.cuda.stream(stream):
            moved, done = batch.to(device), torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(stream)
        copies[slot] = done
        yield moved, done
