"""A copy that is killed at any operation is finished by the same copy, and its name never stands before all of it."""

from __future__ import annotations

import shutil

import pytest
from dying_storage import dies
from scale import LONG
from tiny_corpus import tree
from two_datasets import corpus_folder, two_datasets

from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.moving.copying import push
from featurestore.store import Store, open_store

STEP = 1 if LONG else 7


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Store:
    place = tmp_path_factory.mktemp("whole")
    return two_datasets(place / "store", corpus_folder(place))


@pytest.mark.parametrize("sources", [True, False])
def test_a_copy_killed_at_any_operation_is_finished_by_the_same_copy(whole, tmp_path, sources):
    work = {"sources": sources, "corpus": sources}
    push(whole, "tiny", open_store(tmp_path / "undisturbed"), **work)
    expected = tree(open_store(tmp_path / "undisturbed"))
    number, alive, kills = 1, True, 0

    while alive:
        target = open_store(tmp_path / "target")
        alive = dies(target, number, lambda target: push(whole, "tiny", target, **work), after=number % 2 == 0)
        kills += alive
        if alive and target.storage.exists("refs/tiny.json"):
            assert verify(open_store(target.uri)).damaged == []  # the name comes last
        push(whole, "tiny", open_store(target.uri), **work)
        assert tree(target) == expected, number
        shutil.rmtree(target.uri)
        number += STEP

    assert kills >= 30 / STEP


def test_what_a_killed_copy_left_is_collected_as_garbage(whole, tmp_path):
    target = open_store(tmp_path / "target")
    assert dies(target, 30, lambda target: push(whole, "tiny", target))

    collect(target, grace=0, delete=True)

    assert list(tree(target)) == ["featurestore.json"]
