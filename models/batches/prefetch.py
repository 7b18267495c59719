"""The next batches, made by a background thread while the model learns from this one."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TypeAlias, TypeVar

import torch

from models.data import Batch, PadCollate, Padding, ViewDataset

Item = TypeVar("Item")
Handed: TypeAlias = tuple[Item] | BaseException | None
"""What the thread hands over: an item, what went wrong, or the end."""
DEPTH = 2
"""Batches that wait ready; more would only hold more memory, since they are made faster than they are used."""


def ahead(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item, None, None]:
    """Yield items in their order while a thread makes the next ones.

    At most `depth` items wait; one more may be in the making. What goes wrong in the thread is raised here, at the
    item that it concerns. However the loop over the items ends (Ctrl-C too), the thread has ended before anything
    else happens, provided that the generator is closed.
    """
    waiting: queue.Queue[Handed[Item]] = queue.Queue(depth)
    over = threading.Event()
    thread = threading.Thread(target=_make, args=(items, waiting, over), name="prefetch", daemon=True)
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


def _make(items: Iterable[Item], waiting: queue.Queue[Handed[Item]], over: threading.Event) -> None:
    try:
        for item in items:
            if over.is_set():
                return
            waiting.put((item,))
        last: BaseException | None = None
    except BaseException as error:
        last = error
    if not over.is_set():
        waiting.put(last)


def prefetched(
    dataset: ViewDataset, order: Iterable[Sequence[int]], padding: Padding, device: torch.device, depth: int = DEPTH
) -> Generator[Batch, None, None]:
    """Yield the batches of an order on the device, as `models.data.batches` makes them, some steps ahead.

    For a GPU the thread reads into pinned memory and starts the copy on a stream of its own; the model's stream waits
    for the copy, no processor does. A batch is valid until the next one is taken.
    """
    pinned = device.type == "cuda"
    collates = [PadCollate(padding.side, padding.multiple, reused=True, pinned=pinned) for _ in range(depth + 2)]
    if device.type != "cuda":
        made = (collate(dataset.__getitems__(rows)) for rows, collate in zip(order, itertools.cycle(collates)))
        with closing(ahead(made, depth)) as ready:
            for batch in ready:
                yield batch.to(device)
        return
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
