"""Clips of one length, and features that are the samples themselves."""

import dataclasses

import numpy as np
import pytest
from real_recordings import emodb_files, voice, wav

from featurestore.errors import AudioError
from featurestore.row_engine import RowEngine
from featurestore.signal.timing import fit_length
from featurestore.specs.augmentation import Perturbation
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, policy

WAVEFORM = feature_preset("waveform")
SECOND = dataclasses.replace(WAVEFORM, seconds=1.0)


@pytest.mark.parametrize("samples", [0, 1, 5, 9])
def test_a_signal_is_cut_or_ends_in_zeros(samples):
    signal = np.arange(1, 6, dtype=np.float32)
    fitted = fit_length(signal, samples)

    assert len(fitted) == samples
    np.testing.assert_array_equal(fitted[:5], signal[:samples])
    assert not np.any(fitted[5:])
    np.testing.assert_array_equal(fit_length(signal, None), signal)


@pytest.mark.parametrize(("seconds", "rate", "samples"), [(1.0, 22_050, 22_050), (8.0, 16_000, 128_000)])
def test_seconds_are_a_whole_number_of_samples_at_any_rate(seconds, rate, samples):
    assert FeatureSpec(seconds=seconds).samples(rate) == samples
    assert FeatureSpec().samples(rate) is None


def test_waveform_rows_are_the_samples_of_real_recordings(shared):
    import io

    import soundfile

    engine = RowEngine(WAVEFORM)
    for data in emodb_files(shared):
        row = engine.clean(engine.load(data))
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        assert rate == 16_000
        assert row.shape == (len(samples), 1)
        np.testing.assert_array_equal(row[:, 0], samples)


@pytest.mark.parametrize("features", [WAVEFORM, SECOND], ids=["own length", "one second"])
def test_waveform_rows_of_copies_are_the_waveforms_of_the_copies(features):
    engine = RowEngine(features, policy("mathworks"))
    for data in (voice(9_000), voice(20_000)):
        source = engine.load(data)
        for drawn in (None, Perturbation(semitones=1.5, shift_seconds=0.1, snr_db=8.0, peak=0.7, noise_key=3)):
            row = engine.clean(source) if drawn is None else engine.augmented(source, drawn)
            np.testing.assert_array_equal(row[:, 0], engine.waveform(source, drawn))
            assert len(row) == (16_000 if features.seconds else len(source.signal))


def test_a_clip_is_lengthened_after_its_perturbations_so_that_its_noise_ends_with_it():
    engine, keeping = (RowEngine(features, policy("mathworks")) for features in (SECOND, WAVEFORM))
    source, drawn = engine.load(voice(9_000)), Perturbation(snr_db=3.0, noise_key=9)

    noisy = engine.waveform(source, drawn)

    np.testing.assert_array_equal(noisy[:9_000], keeping.waveform(source, drawn))
    assert not np.any(noisy[9_000:])


def test_what_a_clip_is_cut_to_was_perturbed_as_a_whole():
    engine, keeping = (RowEngine(features, policy("mathworks")) for features in (SECOND, WAVEFORM))
    source, drawn = engine.load(voice(20_000)), Perturbation(peak=0.5, shift_seconds=0.2)

    np.testing.assert_array_equal(engine.waveform(source, drawn), keeping.waveform(source, drawn)[:16_000])


def test_a_recording_shorter_than_a_window_is_a_clip_of_the_length_asked_for():
    data = wav(0.1 * np.ones(500))
    engine = RowEngine(FeatureSpec(rate=16_000, seconds=0.5))

    assert engine.clean(engine.load(data)).shape == (12, 128)
    with pytest.raises(AudioError, match="shorter than one window"):
        RowEngine(FeatureSpec(rate=16_000)).load(data)
    with pytest.raises(AudioError, match="shorter than one window"):
        RowEngine(FeatureSpec(rate=16_000, seconds=0.1)).load(voice())
