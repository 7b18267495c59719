"""What recipes share in the store is computed once, and `why` tells what they do not share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import run

FIRST = """
[dataset]
corpus = "demo"
copies = 2
settings = ["mels=16"]
[split]
name = "speakers"
[training]
epochs = 3
"""
SECOND = """
[dataset]
corpus = "demo"
copies = 2
settings = ["mels=16"]
[split]
name = "loso"
[model]
name = "keren-standard"
[training]
optimiser = "sgd"
normalisation = "speaker"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with two recipes, and the rows of the first in a store."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "first.toml").write_text(FIRST)
    (folder / "second.toml").write_text(SECOND)
    build = ("build", "--recipe", folder / "first.toml", "--name", "first", "--jobs", 1, "--store", folder / "store")
    assert run(list(map(str, build))) == 0
    return folder


@pytest.fixture
def ask(place, capsys):
    """Run a command on the store and return its JSON."""

    def asked(*arguments: object):
        names = [str(place / one) if str(one).endswith(".toml") else str(one) for one in arguments]
        capsys.readouterr()
        assert run([*names, "--store", str(place / "store"), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return asked


def test_a_second_recipe_with_the_same_features_computes_nothing_and_why_says_so(ask):
    built = ask("build", "--recipe", "second.toml", "--name", "second", "--jobs", 1)

    assert (built["computed"], built["copied"], built["reused"]) == (0, 0, 360)
    assert ask("why", "second", "--against", "first") == []


def test_changing_one_field_of_the_policy_recomputes_augmented_rows_only(ask):
    built = ask("build", "--recipe", "first.toml", "--set", "snr_db=0,5", "--name", "other", "--jobs", 1)
    told = ask("why", "first", "--against", "other")

    assert (built["computed"], built["reused"]) == (240, 120)
    assert [line["field"] for line in told] == ["augmentation.snr_db.uniform"]
    assert (told[0]["old"], told[0]["new"]) == ([-20, 40], [0, 5])
