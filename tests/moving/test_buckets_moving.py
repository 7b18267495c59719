"""Datasets copied into a bucket and out of it: the same objects under the same keys."""

from __future__ import annotations

import pytest
from bucket_server import use
from faulty_proxy import faulty
from tiny_corpus import tree
from two_datasets import corpus_folder, two_datasets

from featurestore.integrity.verify import verify
from featurestore.moving.copying import pull, push
from featurestore.storage import bucket_requests
from featurestore.store import Store, open_store


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Store:
    place = tmp_path_factory.mktemp("whole")
    return two_datasets(place / "store", corpus_folder(place))


def test_a_dataset_goes_into_a_bucket_and_out_again_as_it_was(whole, place, tmp_path):
    bucket, back = open_store(place), open_store(tmp_path / "back")
    push(whole, "tiny", open_store(tmp_path / "near"))

    there = push(whole, "tiny", bucket)
    again = push(whole, "tiny", open_store(place))
    pull(back, "tiny", open_store(place))
    pulled = {key: data for key, data in tree(back).items() if key != "objects.json"}

    assert again.objects == 0
    assert again.standing == there.objects
    assert verify(open_store(place)).damaged == []
    assert pulled == {key: data for key, data in tree(open_store(tmp_path / "near")).items() if key != "objects.json"}


def test_a_push_over_a_connection_that_fails_ends_with_the_same_objects(whole, place, s3_server, monkeypatch, tmp_path):
    monkeypatch.setattr(bucket_requests, "LONGEST_PAUSE", 0.02)
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        kinds, number = ["503", "lost", "reset", "500"], [0]

        def every_fifth(method: str, path: str, headers: dict[str, str]) -> str | None:
            number[0] += 1
            return kinds[number[0] // 5 % 4] if number[0] % 5 == 0 else None

        proxy.choose = every_fifth
        done = push(whole, "tiny", open_store(place))
        assert proxy.faults.total() >= 10

    use(monkeypatch, s3_server, tmp_path / "cache")
    assert done.objects == push(whole, "tiny", open_store(place)).standing
    assert verify(open_store(place)).damaged == []
