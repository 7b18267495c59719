"""Datasets in the formats of other tools."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from featurestore.canonical import canonical_json
from featurestore.errors import StorageError, UnknownNameError
from featurestore.view import DatasetView


def export(view: DatasetView, to: str, out: Path) -> int:
    """Write a dataset to a file of another format and return its number of rows.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    StorageError
        If the file exists or cannot be written.
    """
    if to not in EXPORTS:
        raise UnknownNameError("export format", to, EXPORTS)
    if out.exists():
        raise StorageError(f"{str(out)!r} exists: give --out another path, or remove it first.")
    part = out.with_name(f"{out.name}.part")
    try:
        EXPORTS[to](view, part)
        os.replace(part, out)  # noqa: PTH105 (same folder: atomic)
    except OSError as error:
        raise StorageError(f"cannot write {str(out)!r}: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return len(view)


def to_hdf5(view: DatasetView, out: Path) -> None:
    """Write all rows one behind the other: `features [total frames, bands]` with `offsets [rows + 1]`.

    Row i is `features[offsets[i]:offsets[i + 1]]`; `paths`, `labels`, `speakers`, `contents` and `copies` have one
    entry a row. The attributes hold the feature and augmentation specs as JSON, corpus, licence, citation and digest.
    """
    import h5py

    offsets = np.concatenate([[0], np.cumsum(view.frames, dtype=np.int64)])
    text = h5py.string_dtype("utf-8")
    with h5py.File(out, "w") as file:
        features = file.create_dataset("features", (int(offsets[-1]), view.bands), dtype=view.features.dtype)
        for row, (start, stop) in enumerate(pairwise(offsets)):
            features[start:stop] = view[row][0]
        file["offsets"] = offsets
        file["copies"] = view.copies
        for name in ("paths", "labels", "speakers", "contents"):
            values = [value or "" for value in getattr(view, name)]
            file.create_dataset(name, data=np.array(values, dtype=object), dtype=text)
        file.attrs["features"] = canonical_json(view.features.to_dict())
        file.attrs["augmentation"] = canonical_json(view.augmentation.to_dict() if view.augmentation else None)
        for key in ("corpus", "licence", "citation"):
            file.attrs[key] = getattr(view.table, key)
        file.attrs["digest"] = view.digest


EXPORTS: dict[str, Callable[[DatasetView, Path], None]] = {"hdf5": to_hdf5}
"""The formats by name."""
