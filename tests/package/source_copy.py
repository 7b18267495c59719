"""The source distribution and the wheel of this tree, built as pip does, from a copy of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from demo_corpus import ROOT

CODE = ("featurestore", "pipelines", "models", "cli", "data_manifests", "docs", "tests", "benchmarks")
_BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def built(kind: str, tree: Path, folder: Path) -> Path:
    """Return the `sdist` or `wheel` of a tree, built into a folder."""
    words = [sys.executable, "-c", _BUILD, f"build_{kind}", str(folder)]
    done = subprocess.run(words, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


def distributions(folder: Path) -> tuple[Path, Path]:
    """Return the source distribution of this tree, and the wheel that is built from what that holds."""
    tree = folder / "tree"
    for name in CODE:
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    source = built("sdist", tree, folder)
    with tarfile.open(source) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return source, built("wheel", unpacked, folder)
