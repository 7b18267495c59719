"""Where neither the installation nor the home folder can be written: a build works, and says once what keeps code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_without_a_place_for_compiled_code_a_build_works_and_says_so_once(tmp_path):
    installed = tmp_path / "installed"
    for package in ("cli", "featurestore", "models", "pipelines", "data_manifests"):
        shutil.copytree(ROOT / package, installed / package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [one for one in installed.rglob("*") if one.is_dir()]:
        (folder / "__pycache__").touch()  # a file in the place of the folder, which root cannot write into either
    settings = {**os.environ, "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "PYTHONDONTWRITEBYTECODE": "1"}
    settings.pop("NUMBA_CACHE_DIR", None)
    build = ["build", "demo", "--features", "waveform", "--jobs", "1", "--store", str(tmp_path / "s")]

    done = subprocess.run(
        [sys.executable, "-m", "cli", *build], cwd=installed, env=settings, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "120 clean + 0 augmented rows of 120 utterances" in done.stdout
    assert done.stderr.count("compiled code cannot be kept here") == 1
    assert "set NUMBA_CACHE_DIR to a folder that you can write" in done.stderr
    assert "Traceback" not in done.stderr
