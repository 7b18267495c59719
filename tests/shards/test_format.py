"""The bytes of a shard: zarr-python reads them, and every change of a byte is noticed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore.errors import DamagedObjectError, MissingObjectError, StoreTooNewError
from featurestore.integrity.verify import verify
from featurestore.perturbations.policy_tables import Distribution
from featurestore.shards.commit import commit_shard, encode_shard
from featurestore.shards.parts import PlannedShard
from featurestore.shards.reader import ShardReader, decode_rows
from featurestore.shards.record import CHUNK, Layout, ShardRecord, data_key, record_key
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store

SPEC = RowSpec(FeatureSpec(mels=8, dtype="float16"), AugmentationSpec(peak=Distribution(listed=(1.0,))), (("log", 1),))


def planned(members: int, copies: int, dtype: str = "float16") -> PlannedShard:
    spec = RowSpec(FeatureSpec(mels=8, dtype=dtype), SPEC.augmentation, SPEC.versions)
    ids = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(members))
    return PlannedShard(spec, 1, copies + 1, tuple(ids))


def some_rows(shard: PlannedShard, frames: list[int], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [
        random.normal(size=(frames[number % len(frames)], 8)).astype(shard.spec.features.dtype)
        for number in range(shard.rows)
    ]


def committed(tmp_path: Path, frames: list[int], dtype: str = "float16") -> tuple:
    store = open_store(tmp_path)
    shard = planned(2, 3, dtype)
    rows = some_rows(shard, frames)
    commit_shard(store.storage, shard, rows)
    return store, shard, rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 3 * CHUNK), min_size=1, max_size=5), st.sampled_from(["float16", "float32"]))
def test_zarr_python_reads_the_same_rows_as_the_direct_reader(tmp_path_factory, frames, dtype):
    store, shard, rows = committed(tmp_path_factory.mktemp("store"), frames, dtype)
    record = store.record(shard.address)
    reader = ShardReader(store.storage, record)

    array = zarr.open_array(Path(store.uri) / shard.address, mode="r")

    for position, row in enumerate(rows):
        start, stop = record.offsets[position : position + 2]
        np.testing.assert_array_equal(array[start:stop], row)
        np.testing.assert_array_equal(reader.row(position), row)


def test_frames_behind_the_last_row_read_as_nan_not_as_silence():
    layout = Layout(3, 8, "float16")

    data = layout.encode([np.zeros((3, 8), np.float16)])

    behind = data[3 * layout.frame_bytes : layout.chunk_bytes].view(np.float16)
    assert np.isnan(behind).all()


def test_every_bit_of_the_data_object_is_guarded(tmp_path):
    _, shard, _ = committed(tmp_path, [40])
    file = tmp_path / data_key(shard.address)
    sound = file.read_bytes()
    random = np.random.default_rng(1)

    for position in [0, len(sound) - 1, *random.integers(0, len(sound), 150).tolist()]:
        damaged = bytearray(sound)
        damaged[position] ^= 1 << int(random.integers(8))
        file.write_bytes(damaged)
        assert [key for key, _ in verify(open_store(tmp_path)).damaged] == [data_key(shard.address)]
    file.write_bytes(sound)
    assert verify(open_store(tmp_path)).damaged == []


def test_every_byte_of_the_record_is_guarded(tmp_path):
    _, shard, _ = committed(tmp_path, [40])
    file = tmp_path / record_key(shard.address)
    sound = file.read_bytes()
    random = np.random.default_rng(2)

    for position in [0, len(sound) - 1, *random.integers(0, len(sound), 150).tolist()]:
        damaged = bytearray(sound)
        damaged[position] ^= 1 << int(random.integers(7))
        with pytest.raises((DamagedObjectError, StoreTooNewError)):
            ShardRecord.from_bytes(shard.address, bytes(damaged))
    assert ShardRecord.from_bytes(shard.address, sound).address == shard.address


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_data_object_is_an_error_and_never_a_short_row(tmp_path, kept):
    store, shard, _ = committed(tmp_path, [40])
    file = tmp_path / data_key(shard.address)
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(DamagedObjectError, match=r"ends before byte|bytes, expected"):
        ShardReader(store.storage, store.record(shard.address)).row(0)


def test_a_missing_data_object_is_an_error_that_names_it(tmp_path):
    store, shard, _ = committed(tmp_path, [40])
    (tmp_path / data_key(shard.address)).unlink()

    with pytest.raises(MissingObjectError, match=shard.address):
        ShardReader(store.storage, store.record(shard.address)).row(0)


def test_a_flipped_bit_spoils_its_chunk_and_no_other(tmp_path):
    store, shard, rows = committed(tmp_path, [CHUNK])
    file = tmp_path / data_key(shard.address)
    damaged = bytearray(file.read_bytes())
    damaged[10] ^= 1
    file.write_bytes(damaged)
    reader = ShardReader(store.storage, store.record(shard.address))

    with pytest.raises(DamagedObjectError, match="chunk 0"):
        reader.row(0)
    np.testing.assert_array_equal(reader.row(1), rows[1])


def test_a_record_in_the_place_of_another_is_refused(tmp_path):
    store, shard, _ = committed(tmp_path, [40])
    other = planned(3, 3)

    with pytest.raises(DamagedObjectError, match="another address"):
        ShardRecord.from_bytes(other.address, store.storage.get(record_key(shard.address)))


def test_a_record_of_a_newer_format_says_so(tmp_path):
    store, shard, _ = committed(tmp_path, [40])
    metadata = json.loads(store.storage.get(record_key(shard.address)))
    metadata["attributes"]["featurestore"]["spec"]["format"] = 99

    with pytest.raises(StoreTooNewError, match="format is newer"):
        ShardRecord.from_bytes(shard.address, json.dumps(metadata).encode())


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=400)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: st.dictionaries(
            st.sampled_from(["attributes", "featurestore", "seal", "spec", "format", "members"]), x
        ),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_bytes_make_the_record_parser_fail_in_another_way(data):
    with pytest.raises((DamagedObjectError, StoreTooNewError)):
        ShardRecord.from_bytes("shards/0/0", data)


def test_data_left_without_a_record_by_a_killed_writer_is_adopted(tmp_path):
    _, shard, rows = committed(tmp_path, [40])
    (tmp_path / record_key(shard.address)).unlink()
    fresh = open_store(tmp_path)

    commit_shard(fresh.storage, shard, rows)

    assert verify(open_store(tmp_path)).damaged == []


def test_torn_data_left_by_a_loss_of_power_is_replaced(tmp_path):
    _, shard, rows = committed(tmp_path, [40])
    (tmp_path / record_key(shard.address)).unlink()
    (tmp_path / data_key(shard.address)).write_bytes(b"")

    commit_shard(open_store(tmp_path).storage, shard, rows)

    assert verify(open_store(tmp_path)).damaged == []


def test_sound_data_of_another_builder_is_adopted_with_its_own_checksums(tmp_path):
    _, shard, _ = committed(tmp_path, [40])
    (tmp_path / record_key(shard.address)).unlink()
    others = [np.nextafter(row, np.float16(9)) for row in some_rows(shard, [40])]

    commit_shard(open_store(tmp_path).storage, shard, others)

    found = open_store(tmp_path)
    assert verify(found).damaged == []
    stored = np.frombuffer(found.storage.get(data_key(shard.address)), np.uint8)
    assert not np.array_equal(decode_rows(found.record(shard.address), stored)[0], others[0])


@pytest.mark.parametrize(
    "remark",
    [{}, {"silent": True}, {"rate": 8000}, {"noise": 1.0}, {"own": 1}, {"shift_seconds": float("nan")}, {"peak": "1"}],
)
def test_a_record_whose_remark_says_nothing_of_a_copy_is_refused(remark):
    shard = planned(1, 1)
    record, _ = encode_shard(shard, some_rows(shard, [3]), ((0, {"shift_seconds": 0.25}),))

    assert record.remark_of[0] == {"shift_seconds": 0.25}
    with pytest.raises(ValueError, match="do not fit together"):
        dataclasses.replace(record, remarks=((0, remark),))
