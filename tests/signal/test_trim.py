"""Silence trimming: librosa's rule, declared in the spec, and in no address where it is not used."""

import dataclasses

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.errors import SpecError
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.signal.timing import sounding
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import override
from featurestore.specs.row_spec import RowSpec


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(1, 40_000),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    quiet=st.tuples(st.integers(-100, 0), st.integers(-100, 0)),
    decibels=st.sampled_from([10, 20, 30, 40, 60, 80]),
    seed=st.integers(0, 100),
)
def test_trimming_cuts_where_librosa_cuts(samples, cuts, quiet, decibels, seed):
    signal = 0.3 * np.random.default_rng(seed).standard_normal(samples)
    first, last = (int(cut * samples) for cut in sorted(cuts))
    signal[:first] *= 10 ** (quiet[0] / 20)
    signal[last:] *= 10 ** (quiet[1] / 20)

    expected, _ = librosa.effects.trim(signal.astype(np.float32), top_db=decibels)

    found = signal.astype(np.float32)
    np.testing.assert_array_equal(found[sounding(found, decibels)], expected)


def test_of_a_silent_signal_nothing_is_cut():
    assert sounding(np.zeros(5_000, np.float32), 60) == slice(0, 5_000)


def test_a_trimmed_row_is_the_row_of_the_trimmed_recording():
    rng = np.random.default_rng(0)
    signal = np.concatenate([np.zeros(16_384), 0.1 * rng.standard_normal(16_000), np.zeros(9_000)]).astype(np.float32)
    plain, trimming = FeatureSpec(), FeatureSpec(trim_db=40)
    cut, _ = librosa.effects.trim(signal, top_db=40)
    engines = [RowEngine(plain), RowEngine(trimming)]

    expected = engines[0].clean(engines[0].prepare_recording(Recording(cut, 16_000)))
    found = engines[1].clean(engines[1].prepare_recording(Recording(signal, 16_000)))

    assert len(cut) < 20_000
    np.testing.assert_array_equal(found, expected)


def test_a_spec_without_trimming_has_the_address_that_it_had_before_there_was_any():
    assert "trim_db" not in RowSpec.current(FeatureSpec(), None).document["features"]
    assert "trim" not in dict(RowSpec.current(FeatureSpec(), None).versions)


def test_trimming_stands_in_the_address_with_its_own_version():
    spec = RowSpec.current(FeatureSpec(trim_db=30), None)

    assert spec.document["features"]["trim_db"] == 30.0
    assert dict(spec.versions)["trim"] == 2
    assert spec.id != RowSpec.current(FeatureSpec(), None).id
    assert RowSpec.from_document(spec.document).id == spec.id


def test_trimming_is_set_and_unset_on_the_command_line():
    features, _ = override(FeatureSpec(), None, ["trim_db=35"])

    assert features == dataclasses.replace(FeatureSpec(), trim_db=35.0)
    assert override(features, None, ["trim_db=none"])[0] == FeatureSpec()


@pytest.mark.parametrize("value", [0, -10, 201, float("nan")])
def test_a_threshold_that_makes_no_sense_is_refused(value):
    with pytest.raises(SpecError, match="trim_db"):
        FeatureSpec(trim_db=value)
