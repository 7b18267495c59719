"""Normalisation: exact statistics of the stated rows, applied to real frames alone, kept with the model."""

import json

import numpy as np
import pytest
import torch
from spoken_rows import small_sides, spoken_view

from models.batches.loader import Batch, ViewDataset
from models.batches.normalisation import BandStatistics, Normalisation, band_statistics, fit, fit_unknown_speaker
from models.batches.residence import DeviceDataset
from models.errors import CheckpointError, TrainingError
from models.execution import Execution
from models.training import configure
from models.training_spec import TrainingSpec

CPU, META = torch.device("cpu"), torch.device("meta")


def datasets_of(*views):
    return [ViewDataset(view, view.classes) for view in views]


def spec_of(kind, **changes):
    return TrainingSpec(normalisation=kind, **changes)


def frames_of(*views, speaker=None):
    rows = [row for view in views for row, who in zip(view.rows, view.speakers, strict=True) if speaker in (None, who)]
    return np.concatenate(rows).astype(np.float64)


def execution(side="left", normalisation=None):
    return Execution(CPU, False, False, side, 1, normalisation)


def normalised_rows(view, normalisation, side="left"):
    """Every row as the model sees it, and every padded frame."""
    dataset, found, padding = datasets_of(view)[0], {}, []
    order = [list(range(first, len(view), 5)) for first in range(5)]
    for rows, batch in zip(order, execution(side, normalisation).feed(dataset, order), strict=True):
        for slot, row in enumerate(rows):
            first, stop = int(batch.starts[slot]), int(batch.starts[slot] + batch.lengths[slot])
            found[row] = batch.features[slot, first:stop].double().numpy()
            padding += [batch.features[slot, :first], batch.features[slot, stop:]]
    return [found[row] for row in range(len(view))], torch.cat(padding)


def test_training_statistics_are_those_of_the_real_frames_of_the_training_side():
    sides = small_sides()
    fitted = fit(spec_of("training"), datasets_of(*sides))
    frames = frames_of(sides.train)

    np.testing.assert_allclose(fitted.mean[0], frames.mean(0), rtol=1e-7)
    np.testing.assert_allclose(fitted.deviation[0], frames.std(0), rtol=1e-7)
    assert fitted.mean.dtype == torch.float64


def test_a_single_mean_and_variance_of_everything_is_what_system_c_published():
    sides = small_sides()
    fitted = fit(spec_of("everything"), datasets_of(*sides))
    frames = frames_of(*sides)

    np.testing.assert_allclose(fitted.mean, np.full((1, 32), frames.mean()), rtol=1e-7)
    np.testing.assert_allclose(fitted.deviation, np.full((1, 32), frames.std()), rtol=1e-7)


@pytest.mark.parametrize("kind", ["training", "everything", "speaker", "utterance"])
def test_either_form_of_the_moments_can_be_asked_for(kind):
    sides = small_sides()
    banded, single = (
        fit(spec_of(kind, normalisation_moments=form), datasets_of(*sides)) for form in ("band", "single")
    )
    rows, _ = normalised_rows(sides.train, single)

    assert (banded.single, single.single) == (False, True)
    assert kind == "utterance" or len(np.unique(single.mean[0])) == 1 < len(np.unique(banded.mean[0]))
    assert kind != "utterance" or all(abs(row.mean()) < 1e-6 and abs(row.std() - 1) < 1e-6 for row in rows)


def test_a_speakers_statistics_are_those_of_the_speakers_own_rows_on_all_sides():
    sides = small_sides()
    fitted = fit(spec_of("speaker"), datasets_of(*sides))

    assert fitted.speakers == ("ann", "bob")
    for group, speaker in enumerate(fitted.speakers):
        frames = frames_of(*sides, speaker=speaker)
        np.testing.assert_allclose(fitted.mean[group], frames.mean(0), rtol=1e-7)
        np.testing.assert_allclose(fitted.deviation[group], frames.std(0), rtol=1e-7)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["training", "everything", "speaker", "utterance"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_real_frames_are_standardised_and_padding_stays_zero(kind, side, dtype):
    view = spoken_view(11, dtype=dtype)
    before = [row.copy() for row in view.rows]
    fitted = fit(spec_of(kind), datasets_of(view))
    rows, padding = normalised_rows(view, fitted, side)

    for row, original, speaker in zip(rows, view.rows, view.speakers, strict=True):
        seen = {"utterance": original.astype(np.float64), "speaker": frames_of(view, speaker=speaker)}
        seen = seen.get(kind, frames_of(view))
        mean, deviation = (seen.mean(), seen.std()) if kind == "everything" else (seen.mean(0), seen.std(0))
        np.testing.assert_allclose(row, (original.astype(np.float64) - mean) / deviation, rtol=1e-5, atol=1e-5)
    assert len(padding)
    assert not padding.any()
    assert all(np.array_equal(a, b) for a, b in zip(before, view.rows, strict=True))


def test_no_normalisation_leaves_every_bit():
    view = spoken_view(7)
    rows, _ = normalised_rows(view, fit(spec_of("none"), datasets_of(view)))

    assert all(np.array_equal(row, original.astype(np.float64)) for row, original in zip(rows, view.rows, strict=True))


def test_statistics_have_the_same_bits_every_time_and_do_not_depend_on_the_layout_of_a_mapped_store():
    view, moved = spoken_view(30), spoken_view(30)
    moved.shards = moved.shards[::-1]
    fetched = spoken_view(30)
    fetched.random_access = False  # another order of summation, which rounding to float32 hides
    first, *others = (fit(spec_of("training"), datasets_of(one)) for one in (view, view, moved, fetched))

    for other in others:
        assert torch.equal(first.mean, other.mean)
        assert torch.equal(first.deviation, other.deviation)


def test_statistics_do_not_depend_on_how_many_values_are_read_at_a_time(monkeypatch):
    views = spoken_view(30), spoken_view(30)
    views[1].random_access = False  # shard by shard
    groups = [["ann", "bob"].index(speaker) for speaker in views[0].speakers]
    whole = band_statistics(*datasets_of(views[0]), groups, 2)
    monkeypatch.setattr("models.batches.residence.PIECE", 25 * 32 * 2)
    monkeypatch.setattr("models.batches.normalisation.VALUES", 7 * 32)

    for view in views:
        for found, expected in zip(band_statistics(*datasets_of(view), groups, 2), whole, strict=True):
            assert found.frames == expected.frames
            np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
            np.testing.assert_allclose(found.squares, expected.squares, rtol=1e-12)


def test_a_mean_far_from_zero_costs_no_digits():
    values = np.random.default_rng(1).normal(1e5, 0.5, (5000, 3)).astype(np.float32)
    moments = BandStatistics(3)
    for part in np.array_split(values, 17):
        moments.add(torch.from_numpy(part))

    np.testing.assert_allclose(moments.statistics()[1], values.astype(np.float64).std(0), rtol=1e-10)


@pytest.mark.parametrize("level", [0.0, -36.1, 0.1])
@pytest.mark.parametrize("kind", ["training", "speaker", "utterance"])
def test_a_constant_band_is_divided_by_one(kind, level):
    view = spoken_view(9, dtype="float32")
    for row in view.rows:
        row[:, 4] = level
    rows, _ = normalised_rows(view, fit(spec_of(kind), datasets_of(view)))

    assert all(np.abs(row[:, 4]).max() < 1e-5 for row in rows)
    assert all(np.isfinite(row).all() for row in rows)


def test_a_clip_normalised_by_itself_does_not_depend_on_its_batch():
    view = spoken_view(9)
    fitted = fit(spec_of("utterance"), datasets_of(view))
    together, _ = normalised_rows(view, fitted)
    normalise = fitted.normaliser(CPU)

    for row, expected in zip(view.rows, together, strict=True):
        alone = Batch(torch.from_numpy(row)[None].float(), torch.tensor([len(row)]), torch.tensor([0]), torch.zeros(1))
        assert np.array_equal(normalise(alone).features[0].double().numpy(), expected)


def test_a_speaker_whom_training_did_not_meet_is_measured_on_the_view():
    fitted = fit(spec_of("speaker"), datasets_of(*small_sides()))
    view = spoken_view(8, seed=9, speakers=("ann", "eve"))
    rows, _ = normalised_rows(view, fitted)

    eve = np.concatenate([row for row, speaker in zip(rows, view.speakers, strict=True) if speaker == "eve"])
    first = (view.rows[0].astype(np.float64) - fitted.mean[0].numpy()) / fitted.deviation[0].numpy()
    np.testing.assert_allclose(eve.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(eve.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(rows[0], first, rtol=1e-5, atol=1e-5)


def test_rows_of_nobody_are_one_clear_error_before_anything_is_written():
    sides = small_sides()
    sides.test.speakers = (*sides.test.speakers[:-1], None)

    with pytest.raises(TrainingError, match=r"who speaks, and the corpus does not say for '005\.wav'. Normalise by"):
        configure(sides, "keren-baseline", spec_of("speaker"))


@pytest.mark.parametrize("kind", ["training", "speaker", "utterance"])
def test_rows_held_on_a_device_are_normalised_to_the_same_bits(kind):
    (dataset,), order = datasets_of(spoken_view(12)), [[7, 2, 11], [0, 5]]
    run = execution("left", fit(spec_of(kind), [dataset]))
    streamed = [batch.features.clone() for batch in run.feed(dataset, order)]

    for found, expected in zip(run.feed(DeviceDataset(dataset, CPU), order), streamed, strict=True):
        assert torch.equal(found.features, expected)


def test_clips_of_no_view_have_no_speakers():
    (dataset,) = datasets_of(spoken_view(6))
    fitted = fit(spec_of("speaker"), [dataset])
    normalise = fitted.normaliser(CPU, dataset)
    with pytest.raises(TrainingError, match="clips of no dataset"):
        fitted.normaliser(CPU)
    batch = Batch(torch.zeros(1, 4, 32), torch.tensor([4]), torch.tensor([0]), torch.zeros(1))

    with pytest.raises(TrainingError, match="without row numbers"):
        normalise(batch)


def test_features_that_are_not_finite_are_one_clear_error():
    view = spoken_view(4)
    view.rows[2][3, 5] = np.inf

    with pytest.raises(TrainingError, match="not finite have no mean"), np.errstate(invalid="ignore"):
        fit(spec_of("training"), datasets_of(view))


@pytest.mark.parametrize("kind", ["training", "speaker", "utterance"])
def test_fitted_statistics_survive_their_written_form(kind):
    fitted = fit(spec_of(kind), datasets_of(*small_sides()))
    again = Normalisation.restored(fitted.tensors(), fitted.described())

    assert torch.equal(again.mean, fitted.mean)
    assert torch.equal(again.deviation, fitted.deviation)
    assert (again.kind, again.single, again.speakers) == (fitted.kind, fitted.single, fitted.speakers)


@pytest.mark.parametrize(
    ("deviation", "speakers"),
    [(None, []), (torch.zeros(1, 3), []), (torch.ones(1, 3), ["a", "b"]), (torch.ones(1, 2), []), (torch.ones(3), [])],
)
def test_statistics_that_make_no_sense_are_refused(deviation, speakers):
    tensors = {"mean": torch.zeros(1, 3)} if deviation is None else {"mean": torch.zeros(1, 3), "deviation": deviation}

    with pytest.raises(CheckpointError, match="statistics"):
        Normalisation.restored(tensors, json.dumps({"kind": "x", "single": False, "speakers": speakers}))
    with pytest.raises(CheckpointError, match="statistics"):
        Normalisation.restored({}, "[]")


def test_clips_of_one_unknown_speaker_are_measured_together():
    view = spoken_view(6, speakers=("eve",))
    fitted = fit_unknown_speaker(view.rows, 32, single=False)

    np.testing.assert_allclose(fitted.mean[0], frames_of(view).mean(0), rtol=1e-7)
    assert fitted.speakers == ()


@pytest.mark.parametrize("kind", ["training", "utterance"])
def test_normalising_a_batch_reads_nothing_from_its_device(kind):
    fitted = fit(spec_of(kind), datasets_of(*small_sides()))
    lengths, starts = torch.tensor([9, 5]), torch.tensor([0, 4])
    batch = Batch(torch.zeros(2, 9, 32, device=META), lengths, starts, torch.zeros(2, device=META))

    assert fitted.normaliser(META)(batch).features.device == META


def test_etienne_equation_2_takes_one_mean_and_deviation_of_all_pixels_of_the_data_set():
    """`x_n = (x - mean) / sqrt(variance + epsilon)`, of all sides; epsilon is below rounding."""
    sides = small_sides()
    fitted = fit(spec_of("everything"), datasets_of(*sides))
    pixels = frames_of(*sides).ravel()
    found, _ = normalised_rows(sides.test, fitted)

    for row, normalised in zip(sides.test.rows, found, strict=True):
        expected = (row.astype(np.float64) - pixels.mean()) / np.sqrt(pixels.var() + 1e-12)
        np.testing.assert_allclose(normalised, expected, rtol=2e-5, atol=2e-5)
