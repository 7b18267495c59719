"""WebDataset: tar files of samples, for training that streams: `KEY.npy` with a row's features and `KEY.json`."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featurestore.checksummed_json import canonical_json
from featurestore.conversion import metadata
from featurestore.view import DatasetView
from pipelines.exports import Files, FolderFormat
from pipelines.exports.rows import distinct, row_names

SHARD = 256 * 2**20
"""Bytes of a tar file, about."""
OVERHEAD = 4096
"""Bytes of a sample beside its values, about."""


def files(view: DatasetView, _: Path) -> Files:
    """Yield `shard-000000.tar` and so on, with rows in the order of the dataset: readers should shuffle.

    Arrays [frames, bands] have the storage type; the JSON has what `featurestore.conversion.metadata` says of the row.
    Keys are those of WAV files, with `_` for each dot in the last part, where WebDataset takes suffixes off.
    """
    names = (name.rpartition("/") for name in row_names(view))
    keys = distinct(view, [f"{folder}{slash}{name.replace('.', '_')}" for folder, slash, name in names])
    sizes = view.frames.astype(np.int64) * (view.bands * np.dtype(view.features.dtype).itemsize) + OVERHEAD
    of_row = (np.cumsum(sizes) - sizes) // SHARD
    starts = [*np.unique(of_row, return_index=True)[1].tolist(), len(view)]
    for number, (start, stop) in enumerate(itertools.pairwise(starts)):
        yield f"shard-{number:06d}.tar", _samples(view[start:stop], keys[start:stop])


def _samples(view: DatasetView, keys: list[str]) -> Iterator[bytes]:
    """Yield the tar file of some rows, the same bytes whoever writes it and when."""
    columns = metadata(view)
    for row, key in enumerate(keys):
        array = io.BytesIO()
        np.save(array, view[row][0], allow_pickle=False)
        yield _member(f"{key}.npy", array.getvalue())
        yield _member(f"{key}.json", canonical_json({name: column[row] for name, column in columns.items()}).encode())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict") + data + bytes(-len(data) % tarfile.BLOCKSIZE)


FORMAT = FolderFormat("webdataset", files)
