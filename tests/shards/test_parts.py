"""Groups depend on contents alone, so a change of one file changes one group."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from featurestore.shards.parts import AUGMENTED_ENDING, blocks, groups


def contents(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


hashes = st.lists(st.integers(0, 10_000).map(lambda n: hashlib.sha256(str(n).encode()).hexdigest()), max_size=80)


@given(hashes)
def test_every_content_stands_in_exactly_one_group_in_order(ids):
    found = [content for group in groups(ids, AUGMENTED_ENDING) for content in group]

    assert found == sorted(set(ids))


@given(hashes, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_arrival(ids, random):
    shuffled = list(ids)
    random.shuffle(shuffled)

    assert list(groups(ids, "0")) == list(groups(shuffled, "0"))


@given(hashes, st.integers(10_001, 20_000))
def test_one_more_file_leaves_all_groups_but_one_as_they_were(ids, new):
    content = hashlib.sha256(str(new).encode()).hexdigest()
    before, after = set(groups(ids, "0")), set(groups([*ids, content], "0"))

    assert len(before - after) <= 1
    assert len(after - before) <= 2


def test_groups_hold_about_sixteen_files():
    sizes = [len(group) for group in groups(contents(16_000), AUGMENTED_ENDING)]

    assert 15 < sum(sizes) / len(sizes) < 17


def test_blocks_hold_twenty_five_copies_and_the_last_may_be_short():
    assert list(blocks(0)) == []
    assert list(blocks(80)) == [(1, 26), (26, 51), (51, 76), (76, 81)]
    assert list(blocks(75)) == list(blocks(100))[:3]
