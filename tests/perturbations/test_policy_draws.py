"""What policies draw: distributions, sharing between files, and the presets of system C."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from featurestore.checksummed_json import digest
from featurestore.errors import SpecError, UnknownNameError
from featurestore.perturbations.policy_tables import Distribution, OwnPerturbation, Recordings
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.signal.spectrum import warped_frequency
from featurestore.specs.augmentation import AugmentationSpec, draw
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import override, policy, preset_names

NOISES = Recordings(tuple(f"{number:064x}" for number in range(10, 17)))
RIRS = Recordings(tuple(f"{number:064x}" for number in range(30, 35)))
POLICY = AugmentationSpec(
    stretch=Distribution(0.5, (0.8, 1.25)),
    gain_db=Distribution(1.0, (-6, 3)),
    recorded_snr_db=Distribution(0.8, (0, 30)),
    noises=NOISES,
    reverb=Distribution(0.3, (0.2, 1)),
    rirs=RIRS,
    own=(OwnPerturbation("voices:telephone", 1, probability=0.25), OwnPerturbation("voices:telephone", 2)),
)
CONTENTS = [f"{number:064x}" for number in range(100)]
GOLDEN_OWN = "[[null, 10969708798274559500], [602328652918980340, 7821658470523566431]]"
GOLDEN = (
    0.89599609375,
    2.7675247154331313,
    29.053181730579283,
    0.5282599380804138,
    f"{11:064x}",
    0.7631822775250457,
    f"{33:064x}",
)
PINNED = {
    "mathworks": "cbf39a6e251ba70354fefa8e4b656f03368fc47d5f876f09e0ead437763d1bc8",
    "vtlp": "d506dacc0fc349fe394e1a7e910dde3d4ae5462c8e1114e29c51de9cb139b488",
}


@pytest.fixture(scope="module")
def many():
    return [draw(POLICY, content, copy) for content in CONTENTS for copy in range(1, 51)]


def drawn(many, name):
    return np.array([value for value in (getattr(one, name) for one in many) if value is not None])


@pytest.mark.parametrize(
    ("name", "low", "high", "probability"),
    [
        ("stretch", 0.8, 1.25, 0.5),
        ("gain_db", -6, 3, 1.0),
        ("recorded_snr_db", 0, 30, 0.8),
        ("reverb", 0.2, 1, 0.3),
        ("noise_position", 0, 1, 1.0),
    ],
)
def test_values_are_uniform_over_their_range_and_as_frequent_as_asked(many, name, low, high, probability):
    if name == "noise_position":
        many = [one for one in many if one.noise is not None]
    values = drawn(many, name)

    assert low <= values.min() <= values.max() <= high
    assert stats.kstest(values, "uniform", args=(low, high - low)).pvalue > 1e-3
    assert abs(len(values) / len(many) - probability) <= 4 * np.sqrt(probability * (1 - probability) / len(many))


@pytest.mark.parametrize(("name", "recordings"), [("noise", NOISES), ("rir", RIRS)])
def test_every_recording_is_drawn_equally_often(many, name, recordings):
    found = drawn(many, name).tolist()
    counts = [found.count(content) for content in recordings.contents]

    assert sum(counts) == len(found)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_every_stretch_is_recorded_as_applied(many):
    assert np.all(drawn(many, "stretch") * 2048 % 1 == 0)


def test_the_draws_of_different_perturbations_are_uncorrelated(many):
    whole = [one for one in many if one.recorded_snr_db is not None]
    columns = np.array(
        [
            (one.gain_db, one.recorded_snr_db, one.noise_position, NOISES.contents.index(one.noise or ""))
            for one in whole
        ]
    )

    off = np.corrcoef(columns.T) - np.eye(4)
    assert np.abs(off).max() < 4.5 / np.sqrt(len(whole))


def test_keys_of_own_functions_are_distinct_and_as_frequent_as_asked(many):
    first = [one.own[0] for one in many if one.own[0] is not None]
    second = [one.own[1] for one in many]

    assert abs(len(first) / len(many) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(many))
    assert len({*first, *second}) == len(first) + len(many)


def test_golden_draws_of_the_new_perturbations_never_change():
    assert json.dumps([draw(POLICY, "0" * 64, copy).own for copy in (1, 2)]) == GOLDEN_OWN
    found = draw(POLICY, "f" * 64, 4)
    assert (found.stretch, found.gain_db, found.recorded_snr_db, found.reverb) == GOLDEN[:4]
    assert (found.noise, found.noise_position, found.rir) == GOLDEN[4:]


def test_a_recording_drawn_for_each_copy_is_shared_by_all_files():
    spec = AugmentationSpec(reverb=Distribution(listed=(1,)), rirs=Recordings(RIRS.contents, per="copy"))

    rooms = {copy: {draw(spec, content, copy).rir for content in CONTENTS} for copy in range(1, 30)}

    assert all(len(found) == 1 for found in rooms.values())
    assert set.union(*rooms.values()) == set(RIRS.contents)


def test_recordings_in_turn_follow_the_copy_index():
    spec = AugmentationSpec(reverb=Distribution(listed=(1,)), rirs=Recordings(RIRS.contents, per="turn"))

    assert [draw(spec, CONTENTS[0], copy).rir for copy in range(1, 12)] == [
        *RIRS.contents,
        *RIRS.contents,
        RIRS.contents[0],
    ]


def test_a_perturbation_added_to_a_policy_leaves_the_draws_of_the_others():
    more = AugmentationSpec.from_dict(POLICY.to_dict() | {"snr_db": {"uniform": [0, 1]}})
    before, after = draw(POLICY, CONTENTS[0], 1), draw(more, CONTENTS[0], 1)

    assert (after.stretch, after.gain_db, after.noise) == (before.stretch, before.gain_db, before.noise)
    assert after.snr_db is not None


def test_a_policy_survives_its_canonical_form():
    again = AugmentationSpec.from_dict(json.loads(json.dumps(POLICY.to_dict())))

    assert again == POLICY
    assert hash(again) == hash(POLICY)


@pytest.mark.parametrize("name", PINNED)
def test_the_canonical_form_of_a_preset_never_changes(name):
    assert digest(policy(name).to_dict()) == PINNED[name]


def test_every_preset_can_be_drawn_from():
    assert {"mathworks", "vtlp", "vtlp-copy", "vtlp-eleven"} <= set(preset_names("policies"))
    assert all(draw(policy(name), CONTENTS[0], 1) for name in preset_names("policies"))


def test_etienne_strategy_1_warps_all_files_of_a_copy_by_one_factor():
    spec = policy("vtlp-copy")
    factors = [{draw(spec, content, copy).vtlp_alpha for content in CONTENTS} for copy in range(1, 201)]

    assert all(len(found) == 1 for found in factors)
    values = [next(iter(found)) for found in factors]
    assert stats.kstest(values, "uniform", args=(0.9, 0.2)).pvalue > 1e-3


def test_etienne_strategy_2_warps_each_row_by_a_factor_of_its_own():
    spec = policy("vtlp")
    values = [draw(spec, content, copy).vtlp_alpha for content in CONTENTS for copy in (1, 2)]

    assert len(set(values)) == len(values)
    assert stats.kstest(values, "uniform", args=(0.9, 0.2)).pvalue > 1e-3


def test_etienne_evaluation_warps_copies_1_to_11_of_each_file_by_the_listed_factors():
    spec = policy("vtlp-eleven")

    for content in CONTENTS[:3]:
        found = [draw(spec, content, copy).vtlp_alpha for copy in range(1, 12)]
        np.testing.assert_allclose(found, np.arange(90, 111, 2) / 100, rtol=1e-15)


@pytest.mark.parametrize("alpha", [0.9, 0.98, 1.0, 1.1])
def test_etienne_equation_1_is_alpha_f_up_to_f0_and_above_the_straight_line_that_ends_at_fmax(alpha):
    f0, fmax = 0.9 * 8000, 8000.0
    below, above = np.linspace(0, f0, 37), np.linspace(f0, fmax, 37)

    np.testing.assert_allclose(warped_frequency(below, alpha, f0, fmax), alpha * below, rtol=1e-12)
    line = alpha * f0 + (above - f0) * (fmax - alpha * f0) / (fmax - f0)
    np.testing.assert_allclose(warped_frequency(above, alpha, f0, fmax), line, rtol=1e-12)
    assert warped_frequency(np.array(fmax), alpha, f0, fmax) == pytest.approx(fmax)


@pytest.mark.parametrize("copy", [1, 6, 11])
def test_etienne_equation_1_moves_a_tone_of_a_row_to_g_of_f(copy):
    spec = policy("vtlp-eleven")
    features = FeatureSpec(mels=512, fft_length=8192, window_length=8192, window="hann", dtype="float32")
    own = RowEngine(features, spec)
    wanted = draw(spec, CONTENTS[0], copy)
    hertz, rate = 2500.0, 16_000
    signal = (0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32)

    row = own.augmented(own.prepare_recording(Recording(signal, rate)), wanted)

    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 514) / 2595) - 1)
    expected = warped_frequency(np.array(hertz), wanted.vtlp_alpha, 7200, 8000)
    assert abs(edges[np.argmax(row[0]) + 1] - expected) < 12


@pytest.mark.parametrize(
    ("settings", "name", "values"),
    [
        (["stretch=0.9,1.1"], "stretch", (0.9, 1.1)),
        (["stretch=1.5"], "stretch", (1.5,)),
        (["gain_db=-6,6", "gain_db.per=copy"], "gain_db", (-6, 6)),
        (["recorded_snr_db.listed=0,5,10"], "recorded_snr_db", (0, 5, 10)),
        (["reverb.probability=0.3"], "reverb", (1.0,)),
        (["reverb=0.2,0.8", "reverb.probability=0.3"], "reverb", (0.2, 0.8)),
    ],
)
def test_settings_change_one_field(settings, name, values):
    _, found = override(FeatureSpec(), None, settings)

    assert getattr(found, name).values == values
    assert list(found.distributions) == [name]


def test_settings_name_the_place_of_recordings():
    _, found = override(FeatureSpec(), POLICY, ["noises=elsewhere", "noises.files=*.flac", "noises.per=copy"])

    assert found.noises == Recordings(source="elsewhere", files="*.flac", per="copy")
    _, found = override(FeatureSpec(), found, ["noises.corpus=musan"])
    assert (found.noises.source, found.noises.corpus) == ("", "musan")
    assert override(FeatureSpec(), POLICY, ["noises=none"])[1].noises is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"stretch": {"uniform": [0.1, 1]}}, "stretch must lie within 0.25 and 4, not 0.1"),
        ({"reverb": {"uniform": [0.1, 1.5]}}, "reverb must lie within 0 and 1"),
        ({"gain_db": 3}, "gain_db must be a table with 'uniform' or 'listed'"),
        ({"noises": "folder"}, "noises must be a table with 'source' or 'corpus'"),
        ({"noises": {"source": "a", "corpus": "b"}}, "either 'source' or 'corpus'"),
        ({"noises": {"contents": ["abc"]}}, "named by its sha256, not 'abc'"),
        ({"own": {"function": "a:b"}}, "a list of tables"),
        ({"own": [{"function": "a.b", "version": 1}]}, "'module:function', not 'a.b'"),
        ({"own": [{"function": "a:b", "version": 0}]}, "a whole number from 1 on"),
        ({"own": [{"function": "a:b", "version": 1, "probability": 2}]}, "within 0 and 1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_an_error_that_says_why(document, reason):
    with pytest.raises(SpecError, match=reason):
        AugmentationSpec.from_dict(document)


@pytest.mark.parametrize(
    "document", [{"noises": {"folder": "a"}}, {"strech": {"uniform": [1, 2]}}, {"own": [{"f": 1}]}]
)
def test_an_unknown_field_of_a_policy_is_named(document):
    with pytest.raises(UnknownNameError):
        AugmentationSpec.from_dict(document)


def test_a_policy_without_its_recordings_has_no_canonical_form():
    with pytest.raises(SpecError, match="names no noises"):
        AugmentationSpec(recorded_snr_db=Distribution(listed=(1,))).to_dict()
    unread = AugmentationSpec(recorded_snr_db=Distribution(listed=(1,)), noises=Recordings(source="somewhere"))
    with pytest.raises(SpecError, match="'somewhere' have not been read"):
        unread.to_dict()
    with pytest.raises(SpecError, match="have not been read"):
        draw(unread, CONTENTS[0], 1)


def test_recordings_that_no_perturbation_takes_in_are_in_no_address():
    assert AugmentationSpec(noises=NOISES).to_dict() == AugmentationSpec().to_dict()


def test_the_mean_duration_of_copies_follows_the_stretch():
    assert AugmentationSpec().mean_duration == 1
    assert POLICY.mean_duration == pytest.approx(1 + 0.5 * 0.025)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"gain_db": {"uniform": [-0.0, 3]}}, {"gain_db": {"uniform": [0.0, 3.0]}}),
        ({"gain_db": {"listed": [-0.0]}}, {"gain_db": {"listed": [0]}}),
        ({"gain_db": {"listed": [1], "probability": -0.0}}, {"gain_db": {"listed": [1], "probability": 0}}),
        ({"seed": 3.0}, {"seed": 3}),
        ({"own": [{"function": "a:b", "version": 2.0}]}, {"own": [{"function": "a:b", "version": 2}]}),
    ],
)
def test_a_policy_that_means_the_same_has_the_same_canonical_form(given, kept):
    first, second = AugmentationSpec.from_dict(given), AugmentationSpec.from_dict(kept)

    assert digest(first.to_dict()) == digest(second.to_dict())


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"seed": True}, "seed must be a whole number, not True"),
        ({"vtlp_f0": "0.9"}, "vtlp_f0 must be a number, not '0.9'"),
        ({"gain_db": {"uniform": "12"}}, "uniform must be a list, not '12'"),
        ({"gain_db": {"uniform": [1, 2, 3]}}, r"uniform must be \[low, high\], not \[1.0, 2.0, 3.0\]"),
        ({"gain_db": {"uniform": [False, 3]}}, "uniform: each value must be a number, not False"),
        ({"gain_db": {"listed": 5}}, "listed must be a list, not 5"),
        ({"gain_db": {"listed": ["loud"]}}, "listed: each value must be a number, not 'loud'"),
        ({"gain_db": {"listed": [1], "probability": True}}, "probability must be a number, not True"),
        ({"gain_db": {"listed": [1], "probability": "1"}}, "probability must be a number, not '1'"),
        ({"gain_db": {"listed": [1], "per": 5}}, "per must be a string, not 5"),
        ({"own": [{"function": "a:b", "version": True}]}, "a whole number, not True"),
        ({"own": [{"function": "a:b", "version": 1.5}]}, "a whole number, not 1.5"),
    ],
)
def test_a_value_of_the_wrong_type_in_a_policy_is_refused_with_field_and_value(document, reason):
    with pytest.raises((SpecError, UnknownNameError), match=reason) as refused:
        AugmentationSpec.from_dict(document)
    assert "\n" not in str(refused.value)
