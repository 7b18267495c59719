"""Work that is killed at any storage operation is finished by doing it again, with nothing lost and nothing left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dying_storage import dies
from scale import LONG
from tiny_corpus import build_here, file_name, recipe, tone, tree, write_corpus

from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.store import Store, open_store
from pipelines.compact import compact
from pipelines.repair import repair

STEP = 1 if LONG else 29
"""Every operation is killed at in the long run, every twenty-ninth in the short one."""
Work = Callable[[Store], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "tiny", range(4))


def clear(store: Store) -> None:
    collect(store, grace=0, delete=True)


def attack(prepared: Path, place: Path, work: Work, *, heal: Work = lambda _: None) -> int:
    """Kill some work at every n-th operation; after each kill, the same work must give the undisturbed tree."""
    shutil.copytree(prepared, place / "undisturbed")
    work(open_store(place / "undisturbed"))
    expected = tree(open_store(place / "undisturbed"))
    assert verify(open_store(place / "undisturbed")).damaged == []
    kills, number, alive = 0, 1, True
    while alive:
        shutil.copytree(prepared, place / "store")
        store = open_store(place / "store")
        alive = dies(store, number, work, after=number % 2 == 0)
        kills += alive
        heal(open_store(place / "store"))
        work(open_store(place / "store"))
        assert tree(store) == expected, number
        shutil.rmtree(place / "store")
        number += STEP
    return kills


def test_a_build_killed_at_any_operation_is_finished_by_the_same_build(tmp_path, folder):
    (tmp_path / "empty").mkdir()

    kills = attack(tmp_path / "empty", tmp_path, lambda store: build_here(store, folder, recipe(27)))

    assert kills >= 60 / STEP


def test_a_growing_build_killed_at_any_operation_is_finished_by_the_same_build(tmp_path, folder):
    build_here(open_store(tmp_path / "small"), folder, recipe(3))
    write_corpus(folder, [4])

    kills = attack(tmp_path / "small", tmp_path, lambda store: build_here(store, folder, recipe(27)))

    assert kills >= 60 / STEP


def grown(place: Path, folder: Path) -> Path:
    """A store whose dataset refers to shards of larger ones that are forgotten, and that holds garbage."""
    store = open_store(place)
    build_here(store, folder, recipe(27))
    (folder / file_name(0)).unlink()  # a link to the store's original, which must stay as it is
    (folder / file_name(7)).write_bytes(tone(7))
    build_here(store, folder, recipe(27))
    build_here(store, folder, recipe(5))
    keep = store.reference("tiny").dataset
    for dataset in store.dataset_ids():
        if dataset != keep:
            store.forget(dataset)
    return place


def test_a_collection_killed_at_any_operation_is_finished_by_the_next(tmp_path, folder):
    kills = attack(grown(tmp_path / "grown", folder), tmp_path, clear)

    assert kills >= 30 / STEP


def test_a_compaction_killed_at_any_operation_is_finished_by_the_next(tmp_path, folder):
    def both(store: Store) -> None:
        compact(store)
        clear(Store(store.storage))

    kills = attack(grown(tmp_path / "grown", folder), tmp_path, both)

    assert kills >= 30 / STEP


def test_a_repair_killed_at_any_operation_is_finished_by_the_next(tmp_path, folder):
    store = open_store(tmp_path / "whole")
    build_here(store, folder, recipe(27))
    for number, (key, size) in enumerate(list(store.storage.walk("shards"))):
        data = bytearray(store.storage.get(key))
        data[(number * 997) % size] ^= 4
        store.storage.replace(key, bytes(data))

    kills = attack(tmp_path / "whole", tmp_path, repair)

    assert kills >= 60 / STEP


def test_after_compaction_and_collection_every_file_is_that_of_a_fresh_build(tmp_path, folder):
    store = open_store(grown(tmp_path / "grown", folder))
    fragmented = tree(store)

    moved = compact(store)
    clear(Store(store.storage))
    build_here(open_store(tmp_path / "fresh"), folder, recipe(5))

    assert moved == 1
    assert len(tree(store)) < len(fragmented)
    assert tree(store) == tree(open_store(tmp_path / "fresh"))


@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_loss_of_power_that_leaves_records_and_torn_data_is_found_and_mended(tmp_path, folder, kept):
    store = open_store(tmp_path / "store")
    digest, _ = build_here(store, folder, recipe(27))
    sound = tree(store)
    torn = [key for key, _ in store.storage.walk("shards") if key.endswith("c/0/0")]
    for key in torn:
        store.storage.replace(key, sound[key][: int(len(sound[key]) * kept)])

    found = [key for key, _ in verify(store).damaged]
    report = repair(open_store(tmp_path / "store"))

    assert found == sorted(torn)
    assert (list(report.repaired), report.left) == (sorted(torn), ())
    assert tree(store) == sound
    assert build_here(open_store(store.uri), folder, recipe(27)) == (digest, 0)
