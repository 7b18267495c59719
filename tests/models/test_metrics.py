"""Figures against values worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as reference

from models.figures import metrics
from models.figures.metrics import mean_and_deviation

BY_HAND = np.array([[3, 1], [2, 2]])


def test_figures_of_a_small_table_are_those_worked_out_by_hand():
    assert metrics.measures(BY_HAND)[0] == 5 / 8
    assert metrics.recalls(BY_HAND).tolist() == [3 / 4, 1 / 2]
    assert metrics.measures(BY_HAND)[1] == 5 / 8
    assert metrics.precisions(BY_HAND).tolist() == [3 / 5, 2 / 3]
    assert metrics.measures(BY_HAND)[2] == pytest.approx((2 / 3 + 4 / 7) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    truth, predicted = generator.integers(0, 7, 100), generator.integers(0, 7, 100)
    confusion = metrics.confusion_matrix(truth, predicted, 7)

    assert (confusion == reference.confusion_matrix(truth, predicted)).all()
    assert metrics.measures(confusion)[0] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert metrics.measures(confusion)[1] == pytest.approx(reference.recall_score(truth, predicted, average="macro"))
    assert metrics.measures(confusion)[2] == pytest.approx(reference.f1_score(truth, predicted, average="macro"))


def test_keren_ua_recall_is_the_mean_of_each_class_correct_over_total():
    confusion = np.array([[90, 10, 0], [3, 5, 2], [0, 0, 4]])

    assert metrics.measures(confusion)[1] == pytest.approx((90 / 100 + 5 / 10 + 4 / 4) / 3)
    assert metrics.measures(confusion)[0] != pytest.approx(metrics.measures(confusion)[1])


def test_a_class_without_items_is_left_out_of_the_average_and_has_no_recall():
    confusion = np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]])
    summary = metrics.summary(confusion, ["a", "b", "c"])

    assert metrics.measures(confusion)[1] == 0.75
    assert summary["per_class"]["c"] == {"precision": 0.0, "recall": None, "f1": None, "support": 0}
    assert summary["classes"] == ["a", "b", "c"]
    assert summary["confusion"] == confusion.tolist()


def test_an_empty_side_has_no_figures():
    summary = metrics.summary(np.zeros((2, 2), np.int64), ["a", "b"])

    assert [summary[name] for name in ("accuracy", "uar", "macro_f1")] == [None, None, None]


def test_runs_have_a_mean_and_deviation():
    several = mean_and_deviation([{"accuracy": 0.5, "uar": 0.4}, {"accuracy": 0.7, "uar": None}])

    assert several["mean"] == {"accuracy": pytest.approx(0.6), "uar": 0.4}
    assert several["deviation"]["accuracy"] == pytest.approx(np.sqrt(0.02))
    assert several["deviation"]["uar"] is None
    assert sorted(several) == ["deviation", "mean"]
