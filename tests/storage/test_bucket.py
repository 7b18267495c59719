"""A bucket as storage: the promises of a folder, kept by conditional requests to a real server."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from bucket_server import use
from faulty_proxy import faulty

from featurestore.errors import DamagedObjectError, MissingObjectError, StorageError, StoreBusyError
from featurestore.storage import (
    LocalStorage,
    Storage,
    bucket,
    bucket_address,
    bucket_holders,
    bucket_requests,
    open_storage,
)
from featurestore.storage.bucket import BucketStorage
from featurestore.storage.object_cache import ObjectCache
from featurestore.storage.protocol import MARKER

SOURCES = [f"sources/{digit * 64}" for digit in "12"]
DATA = f"shards/{'0' * 16}/{'0' * 32}/c/0/0"
RECORD = f"shards/{'0' * 16}/{'0' * 32}/zarr.json"


@pytest.fixture
def storage(place: str) -> Storage:
    return open_storage(place)


def test_where_no_endpoint_is_named_the_bucket_is_at_amazon(place, monkeypatch):
    for name in bucket_address.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)

    service = bucket_requests.Requests("s3://elsewhere/store").service

    assert "endpoint" not in service.config
    assert service.config["bucket"] == "elsewhere"


def test_a_bucket_and_a_folder_answer_the_same_calls_alike(storage, tmp_path):
    def answers(storage: Storage) -> list[object]:
        file = tmp_path / "original.wav"
        file.write_bytes(b"audio")
        part = np.empty(3, np.uint8)
        found: list[object] = [storage.is_store()]
        with storage.hold(exclusive=False):
            found += [
                storage.put_if_absent(DATA, b"first bytes"),
                storage.put_if_absent(DATA, b"other bytes"),
                storage.adopt(SOURCES[0], file),
                storage.adopt(SOURCES[0], file),
                storage.put_if_absent(SOURCES[1], b""),
                storage.read(DATA, 2, part).size,
                part.tobytes(),
                storage.get(SOURCES[1]),
                storage.size(DATA),
                storage.claim("a" * 32),
                storage.claim("a" * 32),
            ]
            storage.release("a" * 32)
            storage.replace("refs/x+1.json", b"old")
            stamp = storage.changed("refs")
            storage.replace("refs/x+1.json", b"new")
            found += [storage.holder("a" * 32), storage.changed("refs") != stamp, storage.get("refs/x+1.json")]
        found += [
            list(storage.walk()),
            storage.children(""),
            storage.children("shards"),
            storage.children(f"shards/{'0' * 16}"),
            storage.children("refs"),
            storage.exists(RECORD),
            storage.sweep(),
        ]
        storage.delete("refs/x+1.json")
        storage.delete("refs/x+1.json")
        return [*found, storage.exists("refs/x+1.json"), storage.children("refs"), storage.is_store()]

    local = answers(LocalStorage(tmp_path / "folder"))

    assert answers(storage) == local


def test_a_missing_object_is_an_error_that_names_it(storage):
    for call in (
        lambda: storage.get(SOURCES[0]),
        lambda: storage.size(DATA),
        lambda: storage.read(DATA, 0, np.empty(1, np.uint8)),
    ):
        with pytest.raises(MissingObjectError, match=r"sources|shards"):
            call()


def test_reading_beyond_the_end_is_damage_whether_a_copy_is_kept_or_not(storage, tmp_path):
    storage.put_if_absent(DATA, b"123")
    kept = BucketStorage(storage.uri)
    kept.expect([DATA])

    for reader in (storage, kept):
        with pytest.raises(DamagedObjectError, match="ends before byte 5"):
            reader.read(DATA, 2, np.empty(3, np.uint8))


def test_a_key_that_leads_out_of_the_store_is_refused(storage):
    for call in (storage.get, storage.exists, storage.delete, storage.size):
        with pytest.raises(DamagedObjectError, match="no object of a store"):
            call("refs/../../x.json")


def test_an_object_that_is_larger_than_any_of_its_kind_is_not_read(storage, monkeypatch):
    storage.put_if_absent(SOURCES[0], b"12345")
    monkeypatch.setattr("featurestore.storage.bucket.largest", lambda _: 4)

    with pytest.raises(DamagedObjectError, match="larger than 4 bytes"):
        storage.get(SOURCES[0])


def test_a_store_that_another_writer_begins_while_this_one_looks_is_taken_for_what_it_is(storage, place, monkeypatch):
    looked = storage.is_store

    def another_begins() -> bool:
        monkeypatch.setattr(storage, "is_store", looked)
        stood = looked()
        assert open_storage(place).put_if_absent(SOURCES[1], b"theirs")
        monkeypatch.setattr(bucket, "_begun", set())  # the other is another process
        return stood

    monkeypatch.setattr(storage, "is_store", another_begins)

    assert storage.put_if_absent(SOURCES[0], b"ours")
    assert storage.get(SOURCES[1]) == b"theirs"


def test_a_place_with_other_objects_is_no_store_and_stays_as_it_is(storage, place):
    bucket_requests.Requests(place).put("thesis.pdf", b"mine")

    with pytest.raises(StorageError, match=r"holds other objects \('thesis.pdf'\)"):
        storage.put_if_absent(SOURCES[0], b"1")
    assert set(bucket_requests.Requests(place).entries("")) == {"thesis.pdf"}


def test_single_rows_are_read_by_ranges_and_many_from_one_copy(storage, s3_server, monkeypatch, tmp_path):
    data = np.arange(200, dtype=np.uint8)
    storage.put_if_absent(DATA, data.tobytes())
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "copies")
        for again in (BucketStorage(storage.uri), BucketStorage(storage.uri)):
            for start in range(100):
                part = np.empty(10, np.uint8)
                again.read(DATA, start, part)
                assert part.tolist() == data[start : start + 10].tolist()

    assert proxy.requests["GET"] <= 6 + 1 + 2  # single parts, all of it, and a listing for each of two processes
    assert set(proxy.requests) == {"GET"}  # reading needs no right to write


def test_what_another_process_has_just_written_is_there_however_young_a_listing_is(storage, place, monkeypatch):
    monkeypatch.setattr("featurestore.storage.bucket_listings.LISTING_LIFE", 1000.0)
    keys = [f"shards/{'0' * 16}/{number:032x}/zarr.json" for number in range(3)]
    assert not any(storage.exists(key) for key in keys)
    other = open_storage(place)
    for key in keys:
        other.put_if_absent(key, b"1")

    assert all(storage.exists(key) for key in keys)
    assert len(storage.children(f"shards/{'0' * 16}")) == 3
    assert storage.size(keys[0]) == 1


def test_without_a_cache_and_after_a_copy_is_cut_short_the_bytes_are_the_same(storage, monkeypatch, tmp_path):
    data = np.arange(100, dtype=np.uint8)
    storage.put_if_absent(DATA, data.tobytes())
    part = np.empty(50, np.uint8)
    for size in ("0", "1GB"):
        monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", size)
        reader = open_storage(storage.uri)
        reader.expect([DATA])
        for start in range(12):
            for copy in ObjectCache.chosen().folder.glob("*"):
                os.truncate(copy, 20)
            reader.read(DATA, start, part)
            assert part.tolist() == data[start : start + 50].tolist()
        assert size != "0" or not ObjectCache.chosen().folder.exists()


def test_shards_that_are_read_next_are_fetched_side_by_side_once_each(place, s3_server, monkeypatch, tmp_path):
    keys = [f"shards/{'0' * 16}/{number:032x}/c/0/0" for number in range(24)]
    writer = open_storage(place)
    for number, key in enumerate(keys):
        writer.put_if_absent(key, bytes([number]) * 10)
    four_at_once = threading.Barrier(4)

    def meeting(method: str, path: str, headers: dict[str, str]) -> None:
        if path.endswith("/c/0/0"):
            four_at_once.wait(60)

    with faulty(s3_server) as proxy:
        proxy.choose = meeting
        use(monkeypatch, proxy.address, tmp_path / "copies")
        reader, part = open_storage(place), np.empty(10, np.uint8)
        for _ in range(2):
            reader.expect(keys)
            for number, key in enumerate(keys):
                reader.read(key, 0, part)
                assert part.tolist() == [number] * 10

    assert proxy.requests["GET"] <= 24 + 10  # and a few listings


def test_a_copy_is_not_read_any_more_once_the_object_is_another(storage, place):
    storage.put_if_absent(DATA, b"one")
    part = np.empty(3, np.uint8)
    reader = open_storage(place)
    reader.expect([DATA])
    before = reader.read(DATA, 0, part)

    storage.replace(DATA, b"two")
    reader = open_storage(place)
    after = reader.read(DATA, 0, part)

    assert part.tobytes() == b"two"
    assert before != after


def test_an_object_that_is_replaced_between_two_ranges_is_read_anew(storage, place):
    storage.put_if_absent(DATA, b"one")
    part = np.empty(3, np.uint8)
    reader = open_storage(place)
    before = reader.read(DATA, 0, part)

    storage.replace(DATA, b"two!")

    assert reader.read(DATA, 0, part) != before
    assert part.tobytes() == b"two"


def test_unsound_bytes_of_a_copy_are_fetched_once_more(storage, place):
    storage.put_if_absent(DATA, b"sound")
    part = np.empty(5, np.uint8)
    reader = BucketStorage(place)
    reader.expect([DATA])
    reader.read(DATA, 0, part)

    assert reader.distrust(DATA)
    assert not list(ObjectCache.chosen().folder.iterdir())
    assert not reader.distrust(DATA)
    reader.read(DATA, 0, part)
    assert part.tobytes() == b"sound"


def test_of_two_who_replace_a_name_both_end_and_one_is_the_last(storage, place):
    storage.replace("refs/x.json", b"0")
    threads = [
        threading.Thread(target=lambda i=i: open_storage(place).replace("refs/x.json", b"%d" % i)) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert storage.get("refs/x.json") in [b"%d" % i for i in range(4)]


def test_of_many_who_put_the_same_object_one_has_written_it(storage, place):
    storage.put_if_absent(SOURCES[1], b"")
    written: list[bytes] = []

    def put(data: bytes) -> None:
        if open_storage(place).put_if_absent(DATA, data):
            written.append(data)

    threads = [threading.Thread(target=put, args=(b"%d" % i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert written == [storage.get(DATA)]


def test_a_lease_is_anothers_until_it_is_not_renewed_any_more(place, monkeypatch):
    storage, other = open_storage(place), bucket_holders.Holders(bucket_requests.Requests(place))
    with storage.hold(exclusive=False):
        assert storage.claim("a" * 32)
        holder = other.holder("a" * 32)
        assert holder is not None
        assert holder.pid == int(storage.heartbeat().split("-")[1])
        assert not other.claim("a" * 32)

        monkeypatch.setattr(bucket_holders, "SILENCE", -1.0)
        monkeypatch.setattr(bucket_holders, "LOOK", 0.0)
        assert other.holder("a" * 32) is None
        assert other.claim("a" * 32)
        storage.release("a" * 32)  # it is another's by now
        monkeypatch.setattr(bucket_holders, "SILENCE", 90.0)
        assert storage.holder("a" * 32) is not None


def test_leases_and_signs_are_renewed_while_their_process_works(place, monkeypatch):
    monkeypatch.setattr(bucket_holders, "PERIOD", 0.2)
    storage, requests = open_storage(place), bucket_requests.Requests(place)
    with storage.hold(exclusive=False):
        storage.claim("a" * 32)
        first = requests.head(f"{bucket_holders.LEASES}/{'a' * 32}")
        until = threading.Event()
        for _ in range(100):
            until.wait(0.2)
            if requests.head(f"{bucket_holders.LEASES}/{'a' * 32}") != first:
                break
        else:
            pytest.fail("nothing was renewed")

    assert requests.entries("tmp") == {}


def test_a_lease_that_is_renewed_while_it_is_given_back_is_given_back(place):
    storage, requests, key = open_storage(place), bucket_requests.Requests(place), f"{bucket_holders.LEASES}/{'a' * 32}"
    with storage.hold(exclusive=False):
        holders = bucket_holders.holders_in(requests)
        assert storage.claim("a" * 32)
        lease = holders._leases["a" * 32]
        renewed = requests.swap(key, holders._body(1), lease.e_tag)  # by the thread that has not noted it yet
        storage.release("a" * 32)
        assert requests.head(key) is None
        assert requests.swap(key, holders._body(2), renewed) is None  # nor does a later renewal bring it back
        assert requests.head(key) is None


def test_one_who_waits_for_a_bucket_asks_for_little(place, s3_server, monkeypatch, tmp_path):
    monkeypatch.setattr(bucket_holders, "PERIOD", 0.2)
    monkeypatch.setattr(bucket_holders, "LOOK", 60.0)
    with bucket_holders.Holders(bucket_requests.Requests(place)).hold(exclusive=True), faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path)
        waiting = bucket_holders.Holders(bucket_requests.Requests(place))
        for _ in range(100):
            with pytest.raises(StoreBusyError, match="in use by a running gc"), waiting.hold(exclusive=False):
                pass

    assert proxy.requests.total() < 20


def test_one_who_wants_a_bucket_alone_is_refused_while_others_build_and_the_other_way_round(place, monkeypatch):
    monkeypatch.setattr(bucket_holders, "LOOK", 0.0)
    monkeypatch.setattr(bucket_holders, "PERIOD", 0.2)
    storage, other = open_storage(place), bucket_holders.Holders(bucket_requests.Requests(place))
    with storage.hold(exclusive=False):
        with other.hold(exclusive=False):
            pass
        with pytest.raises(StoreBusyError, match="in use by a running build"), other.hold(exclusive=True):
            pass
    with other.hold(exclusive=True):
        with pytest.raises(StoreBusyError, match="in use by a running gc or repair"), storage.hold(exclusive=False):
            pass
        with pytest.raises(StoreBusyError, match="in use by a running gc or repair"), storage.hold(exclusive=True):
            pass
    with storage.hold(exclusive=True):
        pass


def test_signs_and_leases_of_the_dead_go_with_the_next_collection(place, monkeypatch):
    monkeypatch.setattr(bucket_holders, "LOOK", 0.0)
    monkeypatch.setattr(bucket_holders, "PERIOD", 0.2)
    storage, requests = open_storage(place), bucket_requests.Requests(place)
    storage.replace("refs/x.json", b"0")
    requests.put(f"{bucket_holders.HOLDERS}/host-1-{'0' * 12}.shared", b"")
    requests.put(f"{bucket_holders.LEASES}/{'a' * 32}", b"host-1-000000000000 0")

    with pytest.raises(StoreBusyError, match=r"of host \(process 1\)"), storage.hold(exclusive=True):
        pass
    monkeypatch.setattr(bucket_holders, "SILENCE", 0.0)
    threading.Event().wait(2.1)  # times of a service are whole seconds
    monkeypatch.setattr(bucket_holders.Holders, "check", lambda _: None)
    with storage.hold(exclusive=True):
        pass

    assert requests.entries("tmp") == {}


def test_a_process_that_was_stopped_for_long_writes_no_more(place, monkeypatch):
    storage = open_storage(place)
    with storage.hold(exclusive=False):
        now = bucket_holders._now()
        monkeypatch.setattr(bucket_holders, "_now", lambda: now + 91)
        with pytest.raises(StorageError, match="took it for gone"):
            storage.put_if_absent(DATA, b"late")
        assert not storage.exists(DATA)


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_service_that_overwrites_silently_is_refused_before_anything_is_written(
    header, place, s3_server, monkeypatch, tmp_path
):
    with faulty(s3_server) as proxy:
        proxy.without = (header,)
        use(monkeypatch, proxy.address, tmp_path)
        with pytest.raises(StorageError, match="writes over objects that it was told to keep"):
            open_storage(place).put_if_absent(SOURCES[0], b"1")

    use(monkeypatch, s3_server, tmp_path)
    assert bucket_requests.Requests(place).entries("") == {}


def test_a_store_in_a_bucket_can_be_handed_to_another_process(storage):
    storage.put_if_absent(SOURCES[0], b"1")

    other = pickle.loads(pickle.dumps(storage))  # noqa: S301

    assert other.uri == storage.uri
    assert other.get(SOURCES[0]) == b"1"


def test_a_uri_with_a_password_is_refused_and_not_repeated():
    for uri in ("s3://key:verysecret@bucket/x", "s3://verysecret@bucket"):
        with pytest.raises(StorageError, match="no user and no password") as caught:
            open_storage(uri)
        assert "verysecret" not in str(caught.value)


def test_a_uri_that_names_no_place_in_a_bucket_is_refused():
    for uri in (
        "s3://",
        "s3:///x",
        "s3://bucket/a?b=c",
        "s3://bucket/a/../b",
        "s3://bucket/a b",
        "s3://bucket/a*b",
        "s3://UPPER/x",
    ):
        with pytest.raises(StorageError, match="is no store in a bucket"):
            open_storage(uri)


def test_kinds_of_object_storage_that_are_not_proven_are_refused_by_name():
    for uri in ("gs://bucket/x", "az://container/x", "ftp://host/x"):
        with pytest.raises(StorageError, match=uri.partition(":")[0]):
            open_storage(uri)


def test_a_bucket_that_is_not_there_is_named(place, monkeypatch):
    for call in (lambda s: s.is_store(), lambda s: s.put_if_absent(DATA, b"1"), lambda s: list(s.walk())):
        with pytest.raises(StorageError, match="there is no bucket 'nowhere'"):
            call(open_storage("s3://nowhere/x"))


def test_credentials_that_are_nowhere_or_not_let_in_are_asked_for(place, s3_server, monkeypatch, tmp_path):
    with faulty(s3_server) as proxy:
        proxy.choose = lambda *_: "403"
        use(monkeypatch, proxy.address, tmp_path)
        with pytest.raises(StorageError, match=r"is not allowed \(403 Forbidden, AccessDenied\): check AWS_PROFILE"):
            open_storage(place).get(MARKER)
    assert proxy.requests.total() == 1
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageError, match="AWS_PROFILE=nobody gives no credentials"):
        open_storage(f"{place}/below").get(MARKER)


def test_a_service_that_does_not_answer_is_one_line(place, monkeypatch):
    monkeypatch.setattr(bucket_requests, "FIRST_PAUSE", 0.001)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="failed again and again, at last by") as caught:
        open_storage(place).get(MARKER)
    assert "testing-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("said", ["lots", "-1", "12XB"])
def test_a_size_of_the_cache_that_is_none_is_refused(said, place, monkeypatch):
    monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", said)
    with pytest.raises(StorageError, match="FEATURESTORE_CACHE_SIZE"):
        open_storage(place)


def test_a_fork_is_told_that_it_cannot_use_its_parents_connections(storage, monkeypatch):
    storage.put_if_absent(SOURCES[0], b"1")
    monkeypatch.setattr("os.getpid", lambda: -1)  # what a fork sees

    with pytest.raises(StorageError, match="a forked process"):
        storage.get(SOURCES[0])


def test_cached_copies_lie_where_the_environment_says(storage, place, tmp_path):
    storage.put_if_absent(DATA, b"1")
    reader = open_storage(place)
    reader.expect([DATA])
    reader.read(DATA, 0, np.empty(1, np.uint8))

    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert Path(tmp_path / "cache").stat().st_mode & 0o077 == 0
