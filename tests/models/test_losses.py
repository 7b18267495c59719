"""Cross entropy with class weights and label smoothing against its formula."""

import numpy as np
import pytest
import torch
from small_training import history_of, small_config, small_sides

from featurestore.errors import UnknownNameError
from models.optimisation.losses import class_weights, make_loss
from models.optimisation.optimisers import make_optimiser
from models.training import train
from models.training_spec import TrainingSpec

CLASSES = ("calm", "loud", "sharp")
LABELS = np.array([0, 2, 2, 1, 2])
LOGITS = np.random.default_rng(8).normal(0, 2, (5, 3)).astype(np.float32)


def expected(weights, smoothing):
    """The weighted, smoothed mean, written out."""
    log_shares = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
    true = np.eye(3)[LABELS]
    hard = -(true * log_shares * weights).sum()
    spread = -(log_shares * weights).sum() / 3
    return ((1 - smoothing) * hard + smoothing * spread) / weights[LABELS].sum()


@pytest.mark.parametrize(("table", "smoothing"), [({"loud": 3.0}, 0.0), ("none", 0.1), ({"calm": 2, "loud": 3}, 0.2)])
def test_the_objective_is_the_weighted_smoothed_mean_and_the_report_is_plain(table, smoothing):
    loss = make_loss(TrainingSpec(class_weights=table, label_smoothing=smoothing), CLASSES, torch.zeros(0).long())
    found = loss(torch.from_numpy(LOGITS), torch.from_numpy(LABELS))
    named = {} if table == "none" else table
    weights = np.array([named.get(label, 1.0) for label in CLASSES])

    assert float(found.objective) == pytest.approx(expected(weights, smoothing), rel=1e-6)
    assert float(found.plain) == pytest.approx(expected(np.ones(3), 0.0), rel=1e-6)
    assert float(found.weight) == pytest.approx(weights[LABELS].sum())


def test_balanced_weights_are_inverse_frequencies_with_a_mean_of_one_over_rows():
    targets = torch.tensor([0] * 6 + [2] * 2)
    weights = class_weights(TrainingSpec(class_weights="balanced"), CLASSES, targets)

    assert weights.tolist() == pytest.approx([8 / (2 * 6), 1.0, 8 / (2 * 2)])
    assert float(weights[targets].mean()) == pytest.approx(1.0)


def test_a_weight_for_a_label_that_is_none_is_refused_before_a_run_begins():
    with pytest.raises(UnknownNameError, match="did you mean 'loud'"):
        small_config(small_sides(), class_weights={"lout": 2.0})


def test_training_without_weights_minimises_the_very_cross_entropy_of_before():
    logits = torch.from_numpy(LOGITS).float()
    found = make_loss(TrainingSpec(), CLASSES, torch.zeros(0).long())(logits, torch.from_numpy(LABELS))

    assert float(found.objective) == float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(LABELS)))


def test_class_weights_change_what_is_learnt_but_not_how_it_is_measured(tmp_path):
    sides = small_sides()
    weighted = {"class_weights": "balanced", "label_smoothing": 0.1}
    losses = {}
    for rate in (1e-30, 0.01):  # the first moves no weight, so both trainings see the same logits
        for name, changes in (("plain", {}), ("weighted", weighted)):
            config = small_config(sides, epochs=1, learning_rate=rate, **changes)
            train(sides, config, tmp_path / f"{name}-{rate}", device="cpu")
            losses[name, rate] = history_of(tmp_path / f"{name}-{rate}")[0]["train"]["loss"]

    assert losses["weighted", 1e-30] == pytest.approx(losses["plain", 1e-30], rel=1e-9)
    assert losses["weighted", 0.01] != losses["plain", 0.01]


def test_a_weighted_loss_and_a_step_of_equation_6_read_nothing_from_the_device():
    meta = torch.device("meta")  # holds no values, so any read fails
    spec = TrainingSpec(class_weights={"loud": 2.0}, label_smoothing=0.1, optimiser="sgd-beta")
    loss = make_loss(spec, CLASSES, torch.zeros(0).long()).to(meta)
    model = torch.nn.Linear(4, 3, device=meta)
    losses = loss(model(torch.zeros(5, 4, device=meta)), torch.zeros(5, dtype=torch.int64, device=meta))

    losses.objective.backward()
    make_optimiser(model, spec).step()

    assert {value.device for value in losses} == {meta}
