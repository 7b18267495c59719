"""Which rows an epoch takes: copies in turn, labels repeated, and all of it in a training spec."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from spoken_rows import described, small_sides, spoken_view

from featurestore.errors import SpecError, UnknownNameError
from models.batches.loader import ViewDataset
from models.batches.samplers import BatchSampler, CopyRotation, make_sampler
from models.errors import TrainingError
from models.training_spec import TrainingSpec


def rows_of(sampler, epoch):
    sampler.set_epoch(epoch)
    rows = [row for batch in sampler for row in batch]
    assert len(rows) == sampler.rows
    assert len(list(sampler)) == len(sampler)
    return rows


def sampler_of(view, **changes):
    return make_sampler(ViewDataset(view, view.classes), TrainingSpec(batch_size=4, bucket_batches=0, **changes))


def test_epoch_e_takes_copy_e_minus_1_modulo_n_plus_1_of_every_utterance():
    view = spoken_view(7, copies=3)
    sampler = sampler_of(view, copies_per_epoch=1)

    for epoch in range(1, 9):
        rows = rows_of(sampler, epoch)
        assert set(view.copies[rows].tolist()) == {(epoch - 1) % 3 + 1}
        assert sorted(np.array(view.paths)[rows].tolist()) == sorted(set(view.paths))


def test_several_copies_an_epoch_come_round_without_a_gap():
    rotation = CopyRotation(("a",) * 5, np.arange(1, 6, dtype=np.int32), 2)

    assert [(rotation.rows(epoch) + 1).tolist() for epoch in (1, 2, 3, 4)] == [[1, 2], [3, 4], [1, 5], [2, 3]]
    assert CopyRotation(("a",) * 5, np.arange(1, 6, dtype=np.int32), 9).rows(4).tolist() == list(range(5))


def test_clean_rows_take_part_in_every_epoch_and_utterances_keep_their_own_count():
    paths = ("a", "a", "a", "b", "b", "c")
    rotation = CopyRotation(paths, np.array([0, 1, 2, 0, 4, 0], np.int32), 1)

    assert rotation.rows(1).tolist() == [0, 1, 3, 4, 5]
    assert rotation.rows(2).tolist() == [0, 2, 3, 4, 5]  # b has but one copy
    assert rotation.rows(3).tolist() == rotation.rows(1).tolist()


def test_rows_may_stand_in_any_order():
    paths, copies = np.array(["a"] * 4 + ["b"] * 4), np.tile(np.arange(1, 5, dtype=np.int32), 2)
    order = np.random.default_rng(2).permutation(8)
    rotation = CopyRotation(paths[order].tolist(), copies[order], 1)

    for epoch in (1, 2, 3, 4):
        assert copies[order][rotation.rows(epoch)].tolist() == [epoch, epoch]


@pytest.mark.parametrize("shuffle", ["global", "blocks"])
def test_rows_of_a_repeated_label_come_that_often_and_others_once(shuffle):
    view = spoken_view(30)
    rows = rows_of(sampler_of(view, repeat={"loud": 2, "sharp": 3}, shuffle=shuffle), 1)
    counts = np.bincount(rows, minlength=30)

    for label, times in (("calm", 1), ("loud", 2), ("sharp", 3)):
        assert set(counts[view.labels == label].tolist()) == {times}


def test_copies_in_turn_are_repeated_and_balanced_like_all_rows():
    view = spoken_view(8, copies=2)  # three, three and two utterances of each class
    repeated = rows_of(sampler_of(view, copies_per_epoch=1, repeat={"loud": 2}), 2)
    balanced = rows_of(sampler_of(view, copies_per_epoch=1, balance=True), 2)

    assert set(view.copies[repeated].tolist()) == set(view.copies[balanced].tolist()) == {2}
    assert np.unique(view.labels[repeated], return_counts=True)[1].tolist() == [3, 6, 2]
    assert np.unique(view.labels[balanced], return_counts=True)[1].tolist() == [3, 3, 3]


def test_an_order_that_asks_for_nothing_new_is_the_order_of_before():
    plain = BatchSampler([30] * 50, 8, seed=4)
    plain.set_epoch(3)
    before = torch.randperm(50, generator=torch.Generator().manual_seed(4 * 1_000_003 + 3)).tolist()

    assert [row for batch in plain for row in batch] == before


def test_an_interrupted_epoch_of_some_copies_goes_on_with_its_own_batches():
    sampler = sampler_of(spoken_view(9, copies=4), copies_per_epoch=3, repeat={"calm": 2})
    sampler.set_epoch(2)
    whole = list(sampler)

    sampler.set_epoch(2, first=5)

    assert list(sampler) == whole[5:]


def test_a_label_to_repeat_that_no_row_can_have_is_named():
    with pytest.raises(UnknownNameError, match="label of repeat 'lout': did you mean 'loud'"):
        described(small_sides(), repeat={"lout": 2})


def test_masks_wider_than_the_features_are_refused():
    with pytest.raises(TrainingError, match="spec_augment_frequency 33 is more than its 32 bands"):
        described(small_sides(), spec_augment_frequency=33)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"repeat": {"loud": 0}}, SpecError, r"repeat\.loud must be a whole number from 1 to 1,000,000, not 0"),
        ({"repeat": {"loud": 1.5}}, SpecError, r"repeat\.loud"),
        ({"repeat": 2}, SpecError, "repeat must be a table"),
        ({"repeat": {"loud": 2}, "balance": True}, SpecError, "leave out balance or repeat"),
        ({"copies_per_epoch": -1}, SpecError, "copies_per_epoch"),
        ({"normalisation": "speakers"}, UnknownNameError, "did you mean 'speaker'"),
        ({"normalisation_moments": "bands"}, UnknownNameError, "did you mean 'band'"),
    ],
)
def test_a_wrong_setting_of_the_rows_is_one_clear_error(fields, error, message):
    with pytest.raises(error, match=message):
        TrainingSpec.from_dict(fields)


def test_a_table_of_labels_survives_the_json_form_of_a_run():
    spec = TrainingSpec(repeat={"happiness": 2, "anger": 2}, copies_per_epoch=1, normalisation="everything")

    assert TrainingSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_settings_that_change_nothing_are_in_no_runs_identity():
    plain = TrainingSpec(normalisation="none")
    inert = dataclasses.replace(plain, spec_augment_time_masks=5, spec_augment_time_share=0.9)
    inert = dataclasses.replace(inert, normalisation_moments="single")
    changes = ({"normalisation": "training"}, {"repeat": {"a": 2}}, {"copies_per_epoch": 1}, {"spec_augment_time": 3})
    ids = {json.dumps(dataclasses.replace(plain, **change).decisive(), sort_keys=True) for change in changes}

    assert inert.decisive() == plain.decisive()
    assert not {"normalisation", "repeat", "copies_per_epoch", "spec_augment_time"} & plain.decisive().keys()
    assert len(ids) == 4
