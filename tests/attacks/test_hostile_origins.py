"""Datasets pulled from strangers' stores: nothing is believed, and nothing is published before all is verified."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from hostile_records import tamper
from terminals import called, steers
from tiny_corpus import tree
from two_datasets import corpus_folder, two_datasets

from featurestore.errors import DamagedOriginError, FeatureStoreError, StorageError
from featurestore.integrity.verify import verify
from featurestore.moving.copying import pull, push
from featurestore.shards.commit import encode_shard
from featurestore.shards.parts import PlannedShard
from featurestore.shards.reader import decode_rows, read_object
from featurestore.shards.record import data_key, record_key
from featurestore.store import Store, open_store

STORES = 1_000 if os.environ.get("FEATURESTORE_CHAOS") == "long" else 25


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Store:
    place = tmp_path_factory.mktemp("whole")
    return two_datasets(place / "store", corpus_folder(place))


@pytest.fixture
def own(whole: Store, tmp_path: Path) -> Store:
    """A copy of that store, to be injured."""
    shutil.copytree(whole.uri, tmp_path / "origin")
    return open_store(tmp_path / "origin")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return open_store(tmp_path / "other")


def sealed_rows(own: Store) -> None:
    """Let a shard hold other rows, sealed as if they were sound."""
    address = own.dataset(own.reference("tiny").dataset).addresses[0]
    old = own.record(address)
    changed = [row + 1 for row in decode_rows(old, read_object(old, own.storage))]
    record, data = encode_shard(PlannedShard(old.spec, old.first, old.stop, old.members), changed, old.remarks)
    own.storage.replace(data_key(address), data.tobytes())
    own.storage.replace(record_key(address), record.to_bytes())


def test_forged_rows_do_not_have_the_digest_that_was_asked_for(own, other):
    sealed_rows(own)

    with pytest.raises(DamagedOriginError, match="do not have the digest"):
        pull(other, "tiny", open_store(own.uri))

    assert other.names() == other.dataset_ids() == []


def test_links_in_a_strangers_folder_are_not_followed(own, other, tmp_path):
    for key in [key for key in tree(own) if key.startswith("sources")][:1]:
        shutil.move(Path(own.uri) / key, tmp_path / "elsewhere")
        (Path(own.uri) / key).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedOriginError, match="is a link"):
        pull(other, "tiny", own)
    assert push(own, "tiny", open_store(tmp_path / "mine")).sources  # one's own are

    shutil.move(Path(own.uri) / "refs", tmp_path / "refs")
    (Path(own.uri) / "refs").symlink_to(tmp_path / "refs")
    with pytest.raises(FeatureStoreError):
        pull(other, "tiny", own)

    assert other.names() == other.dataset_ids() == []


def test_a_huge_object_of_a_stranger_is_refused_by_its_size(own, other):
    for key in [key for key in tree(own) if key.startswith("sources")]:
        os.truncate(Path(own.uri) / key, 2**40)

    with pytest.raises(DamagedOriginError, match=r"not of .* bytes"):
        pull(other, "tiny", own)

    key = next(key for key, _ in own.storage.walk("shards") if key.endswith("c/0/0"))
    os.truncate(Path(own.uri) / key, 2**43)
    with pytest.raises((StorageError, DamagedOriginError)):
        pull(other, "tiny", own)


def test_a_pull_from_a_tampered_store_ends_in_one_line_or_in_a_sound_dataset(whole, tmp_path):
    chance = random.Random(14)
    refused = 0
    for number in range(STORES):
        place, mine = tmp_path / "theirs", tmp_path / "mine"
        shutil.copytree(whole.uri, place)
        keys = [tamper(chance, place) for _ in range(2)]
        code, out, err = called("pull", "tiny", str(place), "--store", str(mine))
        target = open_store(mine)
        assert not steers(out + err), keys
        if code == 0:
            assert verify(target).damaged == [], (number, keys)
            assert target.view("tiny").digest in out
        else:
            refused += 1
            assert code in (1, 4), (number, keys, code, err)
            assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1, (number, keys, err)
            assert target.names() == target.dataset_ids() == [], (number, keys)
        shutil.rmtree(place)
        shutil.rmtree(mine, ignore_errors=True)

    assert STORES / 8 < refused < STORES
