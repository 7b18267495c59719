"""The job that peers do: recordings at evenly spaced quantiles of length, and the same parameters for every tool.

The whole job is the training side of the MathWorks split, 371 recordings x 75 copies; a peer does a part of it and its
time is scaled up, without its start, which favours it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

RATE, FFT, HOP, MELS, EPS = 16_000, 2048, 512, 128, 1e-10
WHOLE = 27_825
"""Augmented rows of the whole job."""


def unpacked(archive: Path, folder: Path, files: int) -> list[str]:
    """Unpack recordings at evenly spaced quantiles of length; return their paths."""
    with zipfile.ZipFile(archive) as source:
        members = sorted(
            (info for info in source.infolist() if info.filename.endswith(".wav")), key=lambda info: info.file_size
        )
        chosen = [members[int((i + 0.5) * len(members) / files)] for i in range(files)]
        return [source.extract(info, folder) for info in chosen]


def parameters(number: int, copy: int) -> tuple[float | None, int, float, int]:
    """Return semitones (every second copy has none), shift in samples, signal-to-noise ratio in dB, and a seed."""
    generator = np.random.default_rng([number, copy])
    semitones, seconds, snr_db = generator.uniform([-2, -0.3, -20], [2, 0.3, 40])
    return (semitones if (number + copy) % 2 == 0 else None), round(seconds * RATE), snr_db, 1000 * number + copy
