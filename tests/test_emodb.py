"""The main job on real recordings: a part of Emo-DB, built, checked against independent computations, and verified."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import librosa
import numpy as np
import pytest
import zarr
from demo_corpus import no_download
from scipy import stats

from featurestore.corpus.catalog import find_manifest
from featurestore.integrity.verify import verify
from featurestore.row_engine import RowEngine
from featurestore.specs.augmentation import draw
from featurestore.specs.presets import feature_preset, override, policy
from featurestore.store import Store, open_store
from featurestore.view import DatasetView
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.ingest.ingest import ingest
from pipelines.workers.pool import Workers

FILES = 40
COPIES = 30


@pytest.fixture(scope="module")
def folder(emodb_zip: Path, tmp_path_factory) -> Path:
    """Every thirteenth recording of Emo-DB, in its folder."""
    place = tmp_path_factory.mktemp("emodb")
    with ZipFile(emodb_zip) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("wav/"))
        for name in names[::13][:FILES]:
            archive.extract(name, place)
    return place


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory, cluster) -> Store:
    built = open_store(tmp_path_factory.mktemp("store"))
    corpus = ingest(built, find_manifest("emodb"), folder, no_download)
    report = build(
        built,
        corpus,
        DatasetSpec(feature_preset("mathworks"), policy("mathworks"), COPIES),
        workers=Workers(scheduler=cluster),
    )
    assert (report.clean, report.augmented, report.rejected) == (FILES, FILES * COPIES, ())
    return built


@pytest.fixture
def view(store) -> DatasetView:
    return store.view("emodb")


def test_the_first_recording_gives_128_bands_by_56_frames(view):
    assert view.paths[0] == "wav/03a01Fa.wav"
    assert view[0][0].shape == (56, 128)
    assert view[0][1] == "happiness"


def test_frames_are_those_of_windows_without_padding(view):
    for row in range(0, len(view), 97):
        samples = len(view.waveform(row))
        assert view.frames[row] == (samples - 2048) // 512 + 1


def test_every_stored_byte_is_sound(store):
    findings = verify(store)

    assert findings.damaged == []
    assert findings.rows == FILES * (1 + COPIES)


def test_zarr_python_reads_every_shard_and_the_same_rows(store, view):
    reference = store.reference("emodb")
    for address in store.dataset(reference.dataset).addresses:
        record = store.record(address)
        array = zarr.open_array(Path(store.uri) / address, mode="r")[:]
        for position, (content, copy) in enumerate(record.row_keys()):
            if position % 50:
                continue
            (row,) = (i for i in range(len(view)) if view.contents[i] == content and view.copies[i] == copy)
            start, stop = record.offsets[position : position + 2]
            np.testing.assert_array_equal(array[start:stop], view[row][0])


def test_the_log_mel_of_a_rows_waveform_is_the_row_to_the_storage_rounding(view):
    bank = librosa.filters.mel(sr=16_000, n_fft=2048, n_mels=128, htk=True, norm="slaney", dtype=np.float64)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    for row in range(0, len(view), 41):
        frames = np.lib.stride_tricks.sliding_window_view(view.waveform(row).astype(np.float64), 2048)[::512]
        expected = np.log(np.abs(np.fft.rfft(frames * window)) ** 2 @ bank.T + 2.0**-52)

        step = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64)
        assert (np.abs(view[row][0] - expected) <= step / 2 + 1e-4).all()


def test_an_augmented_waveform_peaks_at_one(view):
    for row in np.flatnonzero(view.copies > 0)[::113]:
        assert np.abs(view.waveform(int(row))).max() == pytest.approx(1, abs=1e-6)


def test_drawn_parameters_are_uniform_over_the_real_corpus(view):
    drawn = [view.perturbation(row) for row in np.flatnonzero(view.copies > 0)]
    semitones = [one.semitones for one in drawn if one.semitones is not None]

    assert abs(len(semitones) / len(drawn) - 0.5) < 0.05
    for values, low, high in (
        (semitones, -2, 2),
        ([one.shift_seconds for one in drawn], -0.3, 0.3),
        ([one.snr_db for one in drawn], -20, 40),
    ):
        assert low <= min(values)
        assert max(values) <= high
        assert stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


def test_logmel_is_librosas_melspectrogram_clean_and_with_noise(folder):
    features, noisy = override(feature_preset("logmel"), policy("none"), ["dtype=float32", "snr_db=0,30"])
    engine = RowEngine(features, noisy)
    perturbation = draw(noisy, "0" * 64, 1)
    for path in sorted(folder.rglob("*.wav"))[::10]:
        source = engine.load(path.read_bytes())
        clean = engine.clean(source), engine.waveform(source, None)
        noisy_pair = engine.augmented(source, perturbation), engine.waveform(source, perturbation)
        for row, signal in (clean, noisy_pair):
            expected = np.log(librosa.feature.melspectrogram(y=signal, sr=16_000) + 1e-10).T
            np.testing.assert_allclose(row, expected, atol=1e-4)
