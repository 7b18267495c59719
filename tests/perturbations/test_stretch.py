"""Time stretch: another duration, the same pitch, and rows of their own length."""

from __future__ import annotations

import numpy as np
import pytest
from perturbations.sounds import FEATURES, RATE, engine, perturbed, tone, white
from perturbations.voices import cents, decibels, frequency, voice

from featurestore.errors import AudioError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.signal.pitch_grid import (
    grid_semitones,
    nearest_factor,
    pitch_steps,
    stretch_steps,
    stretched_samples,
    synthesis_steps,
)
from featurestore.specs.augmentation import AugmentationSpec, Perturbation


@pytest.fixture(scope="module")
def stretching():
    return engine(stretch=Distribution(uniform=(0.25, 4)), semitones=Distribution(uniform=(-2, 2)))


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.9, 1.1, 1.25, 2.0])
def test_a_tone_stretched_by_a_factor_lasts_so_much_longer_at_the_same_pitch(stretching, factor):
    signal, exact = tone(), nearest_factor(factor, 0.25, 4)

    found = perturbed(stretching, signal, Perturbation(stretch=exact))

    assert abs(len(found) - len(signal) * exact) <= 0.5
    assert abs(exact - factor) <= 1 / 4096
    assert cents(frequency(found[2000:-2000]), 440) < 1


@pytest.mark.parametrize(("factor", "semitones"), [(0.8, 2.0), (1.25, -2.0), (1.1, 1.3)])
def test_a_stretch_and_a_pitch_shift_in_one_synthesis_give_both(stretching, factor, semitones):
    signal, exact = tone(), grid_semitones(pitch_steps(semitones))

    found = perturbed(stretching, signal, Perturbation(semitones=exact, stretch=nearest_factor(factor, 0.25, 4)))

    assert len(found) == stretched_samples(len(signal), factor)
    assert cents(frequency(found[2000:-2000]), 440 * 2 ** (exact / 12)) < 1


@pytest.mark.parametrize("factor", [0.8, 1.25, 1.5])
def test_the_parts_of_a_stretched_signal_stand_at_stretched_times(stretching, factor):
    signal, exact = np.zeros(2 * RATE, np.float32), nearest_factor(factor, 0.25, 4)
    signal[RATE : RATE + 1600] = tone(600.0, 0.1)

    found = perturbed(stretching, signal, Perturbation(stretch=exact))

    loud = np.flatnonzero(np.abs(found) > 0.25)
    assert loud[0] / RATE == pytest.approx(exact, abs=0.002)
    assert loud[-1] / RATE == pytest.approx(1.1 * exact, abs=0.01)


def test_a_stretch_by_one_gives_the_signal_back(stretching):
    signal = white(20_000)

    np.testing.assert_array_equal(perturbed(stretching, signal, Perturbation(stretch=1.0)), signal)


@pytest.mark.parametrize("factor", [0.8, 1.25, 2.0])
def test_a_stretch_keeps_the_level(stretching, factor):
    for signal in (tone(), white(40_000), voice()):
        assert abs(decibels(perturbed(stretching, signal, Perturbation(stretch=factor)), signal)) < 0.3


@pytest.mark.parametrize("samples", [1, 100, 2047, 2048, 5000])
@pytest.mark.parametrize("factor", [0.25, 0.3, 1.0, 4.0])
def test_every_stretch_has_its_length_and_finite_samples(stretching, samples, factor):
    source = stretching.prepare_recording(Recording(white(4096), RATE))
    short = type(source)(white(samples), RATE, RATE)

    for semitones in (None, grid_semitones(pitch_steps(-2.0))):
        wanted = Perturbation(semitones=semitones, stretch=nearest_factor(factor, 0.25, 4))
        found = stretching.waveform(short, wanted)
        assert len(found) == stretched_samples(samples, factor)
        assert np.all(np.isfinite(found))


def test_a_row_of_a_stretched_copy_has_the_frames_of_its_own_length(stretching):
    source = stretching.prepare_recording(Recording(white(24_000), RATE))

    assert [len(stretching.augmented(source, Perturbation(stretch=factor))) for factor in (0.5, 1.0, 2.0)] == [
        1 + (samples - 2048) // 512 for samples in (12_000, 24_000, 48_000)
    ]


def test_a_recording_whose_shortest_copy_has_no_window_is_refused_before_any_copy_is_made():
    stretching = engine(stretch=Distribution(uniform=(0.5, 1.5)))

    with pytest.raises(AudioError, match="shorter than one window: 1500 samples"):
        stretching.check(stretching.prepare_recording(Recording(white(3000), RATE)))
    stretching.check(stretching.prepare_recording(Recording(white(4096), RATE)))


def test_a_stretch_changes_no_bit_of_the_pitch_shifts_beside_it():
    plain = RowEngine(FEATURES, AugmentationSpec(semitones=Distribution(uniform=(-2, 2))))
    both = engine(semitones=Distribution(uniform=(-2, 2)), stretch=Distribution(uniform=(0.5, 2)))
    signal, wanted = white(30_000), Perturbation(semitones=grid_semitones(2299))

    expected = plain.augmented(plain.prepare_recording(Recording(signal, RATE)), wanted)
    source = both.prepare_recording(Recording(signal, RATE))
    for factor in (0.6, 1.9):
        both.augmented(source, Perturbation(stretch=nearest_factor(factor, 0.5, 2), semitones=grid_semitones(2000)))
        both.augmented(source, Perturbation(stretch=nearest_factor(factor, 0.5, 2)))
        np.testing.assert_array_equal(both.augmented(source, wanted), expected)


def test_the_grid_keeps_factors_inside_their_range():
    assert nearest_factor(0.9, 0.9, 1.1) * 2048 == 1844
    assert nearest_factor(1.1, 0.9, 1.1) * 2048 == 2252
    assert nearest_factor(0.90001, 0.90001, 0.90002) * 2048 == 1843
    assert (stretch_steps(1.5), synthesis_steps(1.5, 1024)) == (3072, 1536)
