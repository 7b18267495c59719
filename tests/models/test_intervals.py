"""Intervals over speakers: against another computation, by what they are to cover, and where there is none."""

import numpy as np
import pytest
from said import said, simulated
from scipy import stats
from sklearn import metrics as reference

from models.figures.intervals import intervals, intervals_in_words

MEASURES = ("accuracy", "uar", "macro_f1")


def test_an_interval_is_that_of_leaving_out_each_speaker_by_hand():
    predictions = simulated(np.random.default_rng(1), speakers=5, items=24)
    speakers = np.array(predictions.speakers)
    figures = {
        "accuracy": reference.accuracy_score,
        "uar": lambda truth, said: reference.recall_score(truth, said, average="macro"),
        "macro_f1": lambda truth, said: reference.f1_score(truth, said, average="macro"),
    }
    found = intervals([predictions])["interval"]

    for name, figure in figures.items():
        value = figure(predictions.labels, predictions.predicted)
        left = [
            figure(predictions.labels[speakers != one], predictions.predicted[speakers != one]) for one in set(speakers)
        ]
        error = np.sqrt(4 / 5 * np.sum((left - np.mean(left)) ** 2)) / (value * (1 - value))
        middle, half = np.log(value / (1 - value)), stats.t.ppf(0.975, 4) * error
        assert found[name] == pytest.approx([1 / (1 + np.exp(half - middle)), 1 / (1 + np.exp(-half - middle))])


@pytest.mark.parametrize("speakers", [3, 4, 5, 10])
def test_intervals_of_few_speakers_cover_the_truth_as_often_as_they_say(speakers):
    generator, trials, covered, narrow = np.random.default_rng(speakers), 300, 0, 0
    for _ in range(trials):
        predictions = simulated(generator, speakers=speakers, items=30)
        bounds = intervals([predictions])["interval"]["accuracy"]
        covered += bounds is None or bounds[0] <= 0.65 <= bounds[1]  # none where three speakers happen to be alike
        share = (predictions.labels == predictions.predicted).mean()
        narrow += abs(share - 0.65) <= 1.96 * np.sqrt(share * (1 - share) / len(predictions))

    assert covered / trials >= 0.91  # 95 % less three standard errors
    assert narrow / trials < 0.90  # what items give that are taken as independent


def test_intervals_of_seeds_cover_what_other_seeds_and_speakers_would_give():
    generator, trials, covered = np.random.default_rng(8), 200, 0
    for _ in range(trials):
        shares = np.clip(
            0.65 + 0.08 * generator.standard_normal((5, 1)) + 0.08 * generator.standard_normal(6), 0.05, 0.95
        )
        labels, speaker = generator.integers(0, 3, 180), np.repeat(np.arange(6), 30)
        right = generator.random((5, 180)) < shares[:, speaker]
        runs = [
            said(labels, np.where(one, labels, (labels + 1) % 3), speakers=[f"s{k}" for k in speaker]) for one in right
        ]
        found = intervals(runs)
        low, high = found["interval"]["accuracy"]
        covered += low <= 0.65 <= high

    assert found["interval_over"]["covers"] == "other speakers and other seeds"
    assert covered / trials >= 0.90


def test_two_seeds_are_too_few_to_speak_of_others():
    generator = np.random.default_rng(2)
    one = simulated(generator, speakers=5, items=20)
    over = intervals([one, one])["interval_over"]

    assert (over["seeds"], over["covers"]) == (2, "other speakers")


def test_intervals_stay_within_0_and_1():
    labels = [0, 1, 2] * 20
    answers = [*labels[:-1], 0]
    low, high = intervals([said(labels, answers, speakers=[f"s{k // 15}" for k in range(60)])])["interval"]["accuracy"]

    assert 0 < low < 59 / 60 < high < 1


@pytest.mark.parametrize(
    ("speakers", "reason"),
    [
        ((None, "a", "b", "c") * 6, "6 items have no speaker"),
        (("a", "b") * 12, "only 2 speakers where 3 are needed"),
    ],
)
def test_there_is_no_interval_where_speakers_are_unknown_or_too_few_and_the_reason_is_told(speakers, reason):
    found = intervals([said([0, 1] * 12, [0, 0] * 12, speakers=speakers)])

    assert found["interval"] == dict.fromkeys(MEASURES)
    assert found["interval_over"]["none"] == dict.fromkeys(MEASURES, reason)
    assert intervals_in_words(found["interval_over"]) == f"not given: {reason}"


def test_a_class_of_one_or_two_speakers_leaves_uar_and_f1_without_an_interval():
    """Leaving its speaker out would leave the class out, and the mean of the others says nothing about it."""
    labels = [0, 1] * 9 + [2, 2]
    speakers = [f"s{k // 6}" for k in range(18)] + ["s0", "s1"]
    found = intervals([said(labels, [0] * 20, speakers=speakers)])

    assert found["interval"]["accuracy"] is not None
    assert found["interval"]["uar"] is None
    assert found["interval"]["macro_f1"] is None
    assert found["interval_over"]["none"]["uar"] == "class 'c' has only 2 of the 3 speakers that are needed"


def test_a_class_of_one_speaker_leaves_three_seeds_the_interval_of_accuracy():
    labels, speakers = [0, 1] * 9 + [2, 2], [f"s{k // 6}" for k in range(18)] + ["s0", "s0"]
    answers = [[*labels[:-seed], *[0] * seed] for seed in (3, 4, 5)]
    found = intervals([said(labels, one, speakers=speakers) for one in answers])

    assert found["interval"]["accuracy"] is not None
    assert found["interval"]["uar"] is None
    assert found["interval_over"]["none"]["uar"] == "class 'c' has only 1 of the 3 speakers that are needed"


def test_a_constant_answer_has_no_interval_with_values_that_it_cannot_take():
    """Its UAR is 1/3 whoever speaks; a bootstrap that lost a class reached 0.5."""
    labels = [0, 1, 2] * 12
    found = intervals([said(labels, [0] * 36, speakers=[f"s{k % 4}" for k in range(36)])])

    assert found["interval"]["uar"] is None
    assert "the same whichever speaker is left out" in found["interval_over"]["none"]["uar"]


def test_perfect_answers_have_no_interval_of_width_zero():
    labels = [0, 1, 2] * 12

    assert intervals([said(labels, labels, speakers=[f"s{k % 4}" for k in range(36)])])["interval"]["accuracy"] is None


def test_a_side_without_items_has_no_interval():
    found = intervals([said([], [])])

    assert found["interval"] == dict.fromkeys(MEASURES)
    assert found["interval_over"]["none"]["uar"] == "there are no items"
