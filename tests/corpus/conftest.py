"""Where the real corpora lie, and one reading of each for all tests here."""

import os
from pathlib import Path

import pytest

from featurestore.corpus import load_corpus


def _real(relative):
    home = Path(os.environ.get("FEATURESTORE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (home / relative).exists():
        pytest.skip(f"{relative} is not there: put the real corpora beside the repository or set FEATURESTORE_SHARED")
    return home / relative


@pytest.fixture(scope="session")
def emodb_zip():
    return _real("data/emodb/download.zip")


@pytest.fixture(scope="session")
def fsdd_zip():
    return _real("data/fsdd/free-spoken-digit-dataset.zip")


@pytest.fixture(scope="session")
def speech_commands_tar():
    return _real("data/speech_commands/speech_commands_subset.tar.gz")


@pytest.fixture(scope="session")
def emodb(emodb_zip):
    return load_corpus("emodb", emodb_zip)


@pytest.fixture(scope="session")
def demo():
    return load_corpus("demo")
