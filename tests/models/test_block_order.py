"""The order for stores whose shards are fetched: local in shards, random all the same."""

import numpy as np
import pytest
import torch

from models.batches.samplers import BLOCK_SHARDS, BatchSampler

SHARDS = 80
generator = np.random.default_rng(5)
SHARD = np.repeat(np.arange(SHARDS), generator.integers(60, 140, SHARDS))
FRAMES = generator.integers(20, 200, len(SHARD)).tolist()
RECORDING = SHARD * 16 + generator.integers(0, 16, len(SHARD))


def sampler(seed=3, **settings):
    return BatchSampler(FRAMES, 32, seed, shards=SHARD, **settings)


@pytest.mark.parametrize("bucket_batches", [0, 5, 20])
def test_every_row_comes_once_in_a_block_wise_epoch(bucket_batches):
    batches = sampler(bucket_batches=bucket_batches)

    for epoch in (1, 2):
        batches.set_epoch(epoch)
        order = list(batches)
        assert sorted(row for rows in order for row in rows) == list(range(len(SHARD)))
        assert len(order) == len(batches)


def test_a_block_wise_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        batches = sampler(seed, bucket_batches=4)
        batches.set_epoch(epoch)
        return list(batches)

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_an_interrupted_block_wise_epoch_goes_on_with_its_own_batches():
    batches = sampler(bucket_batches=4)
    batches.set_epoch(2)
    whole = list(batches)

    batches.set_epoch(2, first=40)

    assert list(batches) == whole[40:]


@pytest.mark.parametrize("bucket_batches", [0, 20])
def test_at_any_time_the_shards_of_at_most_two_blocks_are_in_use(bucket_batches):
    order = list(sampler(bucket_batches=bucket_batches))
    used = [set(SHARD[rows].tolist()) for rows in order]
    first, last = {}, {}
    for position, shards in enumerate(used):
        for shard in shards:
            first.setdefault(shard, position)
            last[shard] = position

    in_use = [sum(first[shard] <= at <= last[shard] for shard in first) for at in range(len(order))]

    assert max(in_use) <= 2 * BLOCK_SHARDS


def test_batches_mix_nearly_as_many_recordings_as_in_a_global_order():
    def recordings(order):
        return np.mean([len(set(RECORDING[rows].tolist())) for rows in order if len(rows) == 32])

    blocks, everywhere = recordings(sampler()), recordings(BatchSampler(FRAMES, 32, 3))

    assert blocks > 0.94 * everywhere


def test_other_shards_meet_in_every_epoch():
    batches = sampler()
    companions = []
    for epoch in (1, 2, 3):
        batches.set_epoch(epoch)
        first = next(iter(batches))
        companions.append(frozenset(SHARD[first].tolist()))

    assert len(set(companions)) == 3


def test_a_balanced_block_wise_epoch_stays_balanced():
    classes = torch.tensor([0, 0, 0, 1] * (len(SHARD) // 4) + [0] * (len(SHARD) % 4))
    order = list(sampler(balance=classes, bucket_batches=5))
    rows = torch.tensor([row for batch in order for row in batch])

    counts = torch.bincount(classes[rows])
    assert counts[0] == counts[1]


def test_blocks_smaller_than_a_batch_still_give_whole_batches():
    batches = BatchSampler([30] * 20, 8, seed=1, shards=list(range(20)), block_shards=2, drop_last=True)

    assert [len(batch) for batch in batches] == [8, 8]
