"""A few real recordings as files, and a made voice."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import soundfile

EMODB = ("03a01Fa", "16b10Wb", "11a02Nc", "08a01Na", "15b10Wa")


def emodb_files(shared):
    """Five real recordings of Emo-DB, 16 kHz."""
    with zipfile.ZipFile(shared / "data" / "emodb" / "download.zip") as archive:
        return [archive.read(f"wav/{name}.wav") for name in EMODB]


def command_files(shared, count=4):
    """The first real clips of Speech Commands, 16 kHz, at most one second."""
    found = []
    with tarfile.open(shared / "data" / "speech_commands" / "speech_commands_subset.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".wav") and "background" not in member.name:
                found.append(archive.extractfile(member).read())
            if len(found) == count:
                return found
    return found


def wav(signal, rate=16_000, subtype="FLOAT"):
    target = io.BytesIO()
    soundfile.write(target, np.asarray(signal, np.float32), rate, format="WAV", subtype=subtype)
    return target.getvalue()


def voice(samples=12_000, seed=0):
    """Harmonics with a wandering pitch and some breath, as a file of 16 kHz."""
    rng = np.random.default_rng(seed)
    phase = np.cumsum(2 * np.pi * (120 + 20 * np.sin(np.arange(samples) / 3000)) / 16_000)
    tones = sum(np.sin(k * phase) / k for k in range(1, 20))
    return wav(0.1 * tones + 0.003 * rng.standard_normal(samples))
