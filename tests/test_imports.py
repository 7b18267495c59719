"""Imports: they go one way between packages, in no circle of files or folders, and load nothing heavy at the start."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest
from demo_corpus import ROOT

PACKAGES = ("featurestore", "pipelines", "models", "cli")
FORBIDDEN = {
    "featurestore": {"dask", "distributed", "torch", "click", "h5py", "rich", "pipelines", "models", "cli"},
    "pipelines": {"click", "rich", "models", "cli"},
    "pipelines.experiments": {"click", "rich", "cli"},
    "models": {"click", "rich", "pipelines", "cli"},
    "cli": set(),
}
COMMANDS = "featurestore"
"""The module that offers `build`, `train` and the like of `pipelines.experiments`, which it imports at first use."""


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return what each of our modules imports anywhere: in functions and for type checking too."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            names = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names |= {f"{node.module}.{alias.name}" for alias in node.names}
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[module] = frozenset(names)
    return found


def imported_packages(module: str) -> set[str]:
    """Return the top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imports()[module]}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_in_the_direction_of_the_design(package):
    wrong = {}
    for module in imports():
        if module.partition(".")[0] == package and module != "featurestore.__main__":  # an entry: nothing imports it
            part = ".".join(module.split(".")[:2])
            wrong[module] = imported_packages(module) & FORBIDDEN.get(part, FORBIDDEN[package])
    wrong.pop(COMMANDS, None)

    assert wrong
    assert {module: names for module, names in wrong.items() if names} == {}


def test_only_the_command_line_and_experiments_themselves_import_experiments():
    users = {
        module for module, names in imports().items() if any(name.startswith("pipelines.experiments") for name in names)
    }

    assert {name for name in users if not name.startswith(("cli", "pipelines.experiments"))} == {COMMANDS}


def test_the_functions_of_the_commands_are_imported_at_first_use():
    code = (
        "import sys, featurestore; before = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted(before & {'pipelines', 'models', 'cli'}), featurestore.train.__module__)"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert result.stdout.strip() == "[] pipelines.experiments.training"
    import featurestore
    from pipelines import experiments

    assert {*experiments.__all__} - {*featurestore.__all__} == {"Listener", "Silent"}


@pytest.mark.parametrize("depth", [None, 2, 3])
def test_no_circle_of_imports_between_files_or_folders(depth):
    """Folders are those of a package; a file beside them is a part of its own, and what a package exports is none."""

    def part(module: str) -> str:
        return ".".join(module.split(".")[:depth])

    modules = imports().keys()
    graph: dict[str, set[str]] = {}
    for module, names in imports().items():
        imported = {name if name in modules else name.rpartition(".")[0] for name in names} & modules
        if depth is None or "." in module:
            graph.setdefault(part(module), set()).update(part(name) for name in imported)

    try:
        order = list(TopologicalSorter({name: parts - {name} for name, parts in graph.items()}).static_order())
    except CycleError as error:
        pytest.fail(f"circle of imports: {' <- '.join(error.args[1])}")

    assert len(order) > len(PACKAGES)


def test_of_the_pipelines_only_the_gpu_build_imports_torch():
    users = [module for module in imports() if module.startswith("pipelines") and "torch" in imported_packages(module)]

    assert users != []
    assert [module for module in users if not module.startswith("pipelines.torch_rows")] == []


@pytest.mark.parametrize("module", ["featurestore", "cli.main", "pipelines.build.run", "pipelines.experiments"])
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
