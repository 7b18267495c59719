"""Batches: what they hold, in which order they come, and what they cost."""

import numpy as np
import pytest
import torch
from array_view import ArrayView, some_view

from models.batches.loader import PadCollate, ViewDataset
from models.batches.samplers import BatchSampler, balanced, epoch_generator
from models.errors import TrainingError

FRAMES = np.random.default_rng(1).integers(20, 200, 333).tolist()


def collated(view, rows, side, multiple=1):
    dataset = ViewDataset(view, view.classes)
    return PadCollate(side, multiple)(dataset.__getitems__(rows))


@pytest.mark.parametrize(("side", "multiple"), [("left", 1), ("left", 16), ("right", 1), ("right", 16)])
def test_a_batch_holds_every_clip_where_it_says_and_zeros_elsewhere(side, multiple):
    view = some_view(12)
    batch = collated(view, [3, 7, 0, 11], side, multiple)

    expected = torch.zeros_like(batch.features)
    for slot, row in enumerate([3, 7, 0, 11]):
        start, length = int(batch.starts[slot]), int(batch.lengths[slot])
        expected[slot, start : start + length] = torch.from_numpy(view[row][0])

    assert torch.equal(batch.features, expected)
    assert batch.lengths.tolist() == view.frames[[3, 7, 0, 11]].tolist()
    assert [view.classes[number] for number in batch.labels] == view.labels[[3, 7, 0, 11]].tolist()


def test_left_padding_is_rounded_up_to_the_time_stride():
    view = ArrayView(["a", "b", "a"], [32, 50, 49])
    batch = collated(view, [0, 1, 2], "left", 16)

    assert batch.starts.tolist() == [32, 0, 16]
    assert batch.features.shape == (3, 68, 128)  # 65 frames, rounded up to a multiple of 4


def test_left_padding_without_a_stride_ends_every_clip_at_the_end():
    view = ArrayView(["a", "b"], [32, 50])
    batch = collated(view, [0, 1], "left")

    assert (batch.starts + batch.lengths).tolist() == [50, 50]


def test_a_batch_becomes_float32_on_the_device():
    moved = collated(some_view(4), [0, 1], "right").to(torch.device("cpu"))

    assert moved.features.dtype == torch.float32
    assert moved.lengths.device.type == "cpu"


def test_a_label_that_the_model_does_not_know_is_named():
    view = ArrayView(["calm", "bored"], [30, 30])

    with pytest.raises(TrainingError, match="label 'bored' is none of calm, loud"):
        ViewDataset(view, ("calm", "loud"))


@pytest.mark.parametrize("bucket_batches", [0, 5])
def test_every_row_comes_once_in_every_epoch(bucket_batches):
    sampler = BatchSampler(FRAMES, 32, seed=3, bucket_batches=bucket_batches)

    for epoch in (1, 2):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(row for batch in order for row in batch) == list(range(333))
        assert len(order) == len(sampler) == 11


@pytest.mark.parametrize("bucket_batches", [0, 5])
def test_the_order_is_a_function_of_seed_and_epoch(bucket_batches):
    def order(seed, epoch):
        sampler = BatchSampler(FRAMES, 32, seed, bucket_batches=bucket_batches)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_an_interrupted_epoch_goes_on_with_its_own_batches():
    sampler = BatchSampler(FRAMES, 32, seed=3, bucket_batches=4)
    sampler.set_epoch(2)
    whole = list(sampler)

    sampler.set_epoch(2, first=7)

    assert list(sampler) == whole[7:]


def test_buckets_save_most_of_the_padding():
    def padded_share(bucket_batches):
        order = BatchSampler(FRAMES, 16, seed=3, bucket_batches=bucket_batches)
        padded = sum(len(rows) * max(FRAMES[row] for row in rows) for rows in order)
        return padded / sum(FRAMES) - 1

    assert padded_share(0) > 0.6
    assert padded_share(20) < 0.1


def test_batches_of_like_length_still_come_in_random_order():
    order = list(BatchSampler(FRAMES, 16, seed=3, bucket_batches=100))
    longest = [max(FRAMES[row] for row in batch) for batch in order]

    assert longest != sorted(longest)
    assert all(max(FRAMES[r] for r in batch) - min(FRAMES[r] for r in batch) < 40 for batch in order)


def test_balancing_takes_none_twice_before_all_of_its_class_once():
    classes = torch.tensor([0] * 10 + [1] * 4 + [2] * 1)
    rows = balanced(classes, epoch_generator(1, 1))
    counts = torch.bincount(rows, minlength=15)

    assert torch.bincount(classes[rows]).tolist() == [10, 10, 10]
    assert counts[:10].tolist() == [1] * 10
    assert set(counts[10:14].tolist()) == {2, 3}
    assert counts[14] == 10


def test_a_balanced_epoch_knows_its_length():
    sampler = BatchSampler([30] * 15, 4, seed=1, balance=[0] * 10 + [1] * 4 + [2], drop_last=True)

    assert len(list(sampler)) == len(sampler) == 7
    assert {len(batch) for batch in sampler} == {4}


def test_dropping_the_last_batch_never_leaves_nothing():
    assert [len(batch) for batch in BatchSampler([30] * 7, 3, seed=1, drop_last=True)] == [3, 3]
    assert [len(batch) for batch in BatchSampler([30] * 2, 3, seed=1, drop_last=True)] == [2]
