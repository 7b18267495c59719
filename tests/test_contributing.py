"""The examples of CONTRIBUTING.md work as they stand, in a copy of the project; what the prose names exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch

import pytest
from demo_corpus import ROOT

PACKAGES = ("featurestore", "pipelines", "models", "cli", "data_manifests")
BLOCK = re.compile(r"^```(?:python|toml)\n(?P<text># (?P<path>\S+/\S+)\n.*?)^```", re.MULTILINE | re.DOTALL)
CHECKS = {
    "featurestore/perturbations/lowpass.py": """
        from featurestore.specs.augmentation import AugmentationSpec
        from featurestore.specs.features import FeatureSpec
        from featurestore.specs.row_spec import row_versions
        policy = AugmentationSpec.from_dict({"lowpass_hz": {"uniform": [500, 1000]}})
        assert row_versions(FeatureSpec(), policy)["lowpass"] == 1
    """,
    "featurestore/features/energy.py": """
        import numpy as np
        from featurestore.features import FEATURES
        from featurestore.specs.features import FeatureSpec
        from featurestore.specs.row_spec import row_versions
        spec = FeatureSpec(kind="energy", piece=2)
        assert row_versions(spec, None)["energy"] == 1
        row = FEATURES["energy"].transform(spec, 16000)(np.ones(5, np.float32), 1.0, np.float32, None)
        assert row.tolist() == [[2.0], [2.0]]
    """,
    "models/networks/pooled.py": """
        import torch
        from models.networks import build_model, count_parameters, models_table
        card = {row["name"]: row for row in models_table()}["pooled"]
        assert card["parameters"] == count_parameters(build_model("pooled", 7, 128))
        clips = torch.ones(2, 9, 128)
        clips[1, 4:] = 100  # behind its end
        one, other = build_model("pooled", 7, 128)(clips, torch.tensor([9, 4]))
        assert torch.allclose(one, other)
    """,
    "data_manifests/takes.toml": """
        from featurestore.corpus.catalog import find_manifest
        found = find_manifest("takes")
        assert (found.title, found.labels.target) == ("Takes of two speakers", "mood")
    """,
    "pipelines/recipes/moods.toml": """
        from pipelines.experiments.recipe import read_recipe
        experiment = read_recipe("moods").experiment()
        assert (experiment.dataset.copies, experiment.training["epochs"]) == (2, 3)
    """,
    "featurestore/corpus/splits/rules/every_fifth.py": """
        from types import SimpleNamespace as Item
        from featurestore.corpus.protocols import split as split_named
        split = split_named([Item(path=f"{number}.wav") for number in range(10)], "every-fifth")
        assert split.test == ("0.wav", "5.wav") and split.validation == ("1.wav", "6.wav") and len(split.train) == 6
    """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the packages, with the examples that are whole files in their places."""
    folder = tmp_path_factory.mktemp("project")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in examples().items():
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def examples() -> dict[str, str]:
    """Return the examples by the file that each is."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {found["path"]: found["text"] for found in BLOCK.finditer(text)}


def test_every_example_is_checked():
    assert examples().keys() == CHECKS.keys()


@pytest.mark.parametrize("path", CHECKS)
def test_an_example_works(project, path):
    check = "\n".join(line.strip() for line in CHECKS[path].splitlines())
    if "import torch" in check:
        pytest.importorskip("torch")

    told = subprocess.run([sys.executable, "-c", check], cwd=project, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stderr


PROSE = (
    "README.md",
    "CONTRIBUTING.md",
    "featurestore/DESIGN.md",
    *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
)
QUOTED = re.compile(r"`([^`\s]+)`|\]\(([^)#\s]+)")
OURS = re.compile(
    r"(?:\.{0,2}/)*(?:featurestore|pipelines|models|cli|data_manifests|docs|tests|benchmarks)[/.][\w*./-]+"
)
MADE = ("featurestore/perturbations/lowpass.py", "featurestore.json")
"""What the prose names and a reader makes, or a store holds."""


@pytest.mark.parametrize("page", PROSE)
def test_every_path_and_module_that_a_page_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    quoted = {one or other for one, other in QUOTED.findall(text)}
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/**/*") if "__pycache__" not in path.parts}

    missing = [
        name
        for name in sorted(quoted)
        if OURS.fullmatch(name) and "..." not in name and name not in MADE and not exists(name, files)
    ]

    assert missing == []


def exists(name: str, files: set[str]) -> bool:
    """Tell whether a path, a pattern of paths, or the dotted name of a module or of something in it exists."""
    path = name.rstrip("/").removeprefix("../")
    places = (path, f"tests/{path}")  # docs/reliability.md names tests without their folder
    if any(fnmatch(file, place) for place in places for file in files) or (ROOT / path).exists():
        return True
    if "/" in path:
        return False
    *parts, last = path.split(".")
    modules = ("/".join((*parts, last)), "/".join(parts), "/".join(parts[:-1]))
    if f"{modules[0]}.py" in files or f"{modules[0]}/__init__.py" in files:
        return True
    for module in modules[1:]:
        for file in (f"{module}.py", f"{module}/__init__.py"):
            if file in files and re.search(rf"\b{last}\b", (ROOT / file).read_text(encoding="utf-8")):
                return True
    return False
