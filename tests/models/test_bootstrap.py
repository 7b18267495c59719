"""Intervals by bootstrap over speakers: against another computation, and by what they are to cover."""

import numpy as np
import pytest
from said import said, simulated
from sklearn import metrics as reference

from models.figures.bootstrap import (
    cluster_confusions,
    clusters_of,
    intervals,
    mean_of_runs,
    percentile_interval,
    resample,
)


def test_a_resample_is_what_drawing_the_speakers_items_by_hand_gives():
    predictions = simulated(np.random.default_rng(1), speakers=5, items=12)
    clusters = clusters_of(predictions.speakers)
    found = resample(cluster_confusions([predictions], clusters), mean_of_runs, resamples=20, seed=7)

    generator = np.random.default_rng(7)
    for row, drawn in zip(found, generator.integers(0, 5, (20, 5)), strict=True):
        items = np.concatenate([np.flatnonzero(clusters.numbers == speaker) for speaker in drawn])
        truth, answers = predictions.labels[items], predictions.predicted[items]
        assert row[0] == pytest.approx(reference.accuracy_score(truth, answers))
        assert row[1] == pytest.approx(reference.recall_score(truth, answers, average="macro"))
        assert row[2] == pytest.approx(reference.f1_score(truth, answers, average="macro"))


def test_intervals_cover_the_truth_about_as_often_as_they_say_where_items_alone_would_not():
    generator, covered, narrow, trials = np.random.default_rng(3), 0, 0, 200
    for _ in range(trials):
        predictions = simulated(generator, speakers=10, items=30)
        low, high = intervals([predictions], resamples=400, seed=int(generator.integers(2**31)))["interval"]["uar"]
        covered += low <= 0.65 <= high
        share = (predictions.labels == predictions.predicted).mean()
        narrow += abs(share - 0.65) <= 1.96 * np.sqrt(share * (1 - share) / 300)

    assert 0.90 <= covered / trials <= 0.99  # 95 % within three standard errors
    assert narrow / trials < 0.88


def test_the_levels_of_percentiles_are_student_s_for_few_speakers():
    values = np.arange(100_001) / 100_000
    low, high = percentile_interval(values, 10)

    assert low == pytest.approx(1 - high, abs=1e-9)
    assert low == pytest.approx(0.0085553, abs=1e-5)  # Phi(-2.262157 * sqrt(10/9))
    assert percentile_interval(values, 10**6)[0] == pytest.approx(0.025, abs=1e-5)


def test_equal_seeds_give_equal_intervals():
    predictions = simulated(np.random.default_rng(5), speakers=6, items=20)

    assert intervals([predictions]) == intervals([predictions])
    assert intervals([predictions])["interval"] != intervals([predictions], seed=1)["interval"]


@pytest.mark.parametrize(
    ("speakers", "reason"),
    [
        ((None, "a", "b", "c") * 5, "5 items have no speaker"),
        (("a", "b") * 10, "only 2 speakers where 3 are needed"),
    ],
)
def test_items_are_drawn_where_speakers_are_unknown_or_too_few_and_the_reason_is_told(speakers, reason):
    over = intervals([said([0, 1] * 10, [0, 0] * 10, speakers=speakers)])["interval_over"]

    assert (over["unit"], over["count"], over["reason"]) == ("items", 20, reason)


def test_items_alone_give_the_normal_interval_of_a_share():
    generator = np.random.default_rng(8)
    labels = generator.integers(0, 3, 600)
    predictions = said(labels, np.where(generator.random(600) < 0.7, labels, (labels + 1) % 3), speakers=[None] * 600)
    share = (predictions.labels == predictions.predicted).mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 600)

    assert intervals([predictions])["interval"]["accuracy"] == pytest.approx([share - half, share + half], abs=0.006)


def test_several_seeds_have_the_interval_of_their_mean():
    generator = np.random.default_rng(9)
    runs = [simulated(generator, speakers=8, items=20, deviation=0.0) for _ in range(4)]
    labels = runs[0].labels
    runs = [said(labels, np.where(run.predicted == run.labels, labels, (labels + 1) % 3), speakers=run.speakers)
            for run in runs]  # fmt: skip
    low, high = intervals(runs)["interval"]["accuracy"]

    assert low <= np.mean([(run.labels == run.predicted).mean() for run in runs]) <= high
    single = intervals(runs[:1])["interval"]["accuracy"]
    assert high - low < single[1] - single[0]


def test_a_side_without_items_has_no_interval():
    found = intervals([said([], [])])

    assert found["interval"] == {"accuracy": None, "uar": None, "macro_f1": None}
    assert found["interval_over"]["reason"] == "there are no items"
