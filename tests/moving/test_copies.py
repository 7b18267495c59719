"""Datasets copied between folders: by content, verified, only what is missing, with or without their recordings."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, tree
from two_datasets import corpus_folder, two_datasets

from featurestore.datasets import LISTING, SOURCES
from featurestore.errors import DamagedOriginError, LeftOutError, SpecError
from featurestore.integrity.verify import recompute, verify
from featurestore.moving.copying import pull, push
from featurestore.store import Store, open_store
from pipelines.repair import repair


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return corpus_folder(tmp_path_factory.mktemp("moving"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, folder) -> Store:
    return two_datasets(tmp_path_factory.mktemp("whole") / "store", folder)


@pytest.fixture
def own(whole: Store, tmp_path: Path) -> Store:
    """A copy of that store, to be injured."""
    shutil.copytree(whole.uri, tmp_path / "origin")
    return open_store(tmp_path / "origin")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return open_store(tmp_path / "other")


def rows(store: Store, name: str) -> list[bytes]:
    view = store.view(name)
    return [np.ascontiguousarray(view[row][0]).tobytes() for row in range(len(view))]


def test_a_pushed_dataset_is_the_same_dataset_and_the_store_it_came_from_is_as_it_was(whole, other):
    before = tree(whole)

    done = push(whole, "tiny", other)

    assert tree(whole) == before
    assert other.names() == ["tiny"]
    assert done.digest == other.view("tiny").digest == whole.view("tiny").digest
    assert rows(other, "tiny") == rows(whole, "tiny")
    assert other.view("tiny").table == whole.view("tiny").table
    assert verify(other).damaged == []
    record = whole.dataset(whole.reference("tiny").dataset)
    assert (done.objects, done.standing) == (2 * len(record.addresses) + len(record.originals), 0)
    assert done.bytes == sum(len(tree(other)[key]) for key in tree(other) if key.startswith(("shards", "sources")))


def test_a_second_push_copies_no_object(whole, other):
    first = push(whole, "tiny", other)
    before = tree(other)

    second = push(whole, "tiny", other)

    assert (second.objects, second.bytes, second.standing) == (0, 0, first.objects)
    assert tree(other) == before


def test_of_a_second_dataset_only_what_the_first_does_not_have_is_copied(whole, other):
    first = push(whole, "tiny", other)

    second = push(whole, "small", other)

    originals = len(whole.dataset(whole.reference("small").dataset).originals)
    assert second.standing == originals < first.objects
    assert verify(other).damaged == []


def test_a_dataset_is_pulled_by_its_digest_too_and_under_another_name(whole, other):
    digest = whole.view("tiny").digest

    assert pull(other, digest[:8], whole).dataset == "tiny"
    assert pull(other, digest, whole, name="theirs").objects == 0
    assert other.names() == ["theirs", "tiny"]


def test_a_name_that_stands_for_other_rows_or_labels_is_refused(whole, other, folder, tmp_path):
    push(whole, "tiny", other)
    table = whole.table(whole.reference("small").table)
    changed = dataclasses.replace(table.utterances[0], label="sideways")
    relabelled = open_store(shutil.copytree(whole.uri, tmp_path / "relabelled"))
    relabelled.publish(
        whole.dataset(whole.reference("tiny").dataset),
        dataclasses.replace(table, utterances=(changed, *table.utterances[1:])),
        "tiny",
    )
    before = tree(other)

    with pytest.raises(SpecError, match=r"digest .* choose another name with --as"):
        push(whole, "small", other, name="tiny")
    with pytest.raises(SpecError, match="the same rows with other labels"):
        pull(other, "tiny", relabelled)

    assert tree(other) == before


# Copies without recordings


@pytest.fixture
def features_only(whole, other) -> Store:
    push(whole, "tiny", other, sources=False)
    return other


def test_a_copy_without_recordings_is_sound_and_reads_the_same_rows(whole, features_only):
    assert features_only.lacks(features_only.reference("tiny").dataset) == (LISTING, SOURCES)
    assert not any(key.startswith("sources") for key in tree(features_only))
    assert verify(features_only).damaged == verify(features_only, "tiny").damaged == []
    assert repair(open_store(features_only.uri)).left == ()
    assert rows(features_only, "tiny") == rows(whole, "tiny")


def test_what_needs_the_recordings_of_such_a_copy_says_so(features_only):
    with pytest.raises(LeftOutError, match="copied without its recordings"):
        features_only.view("tiny").waveform(1)
    with pytest.raises(LeftOutError, match="--source"):
        recompute(features_only, 3, "tiny")
    assert recompute(features_only, 3).skipped == 3
    with pytest.raises(LeftOutError, match="leave the sources out"):
        push(features_only, "tiny", open_store(f"{features_only.uri}-further"))


def test_a_build_on_such_a_copy_reuses_its_rows_and_makes_it_whole(whole, features_only, folder):
    digest, computed = build_here(features_only, folder, recipe(3))

    assert (digest, computed) == (whole.view("tiny").digest, 0)
    assert features_only.lacks(features_only.reference("tiny").dataset) == ()
    assert verify(features_only).damaged == []


def test_a_lost_shard_of_such_a_copy_is_repaired_from_a_source_or_by_another_push(whole, features_only, folder):
    before = tree(features_only)
    for key, _ in [*features_only.storage.walk("shards")][:2]:
        features_only.storage.delete(key)
    lost = open_store(features_only.uri)
    assert len(verify(lost).damaged) > 0

    hurt = repair(lost)
    assert any("copied without its recordings" in reason for _, reason in hurt.left)
    assert repair(open_store(lost.uri), source=folder).left == ()
    assert {key: data for key, data in tree(lost).items() if key.startswith("shards")} == {
        key: data for key, data in before.items() if key.startswith("shards")
    }

    for key, _ in [*lost.storage.walk("shards")][:2]:
        lost.storage.delete(key)
    assert push(whole, "tiny", open_store(lost.uri), sources=False).objects == 2
    assert verify(open_store(lost.uri)).damaged == []


def test_a_pull_of_such_a_copy_is_one_too_and_a_whole_one_completes_it(whole, features_only, tmp_path):
    third = open_store(tmp_path / "third")

    first = pull(third, "tiny", features_only)
    second = pull(third, "tiny", whole)

    assert (first.sources, second.sources) == (False, True)
    assert "without its recordings" in first.notes[0]
    assert second.objects == len(whole.dataset(whole.reference("tiny").dataset).originals)
    assert third.lacks(third.reference("tiny").dataset) == (LISTING,)
    assert verify(third).damaged == []


def test_a_copy_with_its_corpus_is_built_upon_without_a_source(whole, other, folder):
    push(whole, "tiny", other, corpus=True)

    assert other.lacks(other.reference("tiny").dataset) == ()
    assert {key for key in tree(other) if key.startswith(("listings", "refs/corpora"))} == {
        key for key in tree(whole) if key.startswith(("listings", "refs/corpora"))
    }


def test_recordings_whose_licence_says_nothing_of_passing_on_are_not_pushed_by_themselves(own, other):
    reference = own.reference("tiny")
    table = dataclasses.replace(own.table(reference.table), licence="research only, by registration")
    own.publish(own.dataset(reference.dataset), table, "tiny")

    with pytest.raises(SpecError, match=r"research only.*--without-sources.*--redistribute"):
        push(own, "tiny", other)
    assert tree(other) == {}
    assert "see whether their licence" in push(own, "tiny", other, sources=False).notes[0]
    assert push(own, "tiny", other, redistribute=True).sources


# Damage


def test_a_half_copied_target_is_told_by_sizes_and_completed(whole, other):
    push(whole, "tiny", other)
    expected = tree(other)
    shards = [key for key in expected if key.endswith("c/0/0")]
    originals = [key for key in expected if key.startswith("sources")]
    other.storage.replace(shards[0], expected[shards[0]][:1000])
    other.storage.replace(originals[0], expected[originals[0]][:-1])
    other.storage.delete(shards[1])

    done = push(whole, "tiny", open_store(other.uri))

    assert tree(other) == expected
    assert done.objects == 2 + 2 + 1


def test_damage_in_an_own_store_is_not_passed_on(own, other):
    key = next(key for key, _ in own.storage.walk("shards") if key.endswith("c/0/0"))
    data = bytearray(own.storage.get(key))
    data[7] ^= 1
    own.storage.replace(key, bytes(data))
    name = next(
        name
        for name in ("tiny", "small")
        if key[: key.index("/c/")] in own.dataset(own.reference(name).dataset).addresses
    )

    with pytest.raises(DamagedOriginError, match=r"is damaged .* nothing was published: 'featurestore repair'"):
        push(own, name, other)

    assert other.names() == other.dataset_ids() == []
