"""What is installed is whole: the wheel, built from the source distribution, works where there is no checkout."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain

import pytest
from demo_corpus import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from source_copy import distributions

from featurestore.corpus.synthetic import demo_files
from pipelines.doctor import installation


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel holds, for other Python processes."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("package")
    _, wheel = distributions(folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, *words):
    """Run Python on what is installed, in a folder that is no checkout; the libraries are those of this process."""
    paths = [str(installed), *(path for path in sys.path if path.endswith(("site-packages", "deps")))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "FEATURESTORE_HOME": str(installed / "store")}
    done = subprocess.run(
        [sys.executable, "-S", "-P", *words], cwd=installed.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(installed, *words):
    return json.loads(run(installed, "-m", "featurestore", *words, "--json"))


def test_it_is_the_installed_package_that_is_tried(installed):
    where = run(
        installed, "-c", "import featurestore, pipelines, models, cli; print(featurestore.__file__, cli.__file__)"
    )

    assert all(str(installed) in path for path in where.split())


def test_the_wheel_holds_what_the_checkout_holds(installed):
    """Whatever lies in our packages, links as files; and nothing else but the package's own metadata."""
    packages = ("featurestore", "pipelines", "models", "cli", "data_manifests")
    here = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    there = {  # programs of other tests may have run from there
        str(path.relative_to(installed))
        for path in installed.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in there if ".dist-info/" not in name} == here
    assert not any(path.is_symlink() for path in installed.rglob("*"))


def test_published_results_and_tested_versions_are_found_there(installed):
    lines = asked(installed, "reproduce", "mathworks", "--show")
    code = "from pipelines.doctor.installation import tested_versions; print(tested_versions()['numpy'])"

    kept = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))["mathworks"]["rows"]
    assert [{name: line[name] for name in row} for line, row in zip(lines, kept, strict=True)] == kept
    assert f"numpy=={run(installed, '-c', code).strip()}" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_corpora_recipes_presets_and_policies_are_found_there(installed):
    for kind, least in (("corpora", 40), ("recipes", 6), ("presets", 9), ("policies", 4)):
        assert len(asked(installed, kind)) >= least, kind


def test_a_dataset_is_built_there(installed):
    report = asked(installed, "build", "demo", "--jobs", "1")

    assert report["computed"] == 120


def test_the_model_of_the_package_labels_a_recording_there(installed):
    pytest.importorskip("torch")
    recording = installed.parent / "a.wav"
    recording.write_bytes(demo_files()["f1_s1_hap.wav"])
    (answer,) = asked(installed, "predict", "--pretrained", recording)

    assert answer["label"] in answer["probabilities"]
    assert len(answer["probabilities"]) == 7


def test_every_package_of_an_extra_has_its_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: texts for name, texts in project["optional-dependencies"].items() if name != "bench"}  # of no user
    required = map(Requirement, chain(project["dependencies"], *extras.values()))
    tested = installation.tested_versions()

    assert [str(one) for one in required if not one.specifier.contains(tested[canonicalize_name(one.name)])] == []
