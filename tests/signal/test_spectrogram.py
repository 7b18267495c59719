import numpy as np
import pytest

from featurestore.errors import AudioError
from featurestore.signal.kernels.fourier import fourier_tables, is_power_of_two, power_spectra, scipy_power_spectra
from featurestore.signal.kernels.rounding import round_to_half
from featurestore.signal.log_power import log_mel, log_mel_power, mel_bands
from featurestore.signal.mel import mel_triangles
from featurestore.signal.spectrum import (
    cut_frames,
    frame_count,
    padded_length,
    padded_window,
    periodic_window,
    unwarped_frequency,
    warp,
    warp_positions,
    warped_frequency,
)
from featurestore.signal.timing import shift
from featurestore.specs.features import FeatureSpec

PRECISIONS = [(np.float32, 2e-6), (np.float64, 2e-15)]
LENGTHS = [8, 16, 64, 128, 512, 1024, 2048, 4096, 8192]


def powers_of(frames):
    length, dtype = len(frames), frames.dtype.type
    powers = np.full((length // 2 + 1) * 8, np.nan, dtype)
    if is_power_of_two(length):
        power_spectra(frames.reshape(-1).copy(), fourier_tables(length, dtype), powers)
    else:
        scipy_power_spectra(frames.reshape(-1).copy(), length, powers)
    return powers.reshape(-1, 8)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("length", [2, 30, 400, *LENGTHS])
def test_power_spectra_agree_with_numpy(length, dtype, tolerance):
    frames = np.random.default_rng(0).standard_normal((length, 8)).astype(dtype)

    expected = np.abs(np.fft.rfft(frames.astype(np.float64), axis=0)) ** 2
    np.testing.assert_allclose(powers_of(frames), expected, atol=tolerance * expected.max())


def test_a_frame_is_transformed_alike_in_every_lane_and_among_any_others():
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((2048, 8)).astype(np.float32)
    powers = powers_of(frames)
    for lane in (1, 7):
        turned = rng.standard_normal((2048, 8)).astype(np.float32)
        turned[:, lane] = frames[:, 0]
        np.testing.assert_array_equal(powers_of(turned)[:, lane], powers[:, 0])


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


@pytest.mark.parametrize(("length", "hop"), [(64, 16), (30, 7), (8, 1)])
def test_frames_are_cut_at_their_places_and_windowed(length, hop):
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(5 + padded_length(8, hop, length)).astype(np.float32)
    window, frames = rng.random(length), np.full(length * 8, np.nan)
    cut_frames(signal, 5, hop, window, frames)

    expected = np.stack([signal[5 + lane * hop :][:length] * window for lane in range(8)], axis=1)
    np.testing.assert_array_equal(frames.reshape(length, 8), expected)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("samples", [2048, 2049, 6143, 30_372])
@pytest.mark.parametrize(("length", "hop", "mels"), [(2048, 512, 128), (400, 160, 26)])
def test_the_spectrogram_of_a_signal_is_that_of_its_zero_padded_frames(centred, samples, length, hop, mels):
    features = FeatureSpec(fft_length=length, window_length=length, hop_length=hop, mels=mels, centred=centred)
    signal = np.random.default_rng(1).standard_normal(samples).astype(np.float32)
    count, margin = frame_count(features, samples), np.zeros(length // 2 if centred else 0)
    padded = np.concatenate([margin, signal * np.float32(0.3), np.zeros(length)])
    framed = np.stack([padded[hop * frame :][:length] for frame in range(count)]) * padded_window(features)
    triangles = mel_triangles(16_000, length, mels, features.mel_scale, features.low_hz, 8000)
    expected = np.log(np.abs(np.fft.rfft(framed)) ** 2 @ triangles.T + features.eps)

    for precision in (np.float32, np.float64):
        rows = log_mel_power(features, 16_000)(signal, np.float32(0.3), precision, None)
        np.testing.assert_allclose(rows, expected, atol=2e-5)


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
@pytest.mark.parametrize("mels", [128, 26])
def test_banded_log_mel_equals_the_matrix_product(dtype, tolerance, mels):
    powers = np.random.default_rng(0).random((1025, 8)).astype(dtype)
    triangles = mel_triangles(16_000, 2048, mels, "htk", 0, 8000)
    rows = np.full(9 * mels, np.nan, np.float32)
    log_mel(powers.reshape(-1), mel_bands(triangles, dtype), 1e-10, np.empty(mels * 8, np.float32), rows, mels)

    expected = np.log(triangles @ powers.astype(np.float64) + 1e-10).T
    np.testing.assert_allclose(rows[mels:].reshape(8, mels), expected, atol=tolerance)
    assert np.all(np.isnan(rows[:mels]))


def test_a_band_between_two_bins_holds_eps_alone():
    rows = np.empty(16, np.float32)
    log_mel(np.ones(9 * 8), mel_bands(np.zeros((2, 9)), np.float64), 1e-10, np.empty(16, np.float32), rows, 0)

    np.testing.assert_allclose(rows, np.log(1e-10), rtol=1e-6)


def warped_spectrum(powers, alpha):
    below, share = warp_positions(len(powers), alpha, 0.9)
    warped = np.full(powers.size, np.nan)
    warp(powers.reshape(-1), below, share, warped)
    return warped.reshape(powers.shape)


@pytest.mark.parametrize("alpha", [0.9, 0.97, 1.0, 1.1])
def test_a_spectral_peak_at_f_moves_to_g_of_f(alpha):
    peaks = np.array([100, 400, 800, 920, 1000, 50, 600, 700])
    powers = np.exp(-0.5 * ((np.arange(1025.0)[:, None] - peaks) / 4) ** 2)

    moved = warped_frequency(peaks.astype(float), alpha, 0.9 * 1024, 1024.0)
    np.testing.assert_allclose(np.argmax(warped_spectrum(powers, alpha), axis=0), moved, atol=0.51)


@pytest.mark.parametrize("alpha", [0.5, 0.9, 1.0, 1.1])
def test_the_warp_keeps_both_ends_and_can_be_undone(alpha):
    frequency = np.linspace(0, 8000, 801)

    warped = warped_frequency(frequency, alpha, 7200, 8000)

    assert warped[0] == 0
    assert warped[-1] == pytest.approx(8000)
    assert warped[720] == pytest.approx(alpha * 7200)
    np.testing.assert_allclose(unwarped_frequency(warped, alpha, 7200, 8000), frequency, atol=1e-9)


def test_a_warp_by_one_changes_nothing():
    powers = np.random.default_rng(0).random((513, 8))

    np.testing.assert_allclose(warped_spectrum(powers, 1.0), powers, rtol=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.5, 0.9, 1.1])
@pytest.mark.parametrize("fmax", [1024.0, 512.0, 300.7])
def test_a_warp_up_to_a_cut_off_rises_everywhere_and_leaves_in_place_what_lies_above(share, alpha, fmax):
    below, between = warp_positions(1025, alpha, share, fmax)

    origin = below + between
    assert np.all(np.diff(origin) > 0)
    assert origin[0] == 0
    np.testing.assert_array_equal(origin[int(np.ceil(fmax)) :], np.arange(1025.0)[int(np.ceil(fmax)) :])
    assert warped_frequency(origin[100:101], alpha, share * fmax, fmax) == pytest.approx([100])


@pytest.mark.parametrize("seconds", [-0.3, -0.01, 0.0, 0.2])
@pytest.mark.parametrize("circular", [False, True])
def test_a_shift_of_t_seconds_moves_an_impulse_by_t(seconds, circular):
    signal, moved = np.zeros(16_000, np.float32), np.full(16_000, np.nan, np.float32)
    signal[8_000] = 1
    shift(signal, round(seconds * 16_000), circular, moved)

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


@pytest.mark.parametrize("by", [-2500, -1000, 1000, 2500])
def test_a_shift_beyond_the_signal_leaves_silence_or_goes_round(by):
    signal, moved = np.arange(1000, dtype=np.float32), np.full(1000, np.nan, np.float32)

    shift(signal, by, False, moved)
    assert not moved.any()
    shift(signal, by, True, moved)
    np.testing.assert_array_equal(moved, np.roll(signal, by))


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
