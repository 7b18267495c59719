"""Lhotse: manifests of recordings, supervisions and cuts, with the features of each cut as a NumPy file.

https://lhotse.readthedocs.io/en/latest/corpus.html says how manifests are made.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.checksummed_json import canonical_json
from featurestore.conversion import metadata
from featurestore.errors import SpecError
from featurestore.features import FEATURES
from featurestore.features.kind import SpectralKind
from featurestore.view import DatasetView
from pipelines.exports import Files, FolderFormat, Sides
from pipelines.exports.rows import row_names
from pipelines.exports.wav import encoded_wav

BLOCK = 1000
"""Rows whose manifests are in memory at once."""
PLAIN_FIELDS = ("gender", "language")
"""Fields of a corpus that a supervision has a place for."""


def files(view: DatasetView, out: Path) -> Files:
    """Yield the folder with all rows in `cuts.jsonl`."""
    return _files(view, out, None)


def split_files(view: DatasetView, out: Path, sides: Sides) -> Files:
    """Yield the same with `cuts_train.jsonl`, `cuts_validation.jsonl` and `cuts_test.jsonl`."""
    return _files(view, out, sides)


def _files(view: DatasetView, out: Path, sides: Sides | None) -> Files:
    """Yield the signals of copies 0 with `recordings.jsonl` and `supervisions.jsonl`, then features and cuts of all.

    A cut is as long as its frames, `frames * hop_length` samples, as Lhotse wants it, and has its recording where that
    is not shorter. Cuts of augmented copies have features alone. Paths are absolute.

    Raises
    ------
    SpecError
        If there is no constant step between the frames of a row.
    """
    if not isinstance(FEATURES[view.features.kind], SpectralKind):
        raise SpecError(
            f"Lhotse needs a constant step between frames, which {view.features.kind} does not have: export to hdf5 or "
            "webdataset."
        )
    names, clean = row_names(view), view[view.copies == 0]
    recordings: dict[str, dict[str, Any]] = {}
    for row, name in enumerate(row_names(clean)):
        signal, rate = clean.waveform(row), clean.rate(row)
        recordings[name] = _recording(name, len(signal), rate, out)
        yield f"recordings/{name}.wav", (encoded_wav(signal, rate),)
    yield "recordings.jsonl", map(_line, recordings.values())
    yield "supervisions.jsonl", (_line(one) for one in _supervisions(clean, recordings))
    for row, name in enumerate(names):
        array = io.BytesIO()
        np.save(array, view[row][0], allow_pickle=False)
        yield f"features/{name}.npy", (array.getvalue(),)
    for side, rows in {"": view, **(sides.views if sides else {})}.items():
        yield f"cuts_{side}.jsonl" if side else "cuts.jsonl", map(_line, _cuts(rows, recordings, out))


def _recording(name: str, samples: int, rate: int, out: Path) -> dict[str, Any]:
    source = {"type": "file", "channels": [0], "source": str((out / "recordings" / f"{name}.wav").absolute())}
    return {
        "id": name,
        "sources": [source],
        "sampling_rate": rate,
        "num_samples": samples,
        "duration": samples / rate,
        "channel_ids": [0],
    }


def _supervisions(view: DatasetView, recordings: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is known of each recording, copies 0 of a view."""
    for rows, names, known in _blocks(view):
        for row in range(len(rows)):
            yield _supervision(names[row], recordings[names[row]]["duration"], known[row])


def _cuts(view: DatasetView, recordings: Mapping[str, Mapping[str, Any]], out: Path) -> Iterator[dict[str, Any]]:
    """Yield the cut of each row of a view."""
    folder, hop = str((out / "features").absolute()), view.features.hop_length
    for rows, names, known in _blocks(view):
        for row, name in enumerate(names):
            frames, rate = int(rows.frames[row]), rows.rate(row)
            seconds = frames * hop / rate
            cut = {
                "id": name,
                "start": 0.0,
                "duration": seconds,
                "channel": 0,
                "supervisions": [_supervision(name, seconds, known[row])],
                "features": {
                    "type": view.features.kind,
                    "num_frames": frames,
                    "num_features": view.bands,
                    "frame_shift": hop / rate,
                    "sampling_rate": rate,
                    "start": 0.0,
                    "duration": seconds,
                    "storage_type": "numpy_files",
                    "storage_path": folder,
                    "storage_key": f"{name}.npy",
                    "recording_id": name,
                    "channels": 0,
                },
                "type": "MonoCut",
            }
            recording = recordings.get(name)
            if recording and frames * hop <= recording["num_samples"]:
                cut["recording"] = recording
            yield cut


def _blocks(view: DatasetView) -> Iterator[tuple[DatasetView, list[str], list[dict[str, Any]]]]:
    """Yield some rows at a time, with their names and what is known of each."""
    for start in range(0, len(view), BLOCK):
        rows = view[start : start + BLOCK]
        columns = metadata(rows)
        known = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        yield rows, row_names(rows), known


def _supervision(name: str, seconds: float, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the supervision of a recording or cut; what Lhotse has no place for is in `custom`."""
    given = {
        "text": known["text"],
        "speaker": known["speaker"],
        **{field: known.get(f"field.{field}") for field in PLAIN_FIELDS},
    }
    custom = {key: known[key] for key in ("label", "path", "copy", "content")}
    for kind, place in (("field.", "fields"), ("perturbation.", "perturbation")):
        found = {key.removeprefix(kind): value for key, value in known.items() if key.startswith(kind)}
        if any(value is not None for value in found.values()):
            custom[place] = found
    return {
        "id": name,
        "recording_id": name,
        "start": 0.0,
        "duration": seconds,
        "channel": 0,
        **{key: value for key, value in given.items() if value is not None},
        "custom": custom,
    }


def _line(document: Mapping[str, Any]) -> bytes:
    return canonical_json(document).encode() + b"\n"


FORMAT = FolderFormat("lhotse", files, recordings=True, split_files=split_files)
