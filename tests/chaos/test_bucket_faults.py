"""A bucket whose service fails, throttles, loses answers and cuts them short: nothing is lost, nothing is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bucket_server import use
from faulty_proxy import EVERY, faulty
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import StorageError
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.storage import bucket_holders, bucket_requests, open_storage
from featurestore.store import Store, open_store

DATA = f"shards/{'0' * 16}/{'0' * 32}/c/0/0"
SEEDS = range(int(os.environ.get("FEATURESTORE_CHAOS_SEEDS", "2")))
"""More of them make a longer attack."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_requests, "LONGEST_PAUSE", 0.02)


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "truncated"])
def test_a_write_tells_rightly_whether_it_wrote_whatever_becomes_of_its_answer(
    kind, place, s3_server, monkeypatch, tmp_path
):
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        storage = open_storage(place)
        storage.replace("refs/x.json", b"old")
        left = [3]

        def first_writes(method: str, path: str, headers: dict[str, str]) -> str | None:
            left[0] -= method == "PUT"
            return kind if method == "PUT" and left[0] >= 0 else None

        proxy.choose = first_writes
        assert storage.put_if_absent(DATA, b"ours")
        assert proxy.faults[kind] >= 1
        left[0] = 3
        storage.replace("refs/x.json", b"new")
        left[0] = 1
        assert not storage.put_if_absent(DATA, b"others")

    assert open_storage(place).get(DATA) == b"ours"
    assert storage.get("refs/x.json") == b"new"


@pytest.mark.parametrize("kind", ["truncated", "slow", "reset", "500", "503", "throttled", "429", "lost"])
def test_a_read_returns_all_bytes_or_none_whatever_becomes_of_its_answer(kind, place, s3_server, monkeypatch, tmp_path):
    data = os.urandom(100_000)
    open_storage(place).put_if_absent(f"sources/{'1' * 64}", data)
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        left = [3]

        def first_reads(method: str, path: str, headers: dict[str, str]) -> str | None:
            left[0] -= 1
            return kind if left[0] >= 0 else None

        proxy.choose = first_reads
        assert open_storage(place).get(f"sources/{'1' * 64}") == data
        assert proxy.faults[kind] == (1 if kind == "slow" else 3)


def test_a_service_that_only_fails_ends_in_one_line_and_the_next_run_goes_on(place, s3_server, monkeypatch, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", range(1, 6))
    wanted = build_here(Store(open_storage(tmp_path / "local")), corpus, recipe(2))
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        for first in (5, 30, 45):
            proxy.requests.clear()
            proxy.choose = lambda *_, first=first: "503" if proxy.requests.total() > first else None
            with pytest.raises(StorageError, match="failed again and again, at last by: 503") as caught:
                build_here(open_store(place), corpus, recipe(2))
            assert "\n" not in str(caught.value)
        proxy.choose = lambda *_: None
        use(monkeypatch, proxy.address, tmp_path / "cache")
        monkeypatch.setattr("featurestore.storage.bucket_holders.SILENCE", 0.0)  # what it left behind has lapsed
        monkeypatch.setattr("featurestore.storage.bucket_holders.Holders.check", lambda _: None)
        assert build_here(open_store(place), corpus, recipe(2))[0] == wanted[0]
        assert verify(open_store(place)).damaged == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_build_over_a_failing_connection_gives_the_same_digest_and_no_damage(
    seed, place, s3_server, monkeypatch, tmp_path: Path, record_property
):
    corpus = write_corpus(tmp_path / "corpus", range(1, 13))
    wanted, computed = build_here(Store(open_storage(tmp_path / "local")), corpus, recipe(2))
    with faulty(s3_server, 0.35, seed=seed) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        assert build_here(open_store(place), corpus, recipe(2)) == (wanted, computed)
        assert build_here(open_store(place), corpus, recipe(2)) == (wanted, 0)
        found = verify(open_store(place))
        view, local = open_store(place).view("tiny"), Store(open_storage(tmp_path / "local")).view("tiny")
        for row in range(len(local)):
            assert (view[row][0] == local[row][0]).all()
        record_property("faults", dict(proxy.faults))

    use(monkeypatch, s3_server, tmp_path / "cache")
    assert (found.damaged, found.rows) == ([], computed)
    assert proxy.faults.total() > 40
    assert {key for key, _ in open_storage(place).walk()} == {key for key, _ in open_storage(tmp_path / "local").walk()}
    assert bucket_requests.Requests(place).entries("tmp") == {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path, bytes]:
    """A corpus, a store in a folder with two datasets of it, and the weights of a training from there."""
    pytest.importorskip("torch")
    place = tmp_path_factory.mktemp("near")
    corpus = write_corpus(place / "corpus", range(1, 13))
    store = Store(open_storage(place / "store"))
    build_here(store, corpus, recipe(2, mels=16))
    build_here(store, corpus, recipe(1), "other")
    return corpus, place / "store", weights_from(store, place / "run")


def weights_from(store: Store, run: Path) -> bytes:
    """Train a small network for two epochs in block-wise order, each batch read from the store; return its file."""
    from models.batches.loader import Sides
    from models.training import configure, train
    from models.training_spec import TrainingSpec

    spec = {"epochs": 2, "batch_size": 4, "normalisation": "training", "residence": "none", "shuffle": "blocks"}
    sides = Sides(*store.view("tiny").split("shuffled"))
    settings = {"hidden": 4, "convolutions": 1}
    config = configure(sides, "etienne-cnn-blstm", TrainingSpec.from_dict(spec), settings=settings, split="shuffled")
    train(sides, config, run, device="cpu")
    return (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_training_reading_and_collecting_over_a_failing_connection_are_as_over_a_sound_one(
    seed, trained, place, s3_server, monkeypatch, tmp_path: Path, record_property
):
    monkeypatch.setattr(bucket_holders, "PERIOD", 0.3)
    monkeypatch.setattr(bucket_holders, "LOOK", 0.0)
    corpus, near, weights = trained
    with faulty(s3_server, 0.35, seed=100 + seed) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        build_here(open_store(place), corpus, recipe(2, mels=16))
        build_here(open_store(place), corpus, recipe(1), "other")
        proxy.faults.clear()
        proxy.requests.clear()

        for run, size in (("first", "20GB"), ("cached", "20GB"), ("ranges", "0")):
            monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", size)
            assert weights_from(open_store(place), tmp_path / run) == weights
            for name in ("tiny", "other"):
                far, local = open_store(place).view(name), Store(open_storage(near)).view(name)
                assert all((far[row][0] == local[row][0]).all() for row in range(len(local)))
        open_store(place).forget("other")
        found = collect(open_store(place), grace=0, delete=True)
        record_property("faults", {**proxy.faults, "requests": proxy.requests.total()})

    use(monkeypatch, s3_server, tmp_path / "cache")
    assert proxy.faults.total() > 40
    assert found.objects
    assert collect(open_store(place), grace=0).objects == ()
    assert verify(open_store(place)).damaged == []
    assert open_store(place).names() == ["tiny"]
    assert bucket_requests.Requests(place).entries("tmp") == {}
