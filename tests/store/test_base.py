"""A store on top of one that is only read: rows are taken from below, and nothing is ever written there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import featurestore
from tiny_corpus import build_here, recipe, tree, write_corpus

from featurestore.errors import SpecError, StorageError
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.store import Store, open_store
from pipelines.repair import repair


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "tiny", range(1, 5))


@pytest.fixture
def base(tmp_path: Path, folder: Path) -> Store:
    store = open_store(tmp_path / "base")
    build_here(store, folder, recipe(25))
    return store


def test_what_stands_in_the_base_is_neither_computed_nor_written(tmp_path, folder, base):
    before = tree(base)
    own = open_store(tmp_path / "own", base.uri)

    digest, computed = build_here(own, folder, recipe(25), name="mine")

    assert computed == 0
    assert digest == base.dataset(base.reference("tiny").dataset).digest
    assert {key.partition("/")[0] for key, _ in own.storage.walk()} == {"refs", "featurestore.json"}
    assert tree(base) == before


def test_only_rows_that_the_base_lacks_are_computed_and_views_read_through(tmp_path, folder, base):
    before = tree(base)
    own = open_store(tmp_path / "own", base.uri)
    write_corpus(folder, [5])

    digest, computed = build_here(own, folder, recipe(27))
    alone, _ = build_here(open_store(tmp_path / "alone"), folder, recipe(27))

    assert computed == 4 * 2 + 28
    assert digest == alone
    assert tree(base) == before
    view, other = own.view("tiny"), open_store(tmp_path / "alone").view("tiny")
    assert all(np.array_equal(view[row][0], other[row][0]) for row in range(len(view)))
    assert verify(own).damaged == []


def test_collecting_in_a_personal_store_leaves_the_base_alone(tmp_path, folder, base):
    before = tree(base)
    own = open_store(tmp_path / "own", base.uri)
    build_here(own, folder, recipe(30), name="mine")
    own.forget("mine")

    found = collect(own, grace=0, delete=True)

    assert len(found.objects) > 0
    assert [key for key, _ in own.storage.walk()] == ["featurestore.json"]
    assert tree(base) == before
    assert len(own.view("tiny")) == 4 * 26


def test_a_dataset_of_the_base_cannot_be_forgotten_from_above(tmp_path, base):
    own = open_store(tmp_path / "own", base.uri)

    with pytest.raises(SpecError, match="read-only"):
        own.forget("tiny")


def test_damage_in_the_base_is_mended_above_it(tmp_path, base):
    before = tree(base)
    key = next(key for key in before if key.endswith("c/0/0"))
    (Path(base.uri) / key).write_bytes(b"")
    own = open_store(tmp_path / "own", base.uri)

    report = repair(own, "tiny")

    assert (report.repaired, report.left) == ((key,), ())
    assert (Path(base.uri) / key).read_bytes() == b""
    assert own.storage.get(key) == before[key]
    assert verify(own, "tiny").damaged == []


def test_a_base_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="no store at"):
        open_store(tmp_path / "own", tmp_path / "nowhere")


def test_a_store_is_not_its_own_base(base, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_BASE", base.uri)

    assert open_store(base.uri).uri == base.uri


def test_the_command_line_marks_what_lies_in_the_base(tmp_path, base):
    result = featurestore("ls", "--json", "--store", tmp_path / "own", "--base", base.uri)

    (row,) = json.loads(result.stdout)
    assert (row["dataset"], row["base"]) == ("tiny", True)
