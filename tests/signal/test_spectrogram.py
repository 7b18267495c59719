import numpy as np
import pytest

from featurestore.errors import AudioError
from featurestore.signal.fourier import RealFourier
from featurestore.signal.mel import log_mel, mel_bands, mel_triangles, power
from featurestore.signal.rounding import round_to_half
from featurestore.signal.shift import shift, shift_samples
from featurestore.signal.stft import cut_frames, frame_count, padded_window, periodic_window
from featurestore.signal.warp import unwarped_frequency, warp, warp_positions, warped_frequency
from featurestore.specs.features import FeatureSpec

PRECISIONS = [(np.float32, 2e-6), (np.float64, 2e-15)]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("length", [2, 30, 64, 128, 400, 512, 1024, 2048, 4096, 8192])
def test_transforms_agree_with_numpy_and_invert_each_other(length, dtype, tolerance):
    frames = np.random.default_rng(0).standard_normal((5, length)).astype(dtype)
    fourier = RealFourier(length, dtype)
    spectrum, back = np.full((5, 2, length // 2 + 1), np.nan, dtype), np.full_like(frames, np.nan)
    fourier.forward(frames, spectrum)
    fourier.inverse(spectrum, back)

    expected = np.fft.rfft(frames.astype(np.float64))
    scale = np.sqrt(length)
    np.testing.assert_allclose(spectrum[:, 0], expected.real, atol=tolerance * scale)
    np.testing.assert_allclose(spectrum[:, 1], expected.imag, atol=tolerance * scale)
    np.testing.assert_allclose(back, frames, atol=tolerance)


def test_a_frame_is_transformed_alike_alone_and_among_others():
    frames = np.random.default_rng(0).standard_normal((16, 2048)).astype(np.float32)
    fourier = RealFourier(2048, np.float32)
    together, alone = np.empty((16, 2, 1025), np.float32), np.empty((1, 2, 1025), np.float32)
    fourier.forward(frames, together)
    fourier.forward(frames[9:10], alone)

    np.testing.assert_array_equal(alone[0], together[9])


@pytest.mark.parametrize(("name", "start"), [("hamming", 0.08), ("hann", 0.0)])
def test_windows_are_periodic(name, start):
    window = periodic_window(name, 64)

    assert window[0] == pytest.approx(start)
    assert window[32] == pytest.approx(1.0)
    np.testing.assert_allclose(window[1:], window[:0:-1])


def test_a_short_window_stands_in_the_middle_of_the_transform():
    window = padded_window(FeatureSpec(window_length=400, hop_length=160, fft_length=512))

    assert not np.any(window[:56])
    assert not np.any(window[456:])
    np.testing.assert_array_equal(window[56:456], periodic_window("hamming", 400))


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("samples", [1, 40, 64, 200])
def test_frames_are_cut_with_silence_around_the_signal(samples, padding):
    rng = np.random.default_rng(0)
    signal, window = rng.standard_normal(samples).astype(np.float32), rng.random(64)
    frames = np.full((4, 64), np.nan)
    cut_frames(signal, np.float32(0.3), window, 1, 16, padding, frames)

    padded = np.concatenate([np.zeros(padding), signal * np.float32(0.3), np.zeros(400)])
    expected = np.stack([padded[start : start + 64] for start in (16, 32, 48, 64)]) * window
    np.testing.assert_array_equal(frames, expected)


def test_frames_are_counted_as_in_the_sources():
    assert frame_count(FeatureSpec(), 30_372) == 56
    assert frame_count(FeatureSpec(), 2048) == 1
    assert frame_count(FeatureSpec(centred=True), 1) == 1
    assert frame_count(FeatureSpec(centred=True), 16_000) == 32


@pytest.mark.parametrize(("features", "samples"), [(FeatureSpec(), 2047), (FeatureSpec(centred=True), 0)])
def test_a_signal_shorter_than_a_window_is_refused(features, samples):
    with pytest.raises(AudioError, match="shorter than one window"):
        frame_count(features, samples)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize(
    ("rate", "length", "mels", "low", "high"), [(16_000, 2048, 128, 0, 8000), (22_050, 512, 26, 50, 7000)]
)
def test_triangles_equal_those_of_librosa(scale, rate, length, mels, low, high):
    filters = pytest.importorskip("librosa").filters

    expected = filters.mel(
        sr=rate, n_fft=length, n_mels=mels, fmin=low, fmax=high, htk=scale == "htk", dtype=np.float64
    )

    np.testing.assert_allclose(mel_triangles(rate, length, mels, scale, low, high), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 5e-6)])
def test_banded_log_mel_equals_the_matrix_product(dtype, tolerance):
    rng = np.random.default_rng(0)
    spectrum = rng.standard_normal((7, 2, 1025)).astype(dtype)
    powers, rows = np.empty((7, 1025), dtype), np.empty((7, 128), np.float32)
    triangles = mel_triangles(16_000, 2048, 128, "htk", 0, 8000)
    bands = mel_bands(triangles, dtype)
    power(spectrum, powers)
    log_mel(powers, bands.first, bands.stop, bands.offset, bands.weights, 1e-10, rows)

    expected = np.log((spectrum.astype(np.float64) ** 2).sum(axis=1) @ triangles.T + 1e-10)
    np.testing.assert_allclose(rows, expected, atol=tolerance)


def test_a_band_between_two_bins_holds_eps_alone():
    bands = mel_bands(np.zeros((2, 9)), np.float64)
    rows = np.empty((1, 2), np.float32)
    log_mel(np.ones((1, 9)), bands.first, bands.stop, bands.offset, bands.weights, 1e-10, rows)

    np.testing.assert_allclose(rows, np.log(1e-10), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.9, 0.97, 1.0, 1.1])
def test_a_spectral_peak_at_f_moves_to_g_of_f(alpha):
    bins = np.arange(1025.0)
    for peak in (100, 400, 800, 920, 1000):
        powers = np.exp(-0.5 * ((bins - peak) / 4) ** 2)[None, :]
        warped = np.empty_like(powers)
        warp(powers, *warp_positions(1025, alpha, 0.9), warped)

        moved = warped_frequency(np.array([float(peak)]), alpha, 0.9 * 1024, 1024.0)[0]
        assert np.argmax(warped) == pytest.approx(moved, abs=0.51)


@pytest.mark.parametrize("alpha", [0.5, 0.9, 1.0, 1.1])
def test_the_warp_keeps_both_ends_and_can_be_undone(alpha):
    frequency = np.linspace(0, 8000, 801)

    warped = warped_frequency(frequency, alpha, 7200, 8000)

    assert warped[0] == 0
    assert warped[-1] == pytest.approx(8000)
    assert warped[720] == pytest.approx(alpha * 7200)
    np.testing.assert_allclose(unwarped_frequency(warped, alpha, 7200, 8000), frequency, atol=1e-9)


def test_a_warp_by_one_changes_nothing():
    powers, warped = np.random.default_rng(0).random((3, 513)), np.empty((3, 513))
    warp(powers, *warp_positions(513, 1.0, 0.9), warped)

    np.testing.assert_allclose(warped, powers, rtol=1e-12)


@pytest.mark.parametrize("seconds", [-0.3, -0.01, 0.0, 0.2])
@pytest.mark.parametrize("circular", [False, True])
def test_a_shift_of_t_seconds_moves_an_impulse_by_t(seconds, circular):
    signal, moved = np.zeros(16_000, np.float32), np.full(16_000, np.nan, np.float32)
    signal[8_000] = 1
    shift(signal, shift_samples(seconds, 16_000, len(signal)), circular, moved)

    assert np.flatnonzero(moved).tolist() == [8_000 + round(seconds * 16_000)]


@pytest.mark.parametrize("by", [-3, 0, 3])
def test_a_shift_uncovers_silence_or_comes_round(by):
    signal, moved = np.arange(1, 11, dtype=np.float32), np.empty(10, np.float32)
    shift(signal, by, True, moved)
    np.testing.assert_array_equal(moved, np.roll(signal, by))

    shift(signal, by, False, moved)
    uncovered = moved[:by] if by > 0 else moved[len(moved) + by :]
    assert not np.any(uncovered)
    assert np.count_nonzero(moved) == 10 - abs(by)


@pytest.mark.parametrize("seconds", [-5.0, 5.0])
def test_a_shift_is_at_most_half_the_signal(seconds):
    assert abs(shift_samples(seconds, 16_000, 1000)) == 500


def test_rounding_to_half_equals_numpy_on_all_halves_their_midpoints_and_random_floats():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.sort(halves[np.isfinite(halves)])
    middles = ((finite[1:].astype(np.float64) + finite[:-1]) / 2).astype(np.float32)
    random = np.random.default_rng(0).integers(0, 2**32, 1_000_000, dtype=np.uint32).view(np.float32)
    steps = [np.nextafter(middles, np.float32(sign * np.inf)) for sign in (-1, 1)]
    values = np.concatenate([halves, middles, *steps, random])
    rounded = np.empty(len(values), np.uint16)
    round_to_half(values, rounded)

    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(rounded[numbers], expected.view(np.uint16)[numbers])
    assert np.all(np.isnan(rounded.view(np.float16)[~numbers]))
