"""SpecAugment: masks of stated widths over real frames, drawn anew for every step, in the same way every time."""

import dataclasses

import pytest
import torch

from featurestore.errors import SpecError
from models.batches.loader import Batch
from models.batches.spec_augment import SpecAugment, spans
from models.training_spec import TrainingSpec

LENGTHS, BANDS = (40, 25, 9), 16
SPEC = TrainingSpec(spec_augment_frequency=5, spec_augment_time=12, spec_augment_time_share=0.5, seed=3)


def a_batch(left=True, lengths=LENGTHS):
    """Clips without a single 0, padded with 0."""
    starts = [max(lengths) - length if left else 0 for length in lengths]
    features = torch.zeros(len(lengths), max(lengths), BANDS)
    for slot, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        features[slot, start : start + length] = 1 + torch.rand(length, BANDS)
    return Batch(features, torch.tensor(lengths), torch.tensor(starts), torch.zeros(len(lengths)))


def clips_of(batch):
    places = zip(batch.starts.tolist(), batch.lengths.tolist(), strict=True)
    return [batch.features[slot, start : start + length] for slot, (start, length) in enumerate(places)]


def runs(hidden):
    """Lengths of the runs of True."""
    ends = torch.nonzero(torch.diff(hidden.int(), prepend=torch.zeros(1), append=torch.zeros(1)))[:, 0].tolist()
    return [stop - start for start, stop in zip(ends[::2], ends[1::2], strict=True)]


@pytest.mark.parametrize("left", [True, False])
def test_masks_are_whole_bands_and_frames_within_their_bounds(left):
    spec = dataclasses.replace(SPEC, spec_augment_frequency_masks=1, spec_augment_time_masks=1)
    widths = {"frequency": set(), "time": {length: set() for length in LENGTHS}}
    for step in range(200):
        batch = a_batch(left)
        masked = SpecAugment(spec)(batch, 1, step)
        for clip, before in zip(clips_of(masked), clips_of(batch), strict=True):
            frames, bands = (clip == 0).all(1), (clip == 0).all(0)
            assert torch.equal(clip == 0, frames[:, None] | bands)
            assert torch.equal(clip[clip != 0], before[clip != 0])
            widths["frequency"].add(sum(runs(bands)))
            widths["time"][len(clip)].add(sum(runs(frames)))

    assert widths["frequency"] == set(range(6))
    assert widths["time"] == {40: set(range(13)), 25: set(range(13)), 9: set(range(5))}  # half of 9 frames is 4


def test_every_width_and_every_place_is_as_likely_as_another():
    draws = torch.rand(2, 1, 60_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    room = torch.full((60_000,), 10)
    first, end = spans(draws, torch.full_like(room, 3), room)[:, 0]
    widths = torch.bincount(end - first, minlength=4) / len(room)
    places = torch.bincount(first[end - first == 3], minlength=8).float()

    assert widths.tolist() == pytest.approx([0.25] * 4, abs=0.01)
    assert (places / places.sum()).tolist() == pytest.approx([1 / 8] * 8, abs=0.01)  # up to the very last place
    assert int(end.max()) == 10


def test_padding_stays_zero_and_real_frames_alone_are_masked():
    spec = dataclasses.replace(SPEC, normalisation="none")
    for step in range(50):
        batch = a_batch(left=step % 2 == 0)
        masked = SpecAugment(spec)(batch, 1, step)

        assert torch.equal(masked.features == 0, batch.features == 0)


def test_features_that_are_not_normalised_are_masked_by_their_clips_mean():
    batch = a_batch()
    masked = SpecAugment(dataclasses.replace(SPEC, normalisation="none"))(batch, 1, 7)

    for clip, before in zip(clips_of(masked), clips_of(batch), strict=True):
        changed = clip != before
        assert changed.any()
        torch.testing.assert_close(clip[changed], before.mean().expand(int(changed.sum())))


def test_masks_depend_on_seed_epoch_and_step_alone():
    torch.manual_seed(5)
    batch, state = a_batch(), torch.get_rng_state()
    found = {}
    for seed, epoch, step in ((3, 1, 1), (3, 1, 2), (3, 2, 1), (4, 1, 1)):
        masks = SpecAugment(dataclasses.replace(SPEC, seed=seed))
        found[seed, epoch, step] = masks(batch, epoch, step).features
        assert torch.equal(masks(batch, epoch, step).features, found[seed, epoch, step])

    assert len({tuple((masked == 0).flatten().tolist()) for masked in found.values()}) == 4
    assert torch.equal(torch.get_rng_state(), state)


def test_several_processes_draw_together_what_one_draws():
    lengths = (40, 33, 25, 18, 9)
    batch = a_batch(lengths=lengths)
    whole = SpecAugment(SPEC)(batch, 2, 5).features
    for rank in range(2):
        share = Batch(*(tensor[rank::2] for tensor in (batch.features, batch.lengths, batch.starts, batch.labels)))

        assert torch.equal(SpecAugment(SPEC, rank, 2)(share, 2, 5).features, whole[rank::2])


@pytest.mark.parametrize(
    "off",
    [
        {"spec_augment_frequency": 0, "spec_augment_time": 0},
        {"spec_augment_frequency_masks": 0, "spec_augment_time_masks": 0},
    ],
)
def test_without_masks_a_batch_stays_the_very_same(off):
    batch = a_batch()

    assert SpecAugment(dataclasses.replace(SPEC, **off))(batch, 1, 1) is batch
    assert SpecAugment(TrainingSpec())(batch, 1, 1) is batch


@pytest.mark.parametrize(("off", "axis"), [("spec_augment_time", 0), ("spec_augment_frequency", 1)])
def test_either_kind_of_mask_can_be_had_alone(off, axis):
    masks = SpecAugment(dataclasses.replace(SPEC, **{off: 0}))
    for step in range(30):
        for clip in clips_of(masks(a_batch(), 1, step)):
            assert torch.equal(clip == 0, (clip == 0).all(axis, keepdim=True).expand_as(clip))


def test_masks_are_made_on_the_device_of_the_batch_and_read_nothing_from_it():
    meta = torch.device("meta")
    batch = a_batch()
    batch = dataclasses.replace(batch, features=batch.features.to(meta))

    for normalisation in ("training", "none"):
        spec = dataclasses.replace(SPEC, normalisation=normalisation)
        assert SpecAugment(spec)(batch, 1, 1).features.device == meta


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spec_augment_time": -1}, "must not be negative"),
        ({"spec_augment_frequency_masks": -2}, "must not be negative"),
        ({"spec_augment_time_share": 1.5}, "within 0 and 1"),
        ({"spec_augment_time": 2.5}, "must be a whole number"),
    ],
)
def test_masks_that_make_no_sense_are_one_clear_error(fields, message):
    with pytest.raises(SpecError, match=message):
        TrainingSpec.from_dict(fields)
