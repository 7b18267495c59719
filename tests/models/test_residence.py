"""Rows held in memory: the same batches, read once, only where they fit."""

import dataclasses

import numpy as np
import pytest
import torch
from array_view import some_view

from models.batches.loader import Batch, PadCollate, Padding, Sides, ViewDataset, prefetched
from models.batches.residence import DeviceDataset, RamDataset, resolve_residence, resolve_shuffle
from models.batches.samplers import BatchSampler, make_sampler
from models.errors import TrainingError
from models.training import configure, train
from models.training_spec import TrainingSpec

CPU = torch.device("cpu")
ORDER = BatchSampler([1] * 24, 5, seed=3)


def counted(view):
    """Count how often each row of a view is read."""
    reads, read = np.zeros(len(view), int), view.read

    def counting(rows, out, **options):
        reads[rows] += 1
        return read(rows, out, **options)

    view.read = counting
    return reads


def same(found, expected):
    names = ("features", "lengths", "starts", "labels")
    return all(torch.equal(getattr(found, name), getattr(expected, name)) for name in names)


@pytest.mark.parametrize(("side", "multiple"), [("left", 1), ("left", 16), ("right", 1), ("right", 16)])
@pytest.mark.parametrize("kind", ["ram", "device"])
def test_held_rows_give_the_batches_of_the_store_bit_for_bit(kind, side, multiple):
    view = some_view(24)
    dataset = ViewDataset(view, view.classes)
    streamed, padding = PadCollate(side, multiple), Padding(side, multiple)
    held = RamDataset(dataset) if kind == "ram" else DeviceDataset(dataset, CPU)
    reads = counted(view)

    for rows in ORDER:
        expected = streamed(dataset.__getitems__(rows)).to(CPU)
        found = held.gather(rows, padding) if kind == "device" else None
        if found is None:
            found = PadCollate(side, multiple)(held.__getitems__(rows)).to(CPU)
        assert same(found, expected)

    assert reads.tolist() == [1] * 24  # by the streamed batches alone
    assert held[7][1] == dataset[7][1]
    assert np.array_equal(held[7][0], dataset[7][0])


@pytest.mark.parametrize("make", [RamDataset, lambda dataset: DeviceDataset(dataset, CPU)])
def test_holding_reads_every_row_once_shard_by_shard(make):
    view = some_view(24)
    reads = counted(view)

    make(ViewDataset(view, view.classes))

    assert reads.tolist() == [1] * 24


def test_rows_are_sent_in_pieces_that_fit_the_buffer(monkeypatch):
    view = some_view(24)
    dataset = ViewDataset(view, view.classes)
    whole = DeviceDataset(dataset, CPU)
    monkeypatch.setattr("models.batches.residence.PIECE", 100 * 128 * 2)  # at most 100 frames

    pieced = DeviceDataset(dataset, CPU)

    assert torch.equal(pieced._rows, whole._rows)


@pytest.mark.parametrize(
    ("mapped", "residence", "expected"),
    [(True, "auto", "none"), (False, "auto", "ram"), (True, "ram", "ram"), (False, "none", "none")],
)
def test_ram_is_for_rows_that_are_not_memory_mapped(mapped, residence, expected):
    view = some_view(6)
    view.random_access = mapped

    assert resolve_residence(TrainingSpec(residence=residence), view, CPU) == expected


def test_rows_that_do_not_fit_are_streamed_or_refused_by_name():
    view = some_view(6)
    view.frames, view.random_access = np.full(1 << 17, 2**31 - 1, np.int32), False

    assert resolve_residence(TrainingSpec(), view, CPU) == "none"
    with pytest.raises(TrainingError, match=r"72,057,\d{3}\.\d GB of rows do not fit .*residence=none"):
        resolve_residence(TrainingSpec(residence="ram"), view, CPU)


def test_gpu_residence_without_a_gpu_is_one_clear_error():
    with pytest.raises(TrainingError, match=r"residence gpu needs a GPU.*residence=auto"):
        resolve_residence(TrainingSpec(residence="gpu"), some_view(6), CPU)


def test_a_place_that_is_not_there_is_refused_before_a_run_folder_is_made(sides, configured, tmp_path):
    with pytest.raises(TrainingError, match="residence gpu"):
        train(sides, configured(residence="gpu"), tmp_path / "run", device="cpu")

    assert not (tmp_path / "run").exists()


def test_the_order_is_block_wise_only_where_rows_are_fetched_and_do_not_fit():
    view = some_view(6)
    assert resolve_shuffle(TrainingSpec(), view) == "global"

    view.random_access = False
    assert resolve_shuffle(TrainingSpec(), view) == "global"  # all rows are held
    assert resolve_shuffle(TrainingSpec(residence="none"), view) == "blocks"
    assert resolve_shuffle(TrainingSpec(residence="none", shuffle="global"), view) == "global"


def test_a_training_on_held_rows_ends_with_the_same_bytes(finished, sides, configured, tmp_path):
    folder, _, _ = finished
    config = configured(residence="ram")
    train(sides, config, tmp_path / "held", device="cpu")

    assert config.id == configured().id
    for name in ("model.safetensors", "confusion-test.svg"):
        assert (tmp_path / "held" / name).exists()
    assert (tmp_path / "held" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_run_says_which_order_it_takes_and_takes_it(sides):
    view = some_view(24)
    view.random_access = False
    spec = TrainingSpec(epochs=1, batch_size=8, residence="none")
    config = configure(Sides(view, sides.validation, sides.test), "mathworks-cnn-lstm", spec)
    mapped = configure(sides, "mathworks-cnn-lstm", spec)

    assert config.to_dict()["training"]["shuffle"] == "blocks"
    assert make_sampler(ViewDataset(view, view.classes), config.training).shards.tolist() == view.shards.tolist()
    assert mapped.to_dict()["training"]["shuffle"] == "global"
    assert make_sampler(ViewDataset(sides.train, sides.train.classes), mapped.training).shards is None


def test_only_what_changes_a_result_changes_a_runs_identity(configured):
    assert configured(residence="ram", shuffle="global").id == configured().id
    assert len({configured().id, configured(compile=True).id, configured(shuffle="blocks").id}) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gathered_and_prefetched_batches_on_a_gpu_are_those_of_the_cpu(dtype):
    view, cuda, padding = some_view(24), torch.device("cuda"), Padding("left", 16)
    view.features = dataclasses.replace(view.features, dtype=dtype)
    view.rows = [row.astype(dtype) for row in view.rows]
    dataset, collate = ViewDataset(view, view.classes), PadCollate("left", 16)
    held, order = DeviceDataset(dataset, cuda), [list(range(first, first + 3)) for first in range(0, 24, 3)] * 20

    for rows, sent in zip(order, prefetched(dataset, order, padding, cuda), strict=True):
        expected = collate(dataset.__getitems__(rows)).to(CPU)
        assert same(Batch(sent.features.cpu(), sent.lengths, sent.starts, sent.labels.cpu()), expected)
        found = held.gather(rows, padding)
        assert same(Batch(found.features.cpu(), found.lengths, found.starts, found.labels.cpu()), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
def test_a_gpu_holds_rows_that_fit_by_default():
    assert resolve_residence(TrainingSpec(), some_view(6), torch.device("cuda")) == "gpu"
