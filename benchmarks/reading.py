"""Random padded batches of 32 rows from the same rows in several forms, in interleaved rounds.

python benchmarks/reading.py STORE [--dataset emodb]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr

from featurestore.shards.record import data_key, record_key
from featurestore.store import open_store
from featurestore.view import DatasetView

BATCH = 32
Fetch = Callable[[int], Any]


class Job:
    """Batches of a view: which rows, and a buffer that is used again."""

    def __init__(self, view: DatasetView) -> None:
        self.view = view
        longest = int(view.frames.max())
        self.buffer = np.zeros(BATCH * longest * view.bands, view.features.dtype)
        self.order = np.random.default_rng(0).permutation(len(view))

    def batches(self, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, min(rows, len(self.order)) // BATCH * BATCH, BATCH):
            chosen = self.order[start : start + BATCH]
            shape = (BATCH, int(self.view.frames[chosen].max()), self.view.bands)
            yield chosen, self.buffer[: int(np.prod(shape))].reshape(shape)

    def ours(self, rows: int) -> float:
        begun = time.perf_counter()
        for chosen, out in self.batches(rows):
            self.view.read(chosen, out)
        return rows / (time.perf_counter() - begun)

    def loop(self, fetch: Fetch, rows: int) -> float:
        begun = time.perf_counter()
        for chosen, out in self.batches(rows):
            for slot, row in enumerate(chosen.tolist()):
                values = fetch(row)
                out[slot, : len(values)] = values
                out[slot, len(values) :] = 0
        return rows / (time.perf_counter() - begun)


def spans(view: DatasetView) -> tuple[list[Any], list[int], list[int], list[int]]:
    index = view._index
    return list(view._shards), index.shard.tolist(), index.start.tolist(), index.frames.tolist()


def through_zarr(view: DatasetView, root: Path) -> Fetch:
    shards, shard, start, frames = spans(view)
    arrays = [zarr.open_array(root / record_key(reader.record.address).rpartition("/")[0]) for reader in shards]
    return lambda row: arrays[shard[row]][start[row] : start[row] + frames[row]]


def through_tensorstore(view: DatasetView, root: Path) -> Fetch:
    import tensorstore

    shards, shard, start, frames = spans(view)
    arrays = []
    for reader in shards:
        place = str(root / data_key(reader.record.address).removesuffix("/c/0/0"))
        arrays.append(tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": place}}).result())
    return lambda row: arrays[shard[row]][start[row] : start[row] + frames[row]].read().result()


def flat_copies(view: DatasetView, folder: Path, stack: ExitStack) -> dict[str, Fetch]:
    """Copy all rows into a plain file and into HDF5; return how to fetch a row from each."""
    ends = np.cumsum(view.frames, dtype=np.int64)
    begins, stops = (ends - view.frames).tolist(), ends.tolist()
    shape, dtype = (int(ends[-1]), view.bands), np.dtype(view.features.dtype)
    plain = np.memmap(folder / "rows.dat", dtype, "w+", shape=shape)
    file = stack.enter_context(h5py.File(folder / "rows.h5", "w"))
    hdf5 = file.create_dataset("rows", shape, dtype)
    for row in range(len(view)):
        plain[begins[row] : stops[row]] = view[row][0]
    hdf5[:] = plain
    return {
        "memory map": lambda row: plain[begins[row] : stops[row]],
        "h5py": lambda row: hdf5[begins[row] : stops[row]],
    }


def measure(store: str, dataset: str, rounds: int = 3) -> dict[str, list[float]]:
    """Return rows a second of each reader in each round; `first pass` is ours, with checksums, in a fresh view."""
    opened = open_store(store)
    root = Path(opened.uri)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        view = opened.view(dataset).split("mathworks")[0]
        job, peers = Job(view), flat_copies(view, Path(folder), stack)
        peers["zarr-python"] = through_zarr(view, root)
        with suppress(ImportError):
            peers["tensorstore"] = through_tensorstore(view, root)
        few = {"zarr-python": 320, "tensorstore": 3_200}
        whole = len(view) // BATCH * BATCH
        for _ in range(rounds):
            fresh = Job(opened.view(dataset).split("mathworks")[0])
            rates.setdefault("first pass", []).append(fresh.ours(whole))
            rates.setdefault("featurestore", []).append(job.ours(whole))
            for name, fetch in peers.items():
                rates.setdefault(name, []).append(job.loop(fetch, min(few.get(name, whole), whole)))
    return rates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--dataset", default="emodb")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.store, arguments.dataset), indent=1))
