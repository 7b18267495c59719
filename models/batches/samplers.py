"""The order of training: which rows form which batch of an epoch, as a function of (seed, epoch) alone.

An epoch takes all rows, or a few copies of each utterance in turn (see `rotation`); rows of chosen labels can come
several times, or classes can be made equal.

Where rows lie in memory or in a local store, the order is global: any row can follow any other. Where shards are
fetched from a remote store one by one, it is block-wise: the shards are shuffled, rows are drawn at random from
`BLOCK_SHARDS` shards until those are used up, then from the next ones. So each shard is fetched once an epoch, a batch
needs shards of at most two blocks, and each epoch combines other shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from models.batches.loader import ViewDataset
from models.training_spec import TrainingSpec


class CopyRotation:
    """Which rows each epoch takes, as a function of the epoch alone.

    Of an utterance with N augmented copies, epoch e takes k: with k = 1 copy ((e - 1) mod N) + 1, so that a value that
    is drawn once for each copy index holds for a whole epoch. Clean rows are taken in every epoch.

    Parameters
    ----------
    paths : sequence of str
        Recording of each row.
    copies : array [rows]
        Copy index of each row; 0 is clean.
    per_epoch : int
        k; all copies of an utterance that has no more.

    References
    ----------
    Etienne et al., "CNN+LSTM Architecture for Speech Emotion Recognition with Data Augmentation", 2018: one VTLP
    factor for an epoch (strategy 1), or one for each spectrogram and epoch (strategy 2).
    """

    def __init__(self, paths: Sequence[str], copies: NDArray[np.integer], per_epoch: int) -> None:
        self.per_epoch = per_epoch
        augmented = copies > 0
        _, recording = np.unique(np.asarray(paths, dtype=str), return_inverse=True)
        self._augmented = torch.from_numpy(augmented)
        self._place = torch.from_numpy(copy_places(recording, copies, augmented))
        self._copies = torch.from_numpy(np.bincount(recording[augmented], minlength=len(paths))[recording])

    def rows(self, epoch: int) -> Tensor:
        """Return the rows that an epoch takes, in the order of the view; the first epoch is 1."""
        first = (epoch - 1) * self.per_epoch
        turn = (self._place - first).remainder(self._copies.clamp(min=1)) < self.per_epoch
        return torch.nonzero(turn | ~self._augmented)[:, 0]


def copy_places(
    recording: NDArray[np.intp], copies: NDArray[np.integer], augmented: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the place of each row among the augmented copies of its recording, by copy index; 0 for clean rows."""
    order = np.lexsort((copies, ~augmented, recording))
    sorted_recording = recording[order]
    starts = np.flatnonzero(np.append(True, sorted_recording[1:] != sorted_recording[:-1])) if len(order) else order
    first = np.repeat(starts, np.diff(np.append(starts, len(order))))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - first
    return np.where(augmented, place, 0)


BLOCK_SHARDS = 16
"""Shards of a block: with some 400 rows of 16 recordings in each, a batch of 32 holds about as many recordings as in
a global order, while two blocks of float16 rows stay below 300 MB."""


class BatchSampler(Sampler[list[int]]):
    """Batches of row numbers, shuffled differently in every epoch.

    Parameters
    ----------
    frames : sequence of int
        Length of each row, in frames.
    batch_size : int
    seed : int
    bucket_batches : int
        Rows are shuffled, then sorted by length within pools of this many batches, and the batches are shuffled
        again: a batch then holds clips of like length. 0 leaves them as shuffled.
    balance : sequence of int or None
        Class number of each row: smaller classes are filled up with their own rows until all are equal.
    drop_last : bool
        Leave out the last rows of the shuffled epoch that fill no batch, unless there is no full batch at all.
    shards : sequence of int or None
        Number of the shard that holds each row: the order is block-wise. None: it is global.
    block_shards : int
        Shards of a block.
    repeat : sequence of int or None
        How often each row comes in an epoch that takes it.
    rotation : CopyRotation or None
        Which rows an epoch takes. None: all.
    """

    def __init__(
        self,
        frames: Sequence[int] | Tensor,
        batch_size: int,
        seed: int,
        *,
        bucket_batches: int = 0,
        balance: Sequence[int] | Tensor | None = None,
        drop_last: bool = False,
        shards: Sequence[int] | Tensor | None = None,
        block_shards: int = BLOCK_SHARDS,
        repeat: Sequence[int] | Tensor | None = None,
        rotation: CopyRotation | None = None,
    ) -> None:
        self.frames = torch.as_tensor(frames, dtype=torch.int64)
        self.batch_size = batch_size
        self.seed = seed
        self.bucket_batches = bucket_batches
        self.balance = None if balance is None else torch.as_tensor(balance, dtype=torch.int64)
        self.drop_last = drop_last
        self.shards = None if shards is None else torch.as_tensor(shards, dtype=torch.int64)
        self.block_shards = block_shards
        self.repeat = None if repeat is None else torch.as_tensor(repeat, dtype=torch.int64)
        self.rotation = rotation
        self.epoch = 0
        self.first = 0

    def set_epoch(self, epoch: int, first: int = 0) -> None:
        """Choose the epoch, and the batch to begin with when an interrupted epoch is resumed."""
        self.epoch = epoch
        self.first = first

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        taken = self._taken()
        rows = len(taken)
        if self.balance is not None:
            counts = torch.bincount(self.balance[taken])
            rows = int(counts.max()) * int((counts > 0).sum())
        return rows - rows % self.batch_size if self.drop_last and rows >= self.batch_size else rows

    def _taken(self) -> Tensor:
        """Return the rows of the epoch in the order of the view, each as often as it is repeated."""
        rows = torch.arange(len(self.frames)) if self.rotation is None else self.rotation.rows(self.epoch)
        return rows if self.repeat is None else rows.repeat_interleave(self.repeat[rows])

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = epoch_generator(self.seed, self.epoch)
        rows = self._taken()
        if self.balance is None:
            rows = rows[shuffled(len(rows), generator)]
        else:
            rows = rows[balanced(self.balance[rows], generator)]
        rows = rows[: self.rows]
        parts = [rows]
        if self.shards is not None:
            parts = blocks(rows, self.shards, self.batch_size, self.block_shards, generator)
        order: list[Tensor] = []
        for part in parts:
            if self.bucket_batches:
                order += bucketed(part, self.frames, self.batch_size, self.bucket_batches, generator)
            else:
                order += torch.split(part, self.batch_size)
        for batch in order[self.first :]:
            yield batch.tolist()


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Return the generator of one epoch's order."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)


def shuffled(count: int, generator: torch.Generator) -> Tensor:
    """Return the numbers below `count` in random order."""
    return torch.randperm(count, generator=generator)


def balanced(classes: Tensor, generator: torch.Generator) -> Tensor:
    """Return row numbers in random order with equally many of every class that occurs.

    Every row occurs; a smaller class is repeated in full before a part of it is drawn, so that no row occurs a
    second time before all of its class occurred once.

    References
    ----------
    Keren and Schuller, "Convolutional RNN", 2016, section on balancing.
    """
    members = [torch.nonzero(classes == number)[:, 0] for number in sorted(set(classes.tolist()))]
    largest = max(len(rows) for rows in members)
    drawn = []
    for rows in members:
        whole, part = divmod(largest, len(rows))
        drawn += [rows.repeat(whole), rows[shuffled(len(rows), generator)[:part]]]
    rows = torch.cat(drawn)
    return rows[shuffled(len(rows), generator)]


def bucketed(
    rows: Tensor, frames: Tensor, batch_size: int, pool_batches: int, generator: torch.Generator
) -> list[Tensor]:
    """Cut shuffled rows into batches of like length: sort within pools of batches, then shuffle the batches."""
    order: list[Tensor] = []
    for pool in torch.split(rows, batch_size * pool_batches):
        by_length = pool[torch.argsort(frames[pool], stable=True)]
        order.extend(torch.split(by_length, batch_size))
    return [order[position] for position in shuffled(len(order), generator).tolist()]


def blocks(
    rows: Tensor, shards: Tensor, batch_size: int, block_shards: int, generator: torch.Generator
) -> list[Tensor]:
    """Part shuffled rows into blocks of a few shards each, drawn at random.

    Rows keep their random order within a block. Every block but the last is filled up to whole batches with the first
    rows of the next one.
    """
    present, number = torch.unique(shards[rows], return_inverse=True)
    block = (shuffled(len(present), generator) // block_shards)[number]
    ordered = rows[torch.argsort(block, stable=True)]
    ends = torch.cumsum(torch.bincount(block), 0)
    cuts = sorted({min(-(-end // batch_size) * batch_size, len(rows)) for end in ends.tolist()})
    return [ordered[first:stop] for first, stop in zip([0, *cuts], cuts, strict=False)]


def make_sampler(dataset: ViewDataset, spec: TrainingSpec) -> BatchSampler:
    """Return the order of batches that a training spec asks for."""
    view = dataset.view
    times = torch.tensor([spec.repeat.get(label, 1) for label in dataset.classes])
    return BatchSampler(
        torch.from_numpy(view.frames.astype("int64")),
        spec.batch_size,
        spec.seed,
        bucket_batches=spec.bucket_batches,
        balance=dataset.targets if spec.balance else None,
        drop_last=spec.drop_last,
        shards=torch.from_numpy(view.shards.astype("int64")) if spec.shuffle == "blocks" else None,
        repeat=times[dataset.targets] if spec.repeat else None,
        rotation=CopyRotation(view.paths, view.copies, spec.copies_per_epoch) if spec.copies_per_epoch else None,
    )
