"""The direction of imports: cli -> pipelines -> featurestore <- models <- cli."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from demo_corpus import ROOT

PACKAGES = ("featurestore", "pipelines", "models", "cli")
FORBIDDEN = {
    "featurestore": {"dask", "distributed", "torch", "click", "h5py", "rich", "pipelines", "models", "cli"},
    "pipelines": {"click", "rich", "models", "cli"},
    "pipelines/experiments": {"click", "rich", "cli"},
    "models": {"click", "rich", "pipelines", "cli"},
    "cli": set(),
}


def imported(package: str) -> dict[str, set[str]]:
    """Return the top-level packages that each file of a package imports anywhere."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
        found[path.relative_to(ROOT).as_posix()] = names
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_in_the_direction_of_the_design(package):
    entry_point = "featurestore/__main__.py"  # `python -m featurestore`, which nothing imports
    wrong = {
        path: names & FORBIDDEN.get(path.rpartition("/")[0], FORBIDDEN[package])
        for path, names in imported(package).items()
        if path != entry_point
    }

    assert {path: names for path, names in wrong.items() if names} == {}


def test_of_the_pipelines_only_the_gpu_build_imports_torch():
    users = [path for path, names in imported("pipelines").items() if "torch" in names]

    assert users != []
    assert [path for path in users if not path.startswith("pipelines/torch_rows/")] == []


@pytest.mark.parametrize("module", ["featurestore", "cli.main"])
def test_importing_stays_light(module):
    heavy = (
        "numba",
        "librosa",
        "torch",
        "dask",
        "distributed",
        "zarr",
        "scipy",
        "h5py",
        "sklearn",
        "matplotlib",
        "rich",
    )
    code = f"import sys, {module}; print(sorted(set(sys.modules) & set({heavy!r})))"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert result.stdout.strip() == "[]"
