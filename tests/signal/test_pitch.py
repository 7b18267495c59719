"""Pitch shifts: the frequency, duration, level and place of what is heard."""

import numpy as np
import pytest
from perturbations.sounds import engine, tone, white
from perturbations.voices import cents, decibels, frequency, voice

from featurestore.perturbations.policy_tables import Distribution
from featurestore.signal.audio import Recording
from featurestore.signal.interpolation import (
    FILTER_REACH,
    TAPS,
    band_limit,
    blocks_of,
    filter_band,
    interpolate,
    interpolation_weights,
    lanes_length,
    reach,
    reading_filters,
)
from featurestore.signal.pitch_grid import grid_semitones, pitch_steps
from featurestore.specs.augmentation import Perturbation
from featurestore.specs.features import FeatureSpec

WEIGHTS = interpolation_weights()
RATES = (8_000, 16_000, 22_050, 48_000)
ENGINES = {
    rate: engine(
        features=FeatureSpec(kind="waveform", rate=rate, dtype="float32"), semitones=Distribution(uniform=(-24, 24))
    )
    for rate in RATES
}


def shifted(signal, semitones, rate=16_000):
    exact = grid_semitones(pitch_steps(semitones))
    return ENGINES[rate].waveform(
        ENGINES[rate].prepare_recording(Recording(signal, rate)), Perturbation(semitones=exact)
    )


def interpolated(stretched, steps, samples):
    output = np.full(blocks_of(samples) * 2048, np.nan, np.float32)
    interpolate(stretched, steps, WEIGHTS, np.full(lanes_length(steps), np.nan, np.float32), output)
    return output[:samples]


@pytest.mark.parametrize("semitones", [-7.0, -2.0, -1.0, -0.013, 0.0, 0.4, 1.3, 2.0, 5.0])
@pytest.mark.parametrize("hertz", [70, 110, 440, 1777])
def test_a_tone_shifted_by_s_semitones_lies_within_one_cent_at_its_level(hertz, semitones):
    signal, exact = tone(hertz, 3.0), grid_semitones(pitch_steps(semitones))

    found = shifted(signal, semitones)[4_000:-4_000]

    assert cents(frequency(found), hertz * 2 ** (exact / 12)) < 1
    assert abs(exact - semitones) < 0.01
    assert abs(decibels(found, signal[4_000:-4_000])) < 0.1


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_the_shift_is_right_at_other_rates(rate):
    signal = np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate).astype(np.float32)

    found = frequency(shifted(signal, 1.0, rate)[rate // 4 : -rate // 4], rate)

    assert cents(found, 440 * 2 ** (grid_semitones(pitch_steps(1.0)) / 12)) < 1


@pytest.mark.parametrize("semitones", [-2.0, 2.0])
def test_a_voice_is_what_it_would_be_at_that_pitch(semitones):
    ideal = voice(2 ** (grid_semitones(pitch_steps(semitones)) / 12))

    found = shifted(voice(), semitones)

    spectra = [
        np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(signal, 512)[::128] * np.hanning(512), axis=1))
        for signal in (ideal, found)
    ]
    floor = 1e-3 * spectra[0].max()
    distance = np.mean(np.abs(20 * np.log10(np.maximum(spectra[0], floor) / np.maximum(spectra[1], floor))))
    assert distance < 2.5
    assert abs(decibels(found, voice())) < 0.3


@pytest.mark.parametrize("place", [8_000, 8_017, 20_000, 31_500])
@pytest.mark.parametrize("semitones", [-2.0, -0.5, 0.5, 2.0])
def test_a_click_stays_where_it_is(place, semitones):
    signal = np.zeros(32_000, np.float32)
    signal[place] = 0.9

    power = shifted(signal, semitones).astype(float) ** 2

    assert abs(np.sum(power * np.arange(len(power))) / np.sum(power) - place) < 0.001 * 16_000
    assert np.sum(power[np.abs(np.arange(len(power)) - place) > 100]) < 1e-6 * np.sum(power)


@pytest.mark.parametrize("samples", [1, 2, 31, 100, 511, 2048, 4095, 40_000])
def test_the_duration_is_kept_and_all_samples_are_finite(samples):
    source = ENGINES[16_000].prepare_recording(Recording(white(40_000), 16_000))

    for semitones in (-2.0, 2.0, 24.0, -24.0):
        short = type(source)(white(samples), 16_000, 16_000)
        output = ENGINES[16_000].waveform(short, Perturbation(semitones=semitones))
        assert len(output) == samples
        assert np.all(np.isfinite(output))


def test_a_shift_of_zero_gives_the_signal_back():
    np.testing.assert_array_equal(shifted(white(20_000), 0.0), white(20_000))


@pytest.mark.parametrize("level", [1.0, -1.0, 2.0**-15])
def test_a_constant_stays_that_constant(level):
    signal = np.full(20_000, level, np.float32)

    for semitones in (-2.0, 2.0):
        np.testing.assert_allclose(shifted(signal, semitones)[600:-600], signal[600:-600], rtol=1e-3)


def test_noise_and_full_scale_keep_their_level():
    low = np.cumsum(white(40_000, level=1.0)).astype(np.float32)
    square = np.sign(tone(150.0, 2.0))
    for signal in (low - low.mean(), square):
        assert all(abs(decibels(shifted(signal, semitones), signal)) < 0.3 for semitones in (-2.0, 2.0))


def test_what_would_pass_half_the_rate_vanishes_instead_of_folding_back():
    high = np.sin(2 * np.pi * 7_600 * np.arange(32_000) / 16_000).astype(np.float32)

    assert decibels(shifted(high, 2.0)[4_000:-4_000], high) < -40


def test_silence_stays_silent():
    assert not np.any(shifted(np.zeros(20_000, np.float32), 1.0))


def test_a_copy_depends_on_no_copy_before_it():
    own, signal = ENGINES[16_000], voice(seconds=1.0)
    alone = shifted(signal, 1.3)
    source = own.prepare_recording(Recording(signal, 16_000))
    for semitones in (24.0, -24.0, 2.0, -0.5):
        own.waveform(source, Perturbation(semitones=semitones))

    again = own.waveform(source, Perturbation(semitones=grid_semitones(pitch_steps(1.3))))

    np.testing.assert_array_equal(again, alone)


def test_emotional_speech_shifted_and_shifted_back_is_what_it_was(emodb_bytes):
    from featurestore.signal.audio import decode

    signal = decode(emodb_bytes["03a01Fa"]).signal
    for semitones in (-2.0, 2.0):
        there = shifted(signal, semitones)
        back = shifted(there, -semitones)
        spectra = [
            np.log(1e-3 + np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(one, 400)[::160], axis=1)))
            for one in (signal, back)
        ]
        assert np.corrcoef(spectra[0][:, :150].ravel(), spectra[1][:, :150].ravel())[0, 1] > 0.9
        assert abs(decibels(there, signal)) < 0.3


@pytest.mark.parametrize("steps", [512, 1825, 2047, 2048, 2049, 2299, 4096])
@pytest.mark.parametrize("samples", [1, 2047, 2048, 2049, 70_000])
def test_interpolation_matches_its_formula(steps, samples):
    rng = np.random.default_rng(1)
    signal = rng.standard_normal(reach(samples, steps)).astype(np.float32)
    output = interpolated(signal, steps, samples)

    position = np.arange(samples) * steps
    around = signal.astype(np.float64)[(position // 2048)[:, None] + np.arange(TAPS)]
    expected = np.sum(around * WEIGHTS[position % 2048], axis=1)
    np.testing.assert_allclose(output, expected, atol=3e-6)


@pytest.mark.parametrize("steps", [1825, 2299, 4096])
def test_the_filter_before_reading_is_a_convolution_that_leaves_what_the_reading_can_tell_apart(steps):
    half = reading_filters()[band_limit(steps)]
    signal, output = white(1_000 + 2 * FILTER_REACH), np.zeros(1_000, np.float32)
    filter_band(signal, half, output)

    whole = np.concatenate([half[:0:-1], half]).astype(np.float64)
    np.testing.assert_allclose(output, np.convolve(signal, whole, "valid"), atol=1e-6)
    response, edge = np.abs(np.fft.rfft(whole, 4096)), 2048 * min(1.0, 2048 / steps)
    assert np.all(response[int(edge + 100) :] < 0.005)
    assert np.all(np.abs(response[: int(0.5 * edge)] - 1) < 0.01)
