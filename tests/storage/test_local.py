"""A folder as storage: objects appear whole, once, and nothing is left behind."""

from __future__ import annotations

import multiprocessing
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from featurestore.errors import MissingObjectError, StorageError
from featurestore.storage import LocalStorage, open_storage
from featurestore.storage.protocol import MARKER

SOURCES = [f"sources/{digit * 64}" for digit in "12"]


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


def test_an_object_comes_back_as_it_was_put(storage):
    assert storage.put_if_absent(SOURCES[0], b"bytes")
    assert storage.get(SOURCES[0]) == b"bytes"
    part = np.empty(3, np.uint8)
    assert storage.read(SOURCES[0], 1, part).size == storage.size(SOURCES[0]) == 5
    assert part.tobytes() == b"yte"


def test_a_second_put_under_the_same_key_changes_nothing(storage):
    storage.put_if_absent(SOURCES[0], b"first")

    assert not storage.put_if_absent(SOURCES[0], b"second")
    assert storage.get(SOURCES[0]) == b"first"


def test_replace_puts_new_bytes_in_place_of_old_ones(storage):
    storage.replace("refs/x.json", b"old")
    storage.replace("refs/x.json", b"new")

    assert storage.get("refs/x.json") == b"new"


def test_a_missing_object_is_an_error_that_names_it(storage):
    with pytest.raises(MissingObjectError, match=SOURCES[0]):
        storage.get(SOURCES[0])
    with pytest.raises(MissingObjectError, match=SOURCES[0]):
        storage.read(SOURCES[0], 0, np.empty(1, np.uint8))


def test_an_empty_object_is_read_as_empty(storage):
    storage.put_if_absent(SOURCES[0], b"")

    assert storage.get(SOURCES[0]) == b""


def test_writing_leaves_no_temporary_file(storage):
    storage.put_if_absent(SOURCES[0], b"1")
    storage.put_if_absent(SOURCES[0], b"2")
    storage.replace(SOURCES[1], b"3")

    assert list((storage.root / "tmp").iterdir()) == []
    assert [key for key, _ in storage.walk()] == [MARKER, *SOURCES]


def test_deleting_takes_the_folders_that_become_empty(storage):
    storage.put_if_absent(f"shards/{'0' * 16}/{'0' * 32}/c/0/0", b"1")
    storage.put_if_absent("refs/y.json", b"1")

    storage.delete(f"shards/{'0' * 16}/{'0' * 32}/c/0/0")

    assert not (storage.root / "shards").exists()
    assert storage.exists("refs/y.json")


def test_deleting_does_not_list_what_else_a_folder_holds(storage):
    for number in range(2_000):
        storage.put_if_absent(f"sources/{number:064x}", b"1", durable=False)
    storage.delete(f"sources/{0:064x}")
    tracemalloc.start()
    try:
        storage.delete(f"sources/{1:064x}")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 50_000  # the names alone would be twice as many bytes
    assert len(storage.children("sources")) == 1_998


def test_adopting_a_file_shares_its_bytes_and_keeps_the_first(storage, tmp_path):
    file = tmp_path / "original.wav"
    file.write_bytes(b"audio")

    assert storage.adopt(SOURCES[0], file)
    assert not storage.adopt(SOURCES[0], file)
    assert storage.get(SOURCES[0]) == b"audio"


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(StorageError, match="is a file"):
        LocalStorage(file)


def test_a_uri_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(StorageError, match="gopher"):
        open_storage("gopher://host/store")
    assert open_storage(f"file://{tmp_path}").uri == str(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)

    with pytest.raises(StorageError, match="permission"):
        LocalStorage(tmp_path / "closed").put_if_absent(SOURCES[0], b"1")


def test_a_full_disk_is_named_with_what_to_do():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="space") as caught, Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"1")

    explanation = LocalStorage(Path("store"))._explanation(SOURCES[0], caught.value)

    assert "no space left" in explanation
    assert "free some" in explanation


def _put_many(root: Path, start: object, results: object) -> None:
    storage = LocalStorage(root)
    start.wait()
    results.put(sum(storage.put_if_absent(f"sources/{number:064x}", b"same" * 1000) for number in range(200)))


def test_a_store_that_another_writer_begins_while_this_one_looks_is_taken_for_what_it_is(tmp_path, monkeypatch):
    storage = open_storage(str(tmp_path))
    looked = storage.is_store

    def another_begins() -> bool:
        stood = looked()
        assert open_storage(str(tmp_path)).put_if_absent(SOURCES[1], b"theirs")
        return stood

    monkeypatch.setattr(storage, "is_store", another_begins)

    assert storage.put_if_absent(SOURCES[0], b"ours")
    assert storage.get(SOURCES[1]) == b"theirs"


def test_of_many_writers_of_one_key_exactly_one_wins(tmp_path):
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    writers = [context.Process(target=_put_many, args=(tmp_path, start, results)) for _ in range(4)]
    for writer in writers:
        writer.start()
    start.set()
    won = [results.get(timeout=240) for _ in writers]
    for writer in writers:
        writer.join()

    assert sum(won) == 200
    assert all(LocalStorage(tmp_path).get(f"sources/{number:064x}") == b"same" * 1000 for number in range(200))
