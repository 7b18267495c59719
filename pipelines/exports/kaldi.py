"""Kaldi: a data folder with `feats.ark` and `feats.scp`, which Kaldi, ESPnet and kaldiio read.

https://kaldi-asr.org/doc/data_prep.html and https://kaldi-asr.org/doc/io.html say how the files are made.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from featurestore.errors import SpecError
from featurestore.view import DatasetView
from pipelines.exports import Files, FolderFormat
from pipelines.exports.rows import distinct, row_names

MATRIX = 15
"""Bytes in front of a matrix's values."""


def matrix(values: NDArray[Any]) -> bytes:
    r"""Return an array [frames, bands] as a binary float matrix; float16 is represented exactly.

    Examples
    --------
    >>> matrix(np.ones((1, 2), np.float16))
    b'\\x00BFM \\x04\\x01\\x00\\x00\\x00\\x04\\x02\\x00\\x00\\x00\\x00\\x00\\x80?\\x00\\x00\\x80?'
    """
    frames, bands = values.shape
    return b"\0BFM " + struct.pack("<bibi", 4, frames, 4, bands) + values.astype("<f4").tobytes()


def files(view: DatasetView, out: Path) -> Files:
    """Yield the data folder: keys are `SPEAKER-NAME_augK`, sorted as Kaldi wants them, and so are all files.

    What is no letter, digit, `_`, `.` or `-` in a name becomes `_`. The scp holds the absolute path that the folder
    gets. A recording without a speaker is one of its own. `text` is written if every row has one.
    """
    speakers = _speakers(view)
    keys = distinct(view, [f"{one}-{_plain(name)}" for one, name in zip(speakers, row_names(view), strict=True)])
    order = sorted(range(len(view)), key=keys.__getitem__)
    texts = [" ".join((view.table.utterances.texts[place] or "").split()) for place in view.row_index.utterance]
    columns: dict[str, Sequence[str]] = {
        "feats.scp": _places(view, keys, order, out / "feats.ark"),
        "utt2spk": speakers,
        "utt2label": [" ".join(label.split()) for label in view.labels.tolist()],
        "utt2num_frames": [str(frames) for frames in view.frames.tolist()],
    }
    if all(texts):
        columns["text"] = texts
    for name, values in columns.items():
        yield name, (f"{keys[row]} {values[row]}\n".encode() for row in order)
    of_speaker = groupby(order, key=speakers.__getitem__)
    yield "spk2utt", (f"{one} {' '.join(keys[row] for row in rows)}\n".encode() for one, rows in of_speaker)
    yield "feats.ark", (f"{keys[row]} ".encode() + matrix(view[row][0]) for row in order)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _speakers(view: DatasetView) -> list[str]:
    """Return the speaker of each row without `-`, which sorts before all that is left: keys sort by speaker first."""
    known: dict[str, str] = {}
    found = []
    for speaker, path in zip(view.speakers, view.paths, strict=True):
        plain = re.sub(r"[^\w.]", "_", path if speaker is None else speaker)
        whole = f"the recording {path!r:.120}" if speaker is None else f"the speaker {speaker!r:.120}"
        if known.setdefault(plain, whole) != whole:
            raise SpecError(f"{known[plain]} and {whole} would both be the speaker {plain!r:.120}: export to hdf5.")
        found.append(plain)
    return found


def _places(view: DatasetView, keys: Sequence[str], order: Sequence[int], ark: Path) -> list[str]:
    """Return where each row's matrix is in the ark."""
    path = str(ark.absolute())
    if path != path.strip() or re.search(r"[\n\r]", path):
        raise SpecError(f"feats.scp cannot name {path!r}: give --out a path without line breaks.")
    places = [""] * len(view)
    offset = 0
    for row in order:
        offset += len(keys[row].encode()) + 1
        places[row] = f"{path}:{offset}"
        offset += MATRIX + int(view.frames[row]) * view.bands * 4
    return places


FORMAT = FolderFormat("kaldi", files)
