"""WAV: the signal that each row was computed from, `NAME.wav` for copy 0 and `NAME_augK.wav` for copy K."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurestore.view import DatasetView
from pipelines.exports import Files, FolderFormat
from pipelines.exports.csv import encoded
from pipelines.exports.rows import row_names


def files(view: DatasetView, _: Path) -> Files:
    """Yield one file a row, 32-bit float at the rate of the features, so that no sample is rounded or clipped.

    Each signal is synthesised again exactly as its row was computed, see `DatasetView.waveform`. Folders are those of
    the corpus. `metadata.csv` is the table of the format csv, with the `file_name` of each row in front.
    """
    names = [f"{name}.wav" for name in row_names(view)]
    yield "metadata.csv", encoded(view, names)
    for row, name in enumerate(names):
        yield name, (encoded_wav(view.waveform(row), view.rate(row)),)


def encoded_wav(signal: NDArray[np.float32], rate: int) -> bytes:
    """Return a signal [time] as a WAV file of 32-bit floats."""
    from scipy.io import wavfile

    file = io.BytesIO()
    wavfile.write(file, rate, signal)
    return file.getvalue()


FORMAT = FolderFormat("wav", files, recordings=True)
