"""Stores on web servers: read by index and by name, as a base too, never written, and no more believed than others."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, tree
from two_datasets import corpus_folder, two_datasets
from web_server import serving

from featurestore.errors import DamagedOriginError, FeatureStoreError, StorageError
from featurestore.integrity.verify import verify
from featurestore.moving.copying import pull, push
from featurestore.storage import bucket_requests, open_storage
from featurestore.storage.protocol import INDEX
from featurestore.store import Store, open_store

pytest.importorskip("obstore", reason="obstore is not installed: pip install 'featurestore[s3]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return corpus_folder(tmp_path_factory.mktemp("moving"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, folder) -> Store:
    return two_datasets(tmp_path_factory.mktemp("whole") / "store", folder)


@pytest.fixture(scope="module")
def public(tmp_path_factory, whole) -> Path:
    """A folder that both datasets were pushed to, with their corpus."""
    place = tmp_path_factory.mktemp("public") / "store"
    for name in ("tiny", "small"):
        push(whole, name, open_store(place), corpus=True)
    return place


@pytest.fixture(autouse=True)
def caches(monkeypatch, tmp_path):
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bucket_requests, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def server(public):
    with serving(public) as running:
        yield running


@pytest.fixture
def mine(tmp_path) -> Store:
    return open_store(tmp_path / "mine")


@pytest.mark.parametrize("layout", ["plain", "hub", "without ranges"])
def test_a_dataset_is_pulled_from_any_server_of_files(server, whole, mine, layout):
    server.ranges = layout != "without ranges"
    origin = Store(open_storage(server.hub if layout == "hub" else server.plain))

    done = pull(mine, "tiny", origin)
    again = pull(mine, "tiny", origin)

    assert done.digest == whole.view("tiny").digest == mine.view("tiny").digest
    assert verify(mine).damaged == []
    assert again.objects == 0


def test_passing_failures_of_a_server_do_no_harm(server, mine, whole):
    server.fails = 5

    assert pull(mine, "tiny", Store(open_storage(server.plain))).digest == whole.view("tiny").digest


@pytest.mark.parametrize("ranges", [True, False])
def test_rows_are_read_where_they_lie(server, whole, ranges):
    server.ranges = ranges
    theirs, ours = open_store(server.hub).view("tiny"), whole.view("tiny")

    assert all(np.array_equal(theirs[row][0], ours[row][0]) for row in range(len(ours)))
    assert len(theirs) == len(ours)
    assert pickle.loads(pickle.dumps(open_storage(server.hub))).uri == server.hub  # noqa: S301 (our own)


def test_what_stands_there_is_told_by_the_index_that_a_push_leaves(server, whole):
    store = open_store(server.plain)

    assert store.names() == ["small", "tiny"]
    assert [row["digest"] for row in store.describe_datasets()] == [whole.view(name).digest for name in store.names()]
    assert store.reference(whole.view("small").digest[:8]).name == "small"
    assert verify(store).damaged == []


def test_without_an_index_datasets_are_found_by_their_names_alone(public, tmp_path, mine, whole):
    shutil.copytree(public, tmp_path / "bare")
    (tmp_path / "bare" / INDEX).unlink()
    with serving(tmp_path / "bare") as server:
        store = open_store(server.plain)

        assert pull(mine, "tiny", store).digest == whole.view("tiny").digest
        assert verify(store, "small").damaged == []
        for ask in (store.describe_datasets, lambda: store.reference("nothing"), lambda: verify(store)):
            with pytest.raises(StorageError, match=r"no objects\.json.*full name"):
                ask()


def test_a_build_on_such_a_base_computes_no_row_that_stands_there(server, tmp_path, folder, whole):
    store = open_store(tmp_path / "own", server.plain)

    digest, computed = build_here(store, folder, recipe(3), name="mine")

    assert (digest, computed) == (whole.view("tiny").digest, 0)
    assert {key.partition("/")[0] for key, _ in store.storage.walk()} <= {"refs", "rejects", "featurestore.json"}
    assert len(store.view("mine")) == len(whole.view("tiny"))


def test_a_web_server_is_never_written(server, whole, folder):
    for work in (
        lambda: push(whole, "tiny", open_store(server.plain)),
        lambda: build_here(open_store(server.plain), folder, recipe(1)),
        lambda: open_store(server.plain).forget("tiny"),
    ):
        with pytest.raises(StorageError, match="only read"):
            work()
    assert set(server.counts) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "address",
    ["http://user:s3cret@127.0.0.1/x", "http://", "http://127.0.0.1/a?b=c", "http://127.0.0.1/../x", "http://[::1/x"],
)  # fmt: skip
def test_an_address_that_can_be_none_is_refused(address):
    with pytest.raises(StorageError) as caught:
        open_storage(address)

    assert "s3cret" not in str(caught.value)


def test_a_place_that_is_no_store_and_a_round_of_redirects_end_in_one_line(server, mine, tmp_path):
    with pytest.raises(StorageError, match="no store at"):
        pull(mine, "tiny", Store(open_storage(f"{server.plain}/refs")))
    with pytest.raises(StorageError, match="check the address"):
        pull(mine, "tiny", Store(open_storage(server.plain.replace("/files", "/round"))))

    assert server.counts.total() < 40


@pytest.mark.parametrize("body", [b"", b"{}", b"\x1b[31m<html>", b"x" * 3_000_000])
def test_a_server_that_sends_something_else_is_refused_with_nothing_written(server, mine, body):
    origin = Store(open_storage(server.plain))
    assert origin.storage.is_store()
    server.body = body

    with pytest.raises(FeatureStoreError) as caught:
        pull(mine, "tiny", origin)

    assert "\n" not in str(caught.value)
    assert not Path(mine.uri).exists() or tree(mine).keys() <= {"featurestore.json"}


def test_an_object_that_was_changed_on_the_server_is_refused(public, tmp_path, mine):
    shutil.copytree(public, tmp_path / "changed")
    for key in [key for key in tree(open_store(tmp_path / "changed")) if key.endswith("c/0/0")]:
        data = bytearray((tmp_path / "changed" / key).read_bytes())
        data[9] ^= 1
        (tmp_path / "changed" / key).write_bytes(data)
    with serving(tmp_path / "changed") as server:
        with pytest.raises(DamagedOriginError, match="nothing was published: ask its owner"):
            pull(mine, "tiny", Store(open_storage(server.plain)))
        assert mine.names() == []
        with pytest.raises(FeatureStoreError, match="checksum"):
            open_store(server.plain).view("tiny")[0]
