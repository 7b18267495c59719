"""Splices lie where the definition puts them, and between them the recording is left as it is."""

import numpy as np
import pytest
from perturbations.voices import voice
from spliced_in_numpy import best_lag, likeness, spliced

from featurestore.signal.splices import FADE, NEVER, lengthen, plan, resemblance

RATIOS = [512, 1638, 1825, 2299, 2560, 8192]


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def sounds():
    steps = np.repeat(noise(40), 100)
    return {"voice": voice(seconds=0.4), "noise": noise(4_000), "steps": steps, "silence": np.zeros(900, np.float32)}


@pytest.mark.parametrize("name", sounds())
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000])
def test_the_best_lags_are_those_of_the_definition(name, rate):
    signal = sounds()[name]
    block, expected = likeness(signal, rate)

    found = resemblance(signal, rate)

    assert found.block == block
    for ahead, table in enumerate((found.backward, found.forward)):
        for place in range(0, len(table), 3):
            for limit in (4, 7, 18, 32):
                alike, lag = best_lag(expected, block, place, limit, ahead)
                packed = int(table[place, limit])
                assert (packed & 0xFFFF, (packed >> 16) - 8192) == (lag, alike)
    assert not found.backward[:, :4].any()


@pytest.mark.parametrize("steps", RATIOS)
def test_a_longer_signal_is_the_recording_with_its_jumps_sample_by_sample(steps):
    for signal in (voice(seconds=1.0), noise(9_000)):
        similar, length = resemblance(signal, 16_000), len(signal) * steps // 2048

        found = lengthen(signal, similar, steps, length, lead=5)

        expected = spliced(signal, plan(similar, steps, length), FADE * similar.block, length)
        assert not found[:5].any()
        np.testing.assert_allclose(found[5:], expected, atol=1e-6)


@pytest.mark.parametrize("steps", RATIOS)
def test_time_is_made_up_as_it_is_lost_and_fades_never_overlap(steps):
    signal = voice(seconds=2.0)
    similar, length = resemblance(signal, 16_000), len(signal) * steps // 2048

    middles, jumps, alike = plan(similar, steps, length).T

    due = middles - np.round(middles * 2048 / steps)
    assert np.all(np.diff(middles) >= FADE * similar.block)
    assert np.all(np.abs(alike) <= 8192)
    if 0.75 < steps / 2048 < 1.5:
        assert np.max(np.abs(due - np.cumsum(jumps))) <= 0.016 * 16_000
    assert abs(due[-1] - np.sum(jumps)) <= 0.05 * 16_000 * max(1, 2048 / steps)


def test_no_sound_that_begins_is_heard_twice_or_left_out():
    signal = np.zeros(32_000, np.float32)
    clicks = np.arange(800, 31_000, 1_111)
    signal[clicks] = 0.9
    similar = resemblance(signal, 16_000)

    for steps in (1638, 1825, 2047, 2049, 2299, 2560):
        found = lengthen(signal, similar, steps, len(signal) * steps // 2048)
        heard = np.flatnonzero(found)
        assert len(heard) == len(clicks)
        np.testing.assert_allclose(found[heard], 0.9, atol=1e-6)
        assert np.max(np.abs(heard - clicks * steps / 2048)) < 0.002 * 16_000


def test_onsets_are_found_in_the_block_where_they_are():
    signal = np.zeros(16_000, np.float32)
    signal[8_000:] = voice(seconds=0.5)

    next_onset = resemblance(signal, 16_000).next_onset

    assert next_onset[0] == 250
    assert resemblance(np.zeros(500, np.float32), 16_000).next_onset.min() == NEVER


def test_a_factor_of_one_gives_the_signal_back_and_what_is_returned_is_the_callers():
    signal = voice(seconds=0.5)
    similar = resemblance(signal, 16_000)
    first = lengthen(signal, similar, 2299, 9_000)
    kept = first.copy()

    np.testing.assert_array_equal(lengthen(signal, similar, 2048, len(signal)), signal)
    lengthen(noise(9_000), resemblance(noise(9_000), 16_000), 1825, 9_000)
    np.testing.assert_array_equal(first, kept)


def test_a_recordings_level_moves_no_splice():
    signal = voice(seconds=1.0)
    similar = [resemblance(signal * np.float32(gain), 16_000) for gain in (1.0, 2.0**-9, 2.0**4)]

    for other in similar[1:]:
        np.testing.assert_array_equal(plan(other, 2299, 17_000), plan(similar[0], 2299, 17_000))
