"""Recordings that signal tests share."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(os.environ.get("FEATURESTORE_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.fixture(scope="session")
def emodb_bytes():
    archive = SHARED / "data" / "emodb" / "download.zip"
    if not archive.exists():
        pytest.skip("needs the Emo-DB recordings in ../shared/data/emodb")
    with zipfile.ZipFile(archive) as source:
        return {name: source.read(f"wav/{name}.wav") for name in ("03a01Fa", "16b10Wb", "11a02Nc")}


@pytest.fixture(scope="session")
def tone():
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 16_000)).astype(np.float32)
