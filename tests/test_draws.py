import numpy as np
import pytest
from scipy import stats

from featurestore.errors import SpecError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.signal.pitch_grid import PITCH_GRID, grid_semitones, pitch_steps
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw

POLICY = AugmentationSpec(
    semitones=Distribution(0.5, (-2, 2)),
    shift_seconds=Distribution(1.0, (-0.3, 0.3)),
    snr_db=Distribution(1.0, (-20, 40)),
    peak=Distribution(listed=(1.0,)),
)
GOLDEN = [
    Perturbation(
        semitones=None,
        shift_seconds=-0.10496744415777443,
        snr_db=10.72237799030848,
        vtlp_alpha=None,
        peak=1.0,
        noise_key=16277872000646463668,
    ),
    Perturbation(
        semitones=None,
        shift_seconds=0.21099252478964597,
        snr_db=8.260034052658785,
        vtlp_alpha=None,
        peak=1.0,
        noise_key=1134888320944280788,
    ),
    Perturbation(
        semitones=None,
        shift_seconds=-0.015700096464856483,
        snr_db=-3.523114252141969,
        vtlp_alpha=None,
        peak=1.0,
        noise_key=2317403440466815918,
    ),
]
CONTENTS = [f"{number:064x}" for number in range(200)]


@pytest.fixture(scope="module")
def many():
    return [draw(POLICY, content, copy) for content in CONTENTS for copy in range(1, 101)]


def test_golden_draws_never_change():
    first = draw(POLICY, "0" * 64, 1)

    assert first == GOLDEN[0]
    assert draw(POLICY, "0" * 64, 2) == GOLDEN[1]
    assert draw(POLICY, "f" * 64, 75) == GOLDEN[2]


def test_a_draw_depends_on_seed_content_and_copy_alone():
    here = draw(POLICY, CONTENTS[3], 7)

    assert draw(POLICY, CONTENTS[3], 7) == here
    assert draw(POLICY, CONTENTS[4], 7) != here
    assert draw(POLICY, CONTENTS[3], 8) != here
    assert draw(AugmentationSpec.from_dict(POLICY.to_dict() | {"seed": 1}), CONTENTS[3], 7) != here


def test_half_of_the_copies_are_pitched(many):
    share = np.mean([perturbation.semitones is not None for perturbation in many])

    assert abs(share - 0.5) < 4 * np.sqrt(0.25 / len(many))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("semitones", -2, 2), ("shift_seconds", -0.3, 0.3), ("snr_db", -20, 40)]
)
def test_values_are_uniform_over_their_range(many, name, low, high):
    values = np.array([value for value in (getattr(perturbation, name) for perturbation in many) if value is not None])

    assert values.min() >= low
    assert values.max() <= high
    assert stats.kstest(values, "uniform", args=(low, high - low)).pvalue > 1e-3


def test_values_of_different_perturbations_copies_and_files_are_uncorrelated(many):
    shifts = np.array([perturbation.shift_seconds for perturbation in many])
    noises = np.array([perturbation.snr_db for perturbation in many])
    limit = 4 / np.sqrt(len(many))

    assert abs(np.corrcoef(shifts, noises)[0, 1]) < limit
    assert abs(np.corrcoef(shifts[1:], shifts[:-1])[0, 1]) < limit
    assert abs(np.corrcoef(shifts[100:], shifts[:-100])[0, 1]) < limit


def test_every_pitch_lies_on_the_grid_and_is_recorded_as_applied(many):
    drawn = [perturbation.semitones for perturbation in many if perturbation.semitones is not None]

    assert all(grid_semitones(pitch_steps(value)) == value for value in drawn)


@pytest.mark.parametrize("semitones", np.linspace(-2, 2, 41))
def test_the_pitch_grid_is_finer_than_a_cent_where_speech_is_shifted(semitones):
    steps = pitch_steps(semitones)

    assert grid_semitones(steps + 1) - grid_semitones(steps) < 0.01
    assert abs(grid_semitones(steps) - semitones) < 0.005


def test_a_pitch_range_narrower_than_the_grid_takes_the_nearest_point():
    narrow = AugmentationSpec(semitones=Distribution(1.0, (0.001, 0.002)))

    assert draw(narrow, CONTENTS[0], 1).semitones == grid_semitones(PITCH_GRID)


def test_noise_keys_are_distinct(many):
    assert len({perturbation.noise_key for perturbation in many}) == len(many)


def test_a_value_drawn_for_each_copy_is_shared_by_all_files():
    spec = AugmentationSpec(vtlp_alpha=Distribution(1.0, (0.9, 1.1), per="copy"))

    values = {copy: {draw(spec, content, copy).vtlp_alpha for content in CONTENTS[:20]} for copy in (1, 2, 3)}

    assert all(len(found) == 1 for found in values.values())
    assert len(set.union(*values.values())) == 3


def test_listed_values_are_taken_in_turn():
    spec = AugmentationSpec(vtlp_alpha=Distribution(listed=(0.9, 1.0, 1.1)))

    assert [draw(spec, CONTENTS[0], copy).vtlp_alpha for copy in range(1, 6)] == [0.9, 1.0, 1.1, 0.9, 1.0]


def test_probability_zero_and_an_absent_perturbation_are_never_applied():
    spec = AugmentationSpec(peak=Distribution(0.0, listed=(1.0,)))

    assert all(draw(spec, content, 1).peak is None for content in CONTENTS)
    assert all(draw(spec, content, 1).snr_db is None for content in CONTENTS)


def test_the_clean_copy_has_no_perturbation():
    with pytest.raises(SpecError, match="copy 0"):
        draw(POLICY, CONTENTS[0], 0)
