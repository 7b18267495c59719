import numpy as np
import pytest
from scipy import stats

from featurestore.signal.kernels.elementary import natural_log
from featurestore.signal.kernels.level import energy
from featurestore.signal.noise import add_scaled, key_words, noise_gain, philox, philox_block, standard_normal

KNOWN_ANSWERS = [
    ([0] * 6, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 6, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.fixture(scope="module")
def normal():
    noise = np.empty(4_000_000, np.float32)
    total = standard_normal(key_words(77 << 40 | 5), noise)
    return noise, total


@pytest.mark.parametrize(("words", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(words, expected):
    assert list(philox_block(*(np.uint64(word) for word in words))) == expected


def test_a_column_of_words_belongs_to_its_counter():
    words = np.zeros((4, 10), np.int32)
    philox(5, key_words(9 << 32 | 3), words)

    single = philox_block(*(np.uint64(word) for word in (8, 0, 0, 0, 3, 9)))

    assert words[:, 3].view(np.uint32).tolist() == list(single)


def test_noise_is_standard_normal(normal):
    noise = normal[0].astype(np.float64)
    count = len(noise)

    assert abs(noise.mean()) < 4 / np.sqrt(count)
    assert abs(noise.std() - 1) < 4 / np.sqrt(2 * count)
    assert abs(stats.skew(noise)) < 4 * np.sqrt(6 / count)
    assert abs(stats.kurtosis(noise)) < 4 * np.sqrt(24 / count)
    assert stats.kstest(noise[:500_000], "norm").pvalue > 1e-3


def test_the_tails_of_the_noise_are_as_heavy_as_they_should_be(normal):
    for limit in (3.0, 4.0, 4.5):
        expected = 2 * stats.norm.sf(limit) * len(normal[0])
        found = np.count_nonzero(np.abs(normal[0]) > limit)
        assert abs(found - expected) < 5 * np.sqrt(expected)


@pytest.mark.parametrize("lag", [1, 2, 3, 255, 256, 512, 768, 1024])
def test_the_noise_is_white(normal, lag):
    noise = normal[0].astype(np.float64)

    assert abs(np.mean(noise[lag:] * noise[:-lag])) < 4 / np.sqrt(len(noise))


def test_noise_matches_the_formula_in_float64():
    noise = np.empty(1024, np.float32)
    standard_normal(key_words(123456789123), noise)
    words = np.zeros((4, 256), np.int32)
    philox(0, key_words(123456789123), words)

    for pair in (0, 2):
        uniform = ((words[pair] & 0x7FFFFFFF) + 0.5) / 2**31
        angle = 2 * np.pi * words[pair + 1] / 2**32
        radius = np.sqrt(-2 * np.log(uniform))
        np.testing.assert_allclose(noise[256 * pair : 256 * pair + 256], radius * np.cos(angle), atol=5e-6)
        np.testing.assert_allclose(noise[256 * pair + 256 : 256 * pair + 512], radius * np.sin(angle), atol=5e-6)


def test_a_longer_noise_begins_with_the_shorter_one():
    short, long = np.empty(1500, np.float32), np.empty(9000, np.float32)
    standard_normal(key_words(4), short)
    standard_normal(key_words(4), long)

    # Blocks of 1024 are written plane by plane, so the order within them does not depend on the length.
    np.testing.assert_array_equal(short, long[:1500])


def test_keys_give_unrelated_noise():
    noises = [np.empty(100_000, np.float32) for _ in range(3)]
    for key, noise in zip((1, 2, 1 << 32), noises, strict=True):
        standard_normal(key_words(key), noise)

    assert np.max(np.abs(np.corrcoef(noises) - np.eye(3))) < 4 / np.sqrt(100_000)


def test_the_sum_of_squares_is_that_of_the_noise(normal):
    assert normal[1] == pytest.approx(np.sum(normal[0].astype(np.float64) ** 2), rel=1e-6)


@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 17.3, 40.0, 60.0])
def test_the_measured_ratio_lies_within_a_hundredth_of_a_decibel(tone, snr_db):
    noisy = np.empty_like(tone)
    noise_energy = standard_normal(key_words(6), noisy)
    largest = add_scaled(tone, noisy, noise_gain(energy(tone), noise_energy, snr_db))

    noise = noisy.astype(np.float64) - tone
    measured = 10 * np.log10(np.sum(tone.astype(np.float64) ** 2) / np.sum(noise**2))
    assert abs(measured - snr_db) < 0.01
    assert largest == np.max(np.abs(noisy))


def test_the_logarithm_is_good_to_a_few_units_in_the_last_place():
    values = np.exp(np.random.default_rng(0).uniform(-80, 80, 20_000)).astype(np.float32)

    found = np.array([natural_log(value) for value in values])

    exact = np.log(values.astype(np.float64))
    assert np.max(np.abs(found - exact) / np.maximum(np.abs(exact), 1)) < 3e-7
    assert natural_log(np.float32(1)) == 0
