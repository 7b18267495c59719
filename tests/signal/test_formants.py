"""Formants stay where they are where a policy says so, and move with the pitch where it says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from perturbations.sounds import engine, white
from perturbations.voices import decibels, voice

from featurestore.errors import SpecError, UnknownNameError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.signal.audio import Recording
from featurestore.signal.envelope import envelope, excited
from featurestore.signal.pitch_grid import grid_semitones, pitch_steps
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec

SEMITONES = Distribution(uniform=(-12, 12))
FEATURES = FeatureSpec(kind="waveform", rate=16_000, dtype="float32")


def vowel():
    """Return a buzz of 120 Hz with one formant at 1,000 Hz."""
    answer, (a, b) = np.zeros(32_000), (2 * 0.97 * np.cos(2 * np.pi * 1_000 / 16_000), -(0.97**2))
    for n in range(2, len(answer)):
        answer[n] = (n % 133 == 0) + a * answer[n - 1] + b * answer[n - 2]
    return (0.2 * answer).astype(np.float32)


def formant(signal):
    """Return the centre, in hertz, of the power between 500 and 2,000 Hz."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / 16_000)
    inside = (hertz > 500) & (hertz < 2_000)
    return power[inside] @ hertz[inside] / power[inside].sum()


def shifted(signal, semitones, **policy):
    own = engine(features=FEATURES, semitones=SEMITONES, **policy)
    exact = grid_semitones(pitch_steps(semitones))
    return own.waveform(own.prepare_recording(Recording(signal, 16_000)), Perturbation(semitones=exact))


@pytest.mark.parametrize("semitones", [-4.0, 4.0])
def test_a_formant_moves_with_the_pitch_or_stays(semitones):
    signal = vowel()

    moved, kept = shifted(signal, semitones), shifted(signal, semitones, formants="kept")

    assert abs(formant(moved) / formant(signal) / 2 ** (semitones / 12) - 1) < 0.03
    assert abs(formant(kept) / formant(signal) - 1) < 0.03
    assert abs(decibels(kept, signal)) < 1.5


@pytest.mark.parametrize("samples", [1, 2, 79, 500, 20_000])
def test_filters_answer_what_excites_them_with_the_recording(samples):
    for signal in (white(samples), voice()[:samples], np.zeros(samples, np.float32), np.ones(samples, np.float32)):
        found = envelope(signal, 16_000)

        np.testing.assert_allclose(excited(found.rest, found), signal, atol=1e-4)


@pytest.mark.parametrize("level", [1.0, 2.0**-15])
def test_what_excites_filters_has_less_energy_and_all_answers_are_finite(level):
    signal = (voice() * level).astype(np.float32)
    found = envelope(signal, 16_000)

    assert decibels(found.rest, signal) < -6
    for semitones in (-12.0, 12.0):
        assert np.all(np.isfinite(shifted(signal, semitones, formants="kept")))


def test_a_policy_that_does_not_speak_of_formants_has_the_form_that_it_had():
    plain, kept = AugmentationSpec(semitones=SEMITONES), AugmentationSpec(semitones=SEMITONES, formants="kept")

    assert "formants" not in plain.to_dict()
    assert kept.to_dict()["formants"] == "kept"
    assert AugmentationSpec.from_dict(kept.to_dict()) == kept
    assert "formants" not in AugmentationSpec(formants="kept").to_dict()
    with pytest.raises(UnknownNameError, match="formants"):
        AugmentationSpec(semitones=SEMITONES, formants="gone")


def test_the_torch_engine_refuses_to_keep_formants_by_name():
    spec = AugmentationSpec(semitones=SEMITONES, formants="kept")

    with pytest.raises(SpecError, match="does not do formants = kept"):
        RowSpec.current(FeatureSpec(), spec, "torch")
