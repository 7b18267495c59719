"""`verify`, `repair`, `gc`, `forget` and `why` at the command line, and training from a damaged store."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import error_line
from command_line import featurestore as in_a_process

from cli.main import run
from featurestore.integrity.collect import collect
from featurestore.storage import LocalStorage
from featurestore.store import Store, open_store
from featurestore.trusted_code import VARIABLE


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def featurestore(capsys):
    """Run a command in this process, which takes a hundredth of the time of a new one."""

    def call(*arguments: object, store: Path) -> Result:
        capsys.readouterr()
        code = run([*map(str, arguments), "--store", str(store)])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("maintenance") / "store"
    result = in_a_process("build", "demo", "--augment", 2, "--jobs", 2, store=place)
    assert result.returncode == 0, result.stderr
    return place


@pytest.fixture
def copy(demo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo, tmp_path / "copy"))


def damage(store: Path) -> list[str]:
    """Flip a bit in the middle of every data object; return their keys."""
    keys = []
    for file in sorted((store / "shards").rglob("c/0/0")):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        keys.append(file.relative_to(store).as_posix())
    return keys


@pytest.mark.slow
def test_training_from_a_damaged_store_stops_with_a_line_that_names_object_and_command(copy, tmp_path):
    keys = damage(copy)

    result = in_a_process("train", "demo", "--split", "speakers", "--epochs", 1, "--run", tmp_path / "run", store=copy)

    line = error_line(result)
    assert result.returncode == 4
    assert any(key in line for key in keys)
    assert "featurestore repair" in line


def test_repair_mends_and_says_what_it_mended(featurestore, copy, demo):
    keys = damage(copy)

    result = featurestore("repair", "--json", store=copy)

    assert result.returncode == 0
    assert json.loads(result.stdout) == {"repaired": keys, "damaged": []}
    assert all((copy / key).read_bytes() == (demo / key).read_bytes() for key in keys)
    assert featurestore("verify", store=copy).returncode == 0


def test_repair_exits_with_4_and_says_what_to_do_where_it_cannot_help(featurestore, copy):
    (copy / "notes.txt").write_text("mine")

    result = featurestore("repair", store=copy)

    assert result.returncode == 4
    assert "notes.txt" in result.stderr
    assert "move it away" in result.stderr


@pytest.mark.parametrize("command", ["verify", "repair"])
def test_verify_and_repair_take_the_permission_that_messages_recommend(featurestore, demo, monkeypatch, command):
    monkeypatch.setenv(VARIABLE, "before")

    result = featurestore(command, "demo", "--trust-code", "mine", store=demo)

    assert result.returncode == 0
    assert os.environ[VARIABLE] == "before,mine"


def test_verify_computes_a_sample_again(featurestore, demo):
    document = json.loads(featurestore("verify", "demo", "--recompute", 12, "--json", store=demo).stdout)

    assert (document["damaged"], document["recomputed"], document["drifted"]) == ([], 12, [])
    assert (document["shards"], document["rows"]) == (10, 360)


def test_verify_reports_rows_that_come_out_differently(copy):
    from featurestore.integrity.verify import recompute
    from featurestore.shards.commit import encode_shard
    from featurestore.shards.parts import PlannedShard
    from featurestore.shards.record import data_key, record_key

    store = open_store(copy)
    record = store.record(store.dataset(store.reference("demo").dataset).addresses[0])
    shard = PlannedShard(record.spec, record.first, record.stop, record.members)
    import numpy as np

    rows = [np.zeros((frames, 128), np.float16) for frames in record.frames]
    changed, data = encode_shard(shard, rows)
    store.storage.replace(data_key(record.address), data.tobytes())
    store.storage.replace(record_key(record.address), changed.to_bytes())

    drift = recompute(open_store(copy), 360)

    assert drift.recomputed == 360
    assert len(drift.drifted) == record.rows
    assert all(record.address in row for row, _ in drift.drifted)


def test_gc_lists_first_and_removes_only_when_told(featurestore, copy):
    assert featurestore("forget", "demo", store=copy).returncode == 0
    before = sorted(path for path in copy.rglob("*") if path.is_file())

    young = json.loads(featurestore("gc", "--json", store=copy).stdout)
    listed = featurestore("gc", "--grace", 0, "--json", store=copy)
    assert sorted(path for path in copy.rglob("*") if path.is_file()) == before
    removed = json.loads(featurestore("gc", "--grace", 0, "--delete", "--json", store=copy).stdout)

    assert young == {"objects": 0, "bytes": 0, "deleted": 0}
    found = json.loads(listed.stdout)
    assert found["deleted"] == 0
    assert removed == {**found, "deleted": found["objects"]}
    assert found["objects"] == 10 * 2 + 3  # record and data of each shard; dataset, index and table
    assert "zarr.json" in listed.stderr
    assert not (copy / "shards").exists()
    assert (copy / "sources").exists()


class Counting(LocalStorage):
    """A storage that counts how often each kind of object is read and each folder is listed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self.reads[key.partition("/")[0]] += 1
        return super().get(key)

    def children(self, prefix: str) -> list[str]:
        self.reads[f"list {prefix}"] += 1
        return super().children(prefix)


def test_names_of_one_dataset_cost_a_collection_and_a_forgetting_one_small_file_each(copy):
    store = Store(Counting(copy))
    (reference,) = store.references()
    record, table = store.dataset(reference.dataset), store.table(reference.table)
    done = {}
    for names in (2, 40):
        for number in range(names):
            store.publish(record, table, f"name{number}")
        for task in (lambda: collect(store, grace=0, delete=True), lambda: store.forget("name0")):
            store.storage.reads.clear()
            task()
            done.setdefault(names, []).append(dict(store.storage.reads))

    for few, many in zip(done[2], done[40], strict=True):
        assert few.pop("refs") < many.pop("refs")
        assert few == many


def test_gc_refuses_while_a_record_that_it_needs_is_damaged(featurestore, copy):
    next((copy / "datasets").iterdir()).write_text("{}")

    result = featurestore("gc", "--delete", store=copy)

    assert result.returncode == 4
    assert "datasets/" in error_line(result)


def test_why_names_each_field_in_which_two_datasets_differ(featurestore, copy):
    options = ("--augment", 3, "--set", "mels=64", "--set", "snr_db=0,10", "--name", "other", "--jobs", 2)
    assert featurestore("build", "demo", *options, store=copy).returncode == 0

    found = json.loads(featurestore("why", "demo", "--against", "other", "--json", store=copy).stdout)

    fields = {one["field"]: (one["old"], one["new"]) for one in found}
    assert fields["copies"] == (2, 3)
    assert fields["features.mels"] == (128, 64)
    assert fields["augmentation.snr_db.uniform"] == ([-20.0, 40.0], [0.0, 10.0])
    assert all(old != new for old, new in fields.values())


def test_why_finds_nothing_where_a_build_would_compute_nothing(featurestore, demo):
    result = featurestore("why", "demo", store=demo)

    assert result.returncode == 0
    assert result.stdout.startswith("nothing")


def test_why_counts_shards_that_have_vanished(featurestore, copy):
    shutil.rmtree(next((copy / "shards").iterdir()))

    (found,) = json.loads(featurestore("why", "demo", "--json", store=copy).stdout)

    assert found["field"] == "shards"
    assert found["old"] > found["new"]


def test_forgetting_one_name_keeps_a_dataset_that_has_another(featurestore, copy):
    assert featurestore("build", "demo", "--augment", 2, "--name", "twin", "--jobs", 1, store=copy).returncode == 0
    assert featurestore("forget", "demo", store=copy).returncode == 0

    found = json.loads(featurestore("gc", "--grace", 0, "--json", store=copy).stdout)

    assert found["objects"] == 0
    assert [row["dataset"] for row in json.loads(featurestore("ls", "--json", store=copy).stdout)] == ["twin"]
    assert featurestore("verify", store=copy).returncode == 0
