import numpy as np
import pytest

from featurestore.signal.interpolation import TAPS, blocks_of, interpolate, interpolation_weights, lanes_length, reach
from featurestore.signal.pitch_grid import grid_semitones, pitch_steps
from featurestore.signal.vocoder import Vocoder, overlap_add, vocoder_length

WEIGHTS = interpolation_weights()


def shifted(signal, semitones, rate=16_000):
    steps = pitch_steps(semitones)
    vocoder = Vocoder(vocoder_length(rate))
    stretched = vocoder.stretch(vocoder.analyse(signal), steps, len(signal))
    return interpolated(stretched, steps, len(signal))


def interpolated(stretched, steps, samples):
    output = np.full(blocks_of(samples) * 2048, np.nan, np.float32)
    interpolate(stretched, steps, WEIGHTS, np.full(lanes_length(steps), np.nan, np.float32), output)
    return output[:samples]


def frequency(signal, rate=16_000):
    size = 1 << 21
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), size))
    return np.argmax(spectrum) * rate / size


@pytest.mark.parametrize("semitones", [-7.0, -2.0, -1.0, -0.013, 0.0, 0.4, 1.3, 2.0, 5.0])
def test_a_tone_shifted_by_s_semitones_lies_within_one_cent(tone, semitones):
    exact = grid_semitones(pitch_steps(semitones))

    found = frequency(shifted(tone, semitones)[4_000:-4_000])

    assert abs(1200 * np.log2(found / (440 * 2 ** (exact / 12)))) < 1
    assert abs(exact - semitones) < 0.01


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_the_shift_is_right_at_other_rates(rate):
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate).astype(np.float32)

    found = frequency(shifted(tone, 1.0, rate)[rate // 4 : -rate // 4], rate)

    assert abs(1200 * np.log2(found / (440 * 2 ** (grid_semitones(pitch_steps(1.0)) / 12)))) < 1


@pytest.mark.parametrize("samples", [1, 100, 511, 2048, 4095, 40_000])
def test_the_duration_is_kept_and_all_samples_are_finite(samples):
    signal = np.random.default_rng(0).standard_normal(samples).astype(np.float32)

    for semitones in (-2.0, 2.0, 24.0, -24.0):
        output = shifted(signal, semitones)
        assert output.shape == signal.shape
        assert np.all(np.isfinite(output))


def test_a_shift_of_zero_gives_the_signal_back(tone):
    output = shifted(tone, 0.0)

    assert np.max(np.abs(output - tone)) < 1e-3


def test_the_level_of_a_tone_is_kept_within_the_decibel_that_phase_vocoders_lose(tone):
    output = shifted(tone, 1.7)[4_000:-4_000]

    assert np.sqrt(np.mean(output**2)) == pytest.approx(np.sqrt(np.mean(tone**2)), rel=0.12)


def test_what_would_pass_half_the_rate_vanishes_instead_of_folding_back():
    high = np.sin(2 * np.pi * 7_600 * np.arange(32_000) / 16_000).astype(np.float32)

    output = shifted(high, 2.0)[4_000:-4_000]

    assert 20 * np.log10(np.sqrt(np.mean(output**2)) / np.sqrt(0.5)) < -40


def test_silence_stays_silent():
    assert not np.any(shifted(np.zeros(20_000, np.float32), 1.0))


def test_speech_shifted_here_and_by_librosa_differs_by_less_than_a_hundredth(emodb_bytes):
    librosa = pytest.importorskip("librosa")
    from featurestore.signal.audio import decode

    signal = decode(emodb_bytes["03a01Fa"]).signal
    for semitones in (-2.0, 1.3):
        exact = grid_semitones(pitch_steps(semitones))
        other = librosa.effects.pitch_shift(signal, sr=16_000, n_steps=exact)
        difference = (shifted(signal, semitones) - other)[2048:-2048]
        assert np.sqrt(np.mean(difference**2) / np.mean(other**2)) < 0.015


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


def test_overlapping_adds_each_windowed_frame_a_hop_later():
    rng = np.random.default_rng(2)
    frames, window = rng.standard_normal((8, 64)).astype(np.float32), rng.random(64).astype(np.float32)
    signal = np.ones(7 * 16 + 64, np.float32)
    overlap_add(frames.T.reshape(-1).copy(), window, 16, signal)

    expected = np.ones(len(signal))
    for number, frame in enumerate(frames):
        expected[16 * number :][:64] += frame.astype(np.float64) * window
    np.testing.assert_allclose(signal, expected, atol=1e-5)
