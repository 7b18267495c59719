"""Views: rows with labels, verified, selected and split without computing anything."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from demo_corpus import ingest_demo

from featurestore.errors import UnknownNameError
from featurestore.specs.presets import feature_preset, policy
from featurestore.store import Store, open_store
from featurestore.view import DatasetView
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.workers.pool import Workers

COPIES = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory, cluster) -> Store:
    built = open_store(tmp_path_factory.mktemp("store"))
    build(
        built,
        ingest_demo(built),
        DatasetSpec(feature_preset("mathworks"), policy("mathworks"), COPIES),
        workers=Workers(scheduler=cluster),
    )
    return built


@pytest.fixture
def view(store) -> DatasetView:
    return store.view("demo")


def test_rows_are_ordered_by_path_and_copy(view):
    assert len(view) == 120 * (1 + COPIES)
    assert list(zip(view.paths, view.copies.tolist(), strict=True)) == sorted(
        zip(view.paths, view.copies.tolist(), strict=True)
    )
    assert len(view.labels) == len(view.speakers) == len(view.contents) == len(view)


def test_a_row_has_frames_by_bands_and_its_label(view):
    features, label = view[7]

    assert features.shape == (view.frames[7], 128)
    assert features.dtype == np.float16
    assert np.isfinite(features).all()
    assert label == view.labels[7]


def test_a_row_that_does_not_exist_is_an_index_error(view):
    with pytest.raises(IndexError):
        view[len(view)]


@pytest.mark.parametrize("left", [False, True])
def test_a_batch_holds_the_rows_and_padding_on_the_chosen_side(view, left):
    rows = np.array([3, 400, 77])
    out = np.full((3, 80, 128), 9, np.float16)

    lengths = view.read(rows, out, left=left, fill=-1)

    for slot, row in enumerate(rows):
        features, _ = view[row]
        length = lengths[slot]
        inside = out[slot, 80 - length :] if left else out[slot, :length]
        padding = out[slot, : 80 - length] if left else out[slot, length:]
        np.testing.assert_array_equal(inside, features)
        assert (padding == -1).all()


def test_a_buffer_that_is_too_short_is_refused(view):
    with pytest.raises(ValueError, match="does not fit"):
        view.read(np.array([0]), np.empty((1, 3, 128), np.float16))


def test_training_takes_augmented_copies_and_the_other_sides_clean_ones(view):
    train, validation, test = view.split("shuffled")

    assert (train.copies > 0).all()
    assert (validation.copies == 0).all()
    assert (test.copies == 0).all()
    assert len(train) == COPIES * (120 - len(validation) - len(test))
    assert not set(train.paths) & (set(validation.paths) | set(test.paths))
    assert not set(validation.paths) & set(test.paths)


def test_training_takes_clean_rows_too_where_asked(view):
    train, _, _ = view.split("shuffled", clean_in_training=True)

    assert sorted(set(train.copies.tolist())) == list(range(COPIES + 1))


def test_each_fold_tests_one_speaker_and_validates_on_the_next(view):
    speakers = sorted(set(view.speakers))
    for number, (train, validation, test) in enumerate(view.folds("loso")):
        assert set(test.speakers) == {speakers[number]}
        assert set(validation.speakers) == {speakers[(number + 1) % len(speakers)]}
        assert set(train.speakers) == set(speakers) - set(test.speakers) - set(validation.speakers)


def test_all_sides_know_all_classes(view):
    assert {side.classes for side in view.split("shuffled")} == {("angry", "happy", "neutral", "sad")}


def test_a_clean_row_has_no_perturbation_and_its_waveform_is_the_recording(view, store):
    row = int(np.flatnonzero(view.copies == 0)[0])

    assert view.perturbation(row) is None
    assert np.abs(view.waveform(row)).max() <= 1


def test_the_log_mel_of_a_rows_waveform_is_the_row(view):
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    import librosa

    bank = librosa.filters.mel(sr=16_000, n_fft=2048, n_mels=128, htk=True, norm="slaney", dtype=np.float64)
    for row in (0, 1, 2, 203, 598):
        signal = view.waveform(row).astype(np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(signal, 2048)[::512]
        power = np.abs(np.fft.rfft(frames * window)) ** 2
        expected = np.log(power @ bank.T + 2.0**-52)

        step = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64)
        assert (np.abs(view[row][0].astype(np.float64) - expected) <= step / 2 + 2e-4).all()


def test_a_dataset_is_found_by_the_beginning_of_its_digest(store, view):
    assert store.view(view.digest[:12]).digest == view.digest


def test_an_unknown_dataset_is_named_with_the_nearest(store):
    with pytest.raises(UnknownNameError, match="did you mean 'demo'"):
        store.view("dmeo")


def test_a_view_travels_to_another_process(view):
    again = pickle.loads(pickle.dumps(view.select(np.arange(10))))  # noqa: S301 (our own bytes)

    np.testing.assert_array_equal(again[3][0], view[3][0])


def _sum(view: DatasetView) -> float:
    return float(sum(view[row][0].astype(np.float64).sum() for row in range(0, len(view), 50)))


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_read_what_the_parent_reads(view, method):
    expected = _sum(view)

    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(_sum, view).result() == expected
