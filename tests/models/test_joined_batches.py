"""Batches of joined clips: read, held, normalised, masked and learnt from as padded ones are."""

import dataclasses

import pytest
import torch
from array_view import some_view
from spoken_rows import spoken_view
from test_residence import same
from test_waiting import META, Crossings

from models import MODELS, build_model
from models.batches.loader import PadCollate, Padding, Sides, ViewDataset, ahead, batches
from models.batches.normalisation import SCOPES, fit
from models.batches.residence import DeviceDataset, RamDataset
from models.batches.spec_augment import SpecAugment
from models.errors import TrainingError
from models.execution import Execution, check_padding
from models.runs.run import load_run
from models.training import configure, train
from models.training_spec import TrainingSpec

NAME, CPU = "mathworks-cnn-lstm", torch.device("cpu")
ROWS = [5, 0, 11, 3, 7]


def dataset_of(view):
    return ViewDataset(view, view.classes)


def clips_of(batch):
    """The frames of each clip, wherever it lies."""
    joined = len(batch.features) != len(batch.lengths)
    places = zip(batch.starts.tolist(), batch.lengths.tolist(), strict=True)
    return [
        batch.features[0 if joined else slot, start : start + length] for slot, (start, length) in enumerate(places)
    ]


def between(batch):
    """The frames that belong to no clip."""
    free = torch.ones(batch.features.shape[1], dtype=torch.bool)
    for start, length in zip(batch.starts.tolist(), batch.lengths.tolist(), strict=True):
        free[start : start + length] = False
    return batch.features[0, free]


@pytest.mark.parametrize("multiple", [1, 16])
def test_every_row_is_read_to_its_own_place_and_nothing_stands_between(multiple):
    view = some_view(12, shortest=1, longest=40)
    collate = PadCollate("joined", multiple)
    collate(dataset_of(view).__getitems__([1, 2, 4, 6, 8]))  # leaves its values in the buffer

    batch = collate(dataset_of(view).__getitems__(ROWS))

    assert batch.features.shape[0] == 1
    for clip, row in zip(clips_of(batch), ROWS, strict=True):
        assert torch.equal(clip, torch.from_numpy(view[row][0]))
    assert not between(batch).any()
    assert batch.lengths.tolist() == view.frames[ROWS].tolist()
    assert [view.classes[number] for number in batch.labels] == view.labels[ROWS].tolist()


@pytest.mark.parametrize("rows", [ROWS, [4]])
def test_held_and_prefetched_rows_give_the_same_joined_batches_bit_for_bit(rows):
    view, padding = some_view(12, shortest=1, longest=40), Padding("joined", 16)
    dataset = dataset_of(view)
    expected = PadCollate("joined", 16)(dataset.__getitems__(rows)).to(CPU)

    assert same(DeviceDataset(dataset, CPU).gather(rows, padding), expected)
    assert same(PadCollate("joined", 16)(RamDataset(dataset).__getitems__(rows)).to(CPU), expected)
    assert same(next(ahead(batches(dataset, [rows], PadCollate("joined", 16)))).to(CPU), expected)


@pytest.mark.parametrize("moments", ["band", "single"])
@pytest.mark.parametrize("kind", list(SCOPES))
def test_joined_clips_are_normalised_each_by_its_own_statistics(kind, moments):
    dataset = dataset_of(spoken_view(12, bands=128))
    found = {}
    for padding in ("left", "joined"):
        spec = TrainingSpec(padding=padding, normalisation=kind, normalisation_moments=moments)
        run = Execution.of(NAME, {}, spec, "cpu").normalising(fit(spec, [dataset]))
        (found[padding],) = run.feed(dataset, [ROWS])

    for clip, expected in zip(clips_of(found["joined"]), clips_of(found["left"]), strict=True):
        torch.testing.assert_close(clip, expected, rtol=1e-6, atol=1e-6)
    assert not between(found["joined"]).any()


@pytest.mark.parametrize("normalisation", ["none", "training"])
def test_joined_clips_are_masked_in_the_very_places_of_padded_ones(normalisation):
    spec = TrainingSpec(
        spec_augment_frequency=20, spec_augment_time=12, spec_augment_time_share=0.5, normalisation=normalisation
    )
    dataset, masks = dataset_of(some_view(12)), SpecAugment(spec)
    for step in range(20):
        left, joined = (
            masks(PadCollate(side, 16)(dataset.__getitems__(ROWS)).to(CPU), 1, step) for side in ("left", "joined")
        )
        for clip, expected in zip(clips_of(joined), clips_of(left), strict=True):
            torch.testing.assert_close(clip, expected, rtol=1e-6, atol=1e-6)
        assert not between(joined).any()


def test_a_step_on_joined_clips_sends_their_places_once_and_reads_nothing_from_the_device():
    model = build_model(NAME, 7, 128).to(META).train()
    starts, frames = Padding("joined", 16).layout(torch.tensor([96, 40, 7]).numpy())

    with Crossings() as crossings:
        logits = model(torch.zeros(1, frames, 128, device=META), torch.tensor([96, 40, 7]), torch.from_numpy(starts))
        logits.sum().backward()

    assert logits.shape == (3, 7)
    assert logits.device == META
    assert crossings.sent == 1


def sides():
    return Sides(some_view(10, seed=1, shortest=12), some_view(4, seed=2), some_view(4, seed=3))


def test_an_epoch_of_joined_batches_is_an_epoch_of_padded_ones(tmp_path):
    runs, results = {}, {}
    for padding in ("left", "joined"):
        spec = TrainingSpec(
            epochs=1, batch_size=5, optimiser="sgd", learning_rate=1e-3, padding=padding, precision="float32"
        )
        results[padding] = train(sides(), configure(sides(), NAME, spec), tmp_path / padding, device="cpu")
        runs[padding] = load_run(tmp_path / padding)

    assert results["joined"]["train"]["loss"] == pytest.approx(results["left"]["train"]["loss"], rel=1e-4)
    assert results["joined"]["test"]["loss"] == pytest.approx(results["left"]["test"]["loss"], rel=1e-4)
    start = build_model(NAME, len(sides().train.classes), 128, seed=0).state_dict()
    found, expected = (runs[padding].model.state_dict() for padding in ("joined", "left"))
    for name, first in start.items():
        moved = float((expected[name] - first).abs().max())
        assert float((found[name] - expected[name]).abs().max()) <= 0.05 * moved, name


@pytest.mark.parametrize("name", [name for name, card in MODELS.items() if not card.joins])
def test_a_model_that_would_mix_joined_clips_up_refuses_them_in_one_line(name):
    with pytest.raises(TrainingError, match=rf"^padding joined: {name} reads each clip .*padding=left[^\n]*$"):
        Execution.of(name, {}, TrainingSpec(padding="joined"), "cpu")


def test_padding_as_data_and_no_padding_do_not_go_together():
    spec = TrainingSpec(padding="joined")

    with pytest.raises(TrainingError, match=r"^padding joined leaves no padding that plain_padding [^\n]*$"):
        configure(sides(), NAME, spec, settings={"plain_padding": True})
    check_padding(NAME, {"plain_padding": False}, spec)
    check_padding(NAME, {"plain_padding": True}, dataclasses.replace(spec, padding="left"))


def test_batches_are_random_unless_buckets_are_asked_for():
    assert TrainingSpec().bucket_batches == 0
    assert TrainingSpec().padding == "left"
    assert TrainingSpec(padding="joined", bucket_batches=20).bucket_batches == 20
