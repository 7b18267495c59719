"""Spectral features against librosa, numpy and scipy, on real recordings and on signals with known spectra.

Each number of a source has a test named after it.
"""

import dataclasses

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal
from real_recordings import command_files, emodb_files, voice, wav

from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.signal.cepstrum import cosines
from featurestore.signal.spectrum import warped_frequency
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.presets import feature_preset

VTLP = AugmentationSpec(vtlp_alpha=Distribution(uniform=(0.9, 1.1)))


def precise(name, **changes):
    """A preset whose rows are not rounded to float16."""
    return dataclasses.replace(feature_preset(name), dtype="float32", **changes)


def clean(features, data):
    """The signal of a recording at the rate of its features, and its row."""
    engine = RowEngine(features)
    source = engine.load(data)
    return source.signal, engine.clean(source)


def db(power):
    return librosa.power_to_db(power, ref=np.max)


def test_digits_give_128_bands_by_44_frames_for_one_second(shared):
    for data in command_files(shared):
        signal, row = clean(feature_preset("digits"), data)
        clip = librosa.util.fix_length(signal.astype(np.float64), size=22_050)
        expected = librosa.feature.melspectrogram(y=clip, sr=22_050, n_fft=2048, hop_length=512, n_mels=128)
        assert row.shape == (44, 128)
        assert row.dtype == np.float32
        np.testing.assert_allclose(row, np.log(expected + 1e-10).T, atol=2e-5)


def test_a_batch_of_128_digit_clips_has_the_2_88_megabytes_of_the_source():
    _, row = clean(feature_preset("digits"), voice())

    assert 128 * row.nbytes / 1e6 == pytest.approx(2.88, abs=0.005)


def test_the_spectrogram_of_system_c_has_windows_of_64_ms_every_32_ms(shared):
    for data in emodb_files(shared):
        signal, row = clean(precise("etienne"), data)
        frames = librosa.util.frame(signal.astype(np.float64), frame_length=64 * 16, hop_length=32 * 16, axis=0)
        power = np.abs(scipy.fft.rfft(frames * scipy.signal.get_window("hann", 1024))) ** 2
        assert row.shape == (len(frames), 513)
        np.testing.assert_allclose(row, np.log(power + 1e-10), atol=5e-5)


@pytest.mark.parametrize(("high_hz", "bins"), [(4000.0, 257), (8000.0, 513)])
def test_the_spectrogram_is_kept_up_to_4_or_8_khz(high_hz, bins):
    data = voice()
    _, whole = clean(precise("etienne"), data)
    _, kept = clean(precise("etienne", high_hz=high_hz), data)

    assert kept.shape[1] == bins
    np.testing.assert_array_equal(kept, whole[:, :bins])


def test_a_band_of_the_spectrogram_holds_the_bins_between_its_two_ends():
    _, whole = clean(precise("etienne"), voice())
    _, band = clean(precise("etienne", low_hz=100.0, high_hz=3000.0), voice())

    np.testing.assert_array_equal(band, whole[:, 7:193])  # 109.375 Hz to 3,000 Hz


@pytest.mark.parametrize("high_hz", [4000.0, 8000.0])
@pytest.mark.parametrize("alpha", [0.9, 0.94, 1.0, 1.1])
def test_equation_1_of_system_c_moves_a_tone_to_g_of_f_below_the_cut_off_frequency(alpha, high_hz):
    features = precise("etienne", high_hz=high_hz)
    engine = RowEngine(features, VTLP)
    for share in (0.2, 0.5, 0.8, 0.95):
        tone = share * high_hz
        source = engine.load(wav(0.5 * np.sin(2 * np.pi * tone * np.arange(8000) / 16_000)))
        row = engine.augmented(source, Perturbation(vtlp_alpha=alpha))
        moved = warped_frequency(np.array(tone), alpha, 0.9 * high_hz, high_hz)
        assert np.argmax(row.mean(axis=0)) * 16_000 / 1024 == pytest.approx(moved, abs=16)


@pytest.mark.parametrize("name", ["etienne", "mfcc", "zhao", "keren"])
def test_a_warp_by_one_changes_no_bit_of_a_spectral_kind_and_another_does(name):
    engine = RowEngine(feature_preset(name), VTLP)
    source = engine.load(voice())

    np.testing.assert_array_equal(engine.augmented(source, Perturbation(vtlp_alpha=1.0)), engine.clean(source))
    assert not np.array_equal(engine.augmented(source, Perturbation(vtlp_alpha=1.08)), engine.clean(source))


def test_system_d_has_251_frames_in_decibels_below_the_maximum_of_8_seconds(shared):
    for data in emodb_files(shared):
        signal, row = clean(precise("zhao"), data)
        clip = librosa.util.fix_length(signal.astype(np.float64), size=8 * 16_000)
        hop = len(clip) // 250
        mel = librosa.feature.melspectrogram(y=clip, sr=16_000, n_fft=4 * hop, hop_length=hop, n_mels=128)
        assert row.shape == (251, 128)
        np.testing.assert_allclose(row, db(mel).T, atol=2e-4)
        assert row.max() == 0
        assert row.min() >= -80


def test_a_clip_longer_than_8_seconds_is_cut():
    rng = np.random.default_rng(0)
    signal = 0.1 * rng.standard_normal(10 * 16_000)
    signal[8 * 16_000 :] *= 9

    _, long = clean(precise("zhao"), wav(signal))
    _, cut = clean(precise("zhao"), wav(signal[: 8 * 16_000]))

    np.testing.assert_array_equal(long, cut)


def test_decibels_below_the_maximum_do_not_depend_on_the_level_of_a_clip():
    data = [wav(scale * np.random.default_rng(0).standard_normal(8 * 16_000)) for scale in (0.2, 0.002)]
    loud, soft = (clean(precise("zhao"), one)[1] for one in data)

    np.testing.assert_allclose(loud, soft, atol=1e-3)


def test_a_silent_clip_lies_at_its_own_maximum():
    _, row = clean(feature_preset("zhao"), wav(np.zeros(3000)))

    assert not np.any(row)


def test_system_e_has_26_log_mel_bands_of_25_ms_every_10_ms(shared):
    weights = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=26, fmin=0, fmax=8000, htk=True, dtype=np.float64)
    for data in emodb_files(shared):
        signal, row = clean(precise("keren"), data)
        spectrum = librosa.stft(
            signal.astype(np.float64),
            n_fft=512,
            win_length=25 * 16,
            hop_length=10 * 16,
            window=scipy.signal.get_window("hamming", 400),
            center=False,
        )
        assert row.shape == (spectrum.shape[1], 26)
        np.testing.assert_allclose(row, np.log(weights @ np.abs(spectrum) ** 2 + 1e-10).T, atol=5e-5)


@pytest.mark.parametrize("coefficients", [13, 20])
def test_mfcc_equal_those_of_librosa(shared, coefficients):
    for data in emodb_files(shared):
        signal, row = clean(precise("mfcc", coefficients=coefficients), data)
        expected = librosa.feature.mfcc(y=signal.astype(np.float64), sr=16_000, n_mfcc=coefficients)
        np.testing.assert_allclose(row, expected.T, atol=2e-3)


@pytest.mark.parametrize(("coefficients", "mels"), [(20, 128), (13, 26), (5, 5)])
def test_the_cosines_are_those_of_the_orthonormal_dct_2(coefficients, mels):
    expected = scipy.fft.dct(np.eye(mels), type=2, norm="ortho", axis=0)[:coefficients]

    np.testing.assert_allclose(cosines(coefficients, mels), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["etienne", "zhao", "keren", "digits", "mfcc"])
def test_rows_of_noisy_copies_are_those_of_the_signal_that_a_copy_has(name):
    policy = AugmentationSpec(snr_db=Distribution(uniform=(0, 20)), vtlp_alpha=Distribution(uniform=(0.9, 1.1)))
    engine, plain = RowEngine(precise(name), policy), RowEngine(precise(name))
    source = engine.load(voice(16_000))
    drawn = Perturbation(snr_db=10.0, noise_key=5)

    signal = engine.waveform(source, drawn)
    expected = plain.clean(plain.prepare_recording(Recording(signal, source.rate)))
    np.testing.assert_allclose(engine.augmented(source, drawn), expected, atol=3e-2 if name == "mfcc" else 3e-3)
