"""Damage that a loader process or the prefetching thread meets reaches the user as its one line."""

from pathlib import Path

import pytest
import torch
from tiny_corpus import build_here, recipe, write_corpus
from torch.utils.data import DataLoader

from featurestore.errors import DamagedObjectError, MissingObjectError, StorageError
from featurestore.shards.record import data_key
from featurestore.store import open_store
from models.batches.loader import PadCollate, ViewDataset, ahead, batches
from models.batches.residence import DeviceDataset, RamDataset

LINE = r"^shards/\S+ is damaged \(checksum of chunk 0 does not match\)\. Run 'featurestore repair' to mend it\.$"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A dataset of real rows, one shard of which has a flipped bit."""
    folder = tmp_path_factory.mktemp("damaged")
    store = open_store(folder / "store")
    build_here(store, write_corpus(folder / "tiny", range(1, 9)), recipe(3, mels=128))
    view = store.view("tiny")
    path = Path(store.uri) / data_key(view._shards[view.shards[5]].record.address)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    return store


def dataset(store):
    view = store.view("tiny")
    return ViewDataset(view, view.classes)


def read(loader):
    """Read all batches; the processes end with the reading, not when the error that keeps them is forgotten."""
    batches = iter(loader)
    try:
        return list(batches)
    finally:
        batches._shutdown_workers()


def test_damage_in_a_loader_process_is_the_one_line_with_its_exit_code(damaged):
    loader = DataLoader(dataset(damaged), batch_size=4, num_workers=2, collate_fn=PadCollate("left", 16))

    with pytest.raises(DamagedObjectError, match=LINE) as raised:
        read(loader)

    assert raised.value.exit_code == 4
    assert raised.value.key.startswith("shards/")
    assert raised.value.reason == "checksum of chunk 0 does not match"


def test_damage_in_the_prefetching_thread_is_the_one_line(damaged):
    data = dataset(damaged)
    order = [list(range(first, first + 4)) for first in range(0, len(data), 4)]

    with pytest.raises(DamagedObjectError, match=LINE):
        list(ahead(batches(data, order, PadCollate("left", 16))))


@pytest.mark.parametrize("hold", [RamDataset, lambda data: DeviceDataset(data, CPU)])
def test_damage_is_met_while_rows_are_taken_into_memory(damaged, hold):
    with pytest.raises(DamagedObjectError, match=LINE):
        hold(dataset(damaged))


class Failing:
    """A dataset that raises what it is given."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 4

    def __getitem__(self, row):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        MissingObjectError("shards/a/zarr.json"),
        StorageError("/somewhere/store: permission denied. Choose another folder with --store."),
    ],
)
def test_any_error_of_ours_crosses_a_loader_process_as_it_is(error):
    with pytest.raises(type(error)) as raised:
        read(DataLoader(Failing(error), num_workers=1))

    assert str(raised.value) == str(error)
