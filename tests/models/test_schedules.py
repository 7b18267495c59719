"""Learning rates over a training, early stopping and the choice of the best epoch."""

import math

import pytest
import torch
from small_training import StopIn, history_of, small_config, small_sides

from featurestore.errors import SpecError
from models.errors import TrainingError
from models.optimisation.schedules import ScheduleStep, best_epoch, improvements, rate_factor, rate_note, stale_epochs
from models.runs.run import load_run
from models.training import train
from models.training_spec import TrainingSpec


def epochs_with(losses, accuracies=None):
    accuracies = accuracies or [0.5] * len(losses)
    return [
        {"epoch": number, "validation": {"loss": loss, "accuracy": accuracy, "uar": accuracy}}
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), 1)
    ]


UNMOVED = 1e-30
"""A learning rate that moves no weight, in any arithmetic."""
NORMS = {"gradient_norms", "gradient_norm_steps"}


def without(record, names):
    return {name: value for name, value in record.items() if name not in names}


def factors(spec, steps=4, history=()):
    """The factor of every step of a training."""
    moments = [
        ScheduleStep(epoch, step, steps, history) for epoch in range(1, spec.epochs + 1) for step in range(steps)
    ]
    return [rate_factor(spec, moment) for moment in moments]


def test_a_constant_schedule_never_changes_the_rate():
    assert set(factors(TrainingSpec(epochs=5, schedule="constant"))) == {1.0}
    assert set(factors(TrainingSpec(epochs=50, drop_epochs=0))) == {1.0}


def test_a_piecewise_schedule_drops_after_every_so_many_epochs_and_stops_at_the_least_rate():
    spec = TrainingSpec(epochs=5, drop_epochs=1, drop_factor=0.1, learning_rate=0.1, least_rate=1e-4)

    assert factors(spec, steps=1) == pytest.approx([1, 0.1, 0.01, 1e-3, 1e-3])


@pytest.mark.parametrize("epochs", [1, 2, 3, 6, 10, 100])
def test_by_default_the_rate_drops_once_after_two_thirds_of_the_epochs(epochs):
    found = factors(TrainingSpec(epochs=epochs), steps=1)
    dropped = found.index(0.1) if 0.1 in found else epochs

    assert found == [1.0] * dropped + [0.1] * (epochs - dropped)
    assert abs(dropped - epochs * 2 / 3) <= 1 / 2


def test_a_rate_that_dies_is_told_before_it_does():
    assert "is 5e-06 from epoch 7 of 10 on" in rate_note(TrainingSpec(epochs=10, drop_epochs=2))
    for fields in ({}, {"drop_epochs": 0}, {"drop_epochs": 2, "least_rate": 5e-4}, {"schedule": "cosine"}):
        assert rate_note(TrainingSpec(epochs=99, **fields)) == ""
    for epochs in (1, 3, 6):
        assert rate_note(TrainingSpec(epochs=epochs, drop_epochs=2)) == ""


@pytest.mark.parametrize("wrong", ["often", -1, 1.5])
def test_a_rate_drops_after_whole_epochs_or_by_itself(wrong):
    with pytest.raises(SpecError, match="drop_epochs must "):
        TrainingSpec(drop_epochs=wrong)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_and_plateau_patience_count_alike(patience):
    history = epochs_with([1.0, 0.9, *[0.95] * 9])
    spec = TrainingSpec(epochs=99, schedule="plateau", plateau_patience=patience, drop_factor=0.5)
    done = [epoch for epoch in range(len(history)) if stale_epochs(history[:epoch], "loss") >= patience]
    lowered = [
        epoch for epoch in range(len(history)) if rate_factor(spec, ScheduleStep(epoch + 1, 0, 4, history[:epoch])) < 1
    ]

    assert done == lowered == list(range(2 + patience, len(history)))


def test_a_plateau_drops_after_patience_epochs_brought_nothing_better():
    spec = TrainingSpec(epochs=9, schedule="plateau", plateau_patience=2, drop_factor=0.5)
    losses = [1.0, 0.9, 0.9, 0.95, 0.8, 0.81, 0.82, 0.83, 0.84]
    history = epochs_with(losses)
    found = [rate_factor(spec, ScheduleStep(epoch, 0, 4, history[: epoch - 1])) for epoch in range(1, 11)]

    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_cosine_falls_from_one_to_the_least_rate_step_by_step():
    spec = TrainingSpec(epochs=4, schedule="cosine", learning_rate=0.2, least_rate=0.02)
    found = factors(spec, steps=5)

    assert found == pytest.approx([0.1 + 0.9 * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)])
    assert rate_factor(spec, ScheduleStep(5, 0, 5)) == pytest.approx(0.1)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 3), (4, 5), (7, 3)])
def test_one_cycle_has_the_rates_of_torchs_own(epochs, steps):
    spec = TrainingSpec(epochs=epochs, schedule="one-cycle", learning_rate=0.2)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, epochs * steps, cycle_momentum=False)
    wanted = []
    for _ in range(epochs * steps):
        wanted.append(optimiser.param_groups[0]["lr"] / 0.2)
        optimiser.step()
        torchs.step() if len(wanted) < epochs * steps else None

    assert factors(spec, steps=steps) == pytest.approx(wanted)


def test_a_warm_up_rises_in_a_straight_line_and_the_cosine_follows_it():
    spec = TrainingSpec(epochs=4, schedule="cosine", warmup_epochs=2)
    found = factors(spec, steps=2)

    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([(1 + math.cos(math.pi * share)) / 2 for share in (0, 0.25, 0.5, 0.75)])


def test_a_draw_or_an_epoch_without_a_figure_is_no_better():
    history = epochs_with([None, 0.5, 0.5, 0.4, None], [0.1, 0.3, 0.3, 0.2, 0.3])

    assert improvements(history, "loss") == [False, True, False, True, False]
    assert (best_epoch(history, "loss"), stale_epochs(history, "loss")) == (4, 1)
    assert (best_epoch(history, "accuracy"), stale_epochs(history, "accuracy")) == (2, 3)
    assert (best_epoch([], "uar"), best_epoch(epochs_with([None]), "loss")) == (0, 0)


def test_one_figure_stops_a_training_and_another_chooses_what_is_kept():
    history = epochs_with([1.0, 0.8, 0.9, 0.85, 0.9], [0.3, 0.4, 0.4, 0.7, 0.6])

    assert [stale_epochs(history[:epoch], "loss") for epoch in range(1, 6)] == [0, 0, 1, 2, 3]
    assert best_epoch(history, "loss") == 2
    assert best_epoch(history, "accuracy") == 4


def test_a_training_stops_after_patience_epochs_that_bring_nothing(tmp_path):
    sides = small_sides()
    config = small_config(sides, epochs=9, learning_rate=UNMOVED, patience=3, keep="best", schedule="constant")
    result = train(sides, config, tmp_path / "run", device="cpu")

    assert (result["epochs"], result["best_epoch"]) == (4, 1)


def test_whatever_validation_says_a_training_stops_by_one_figure_and_keeps_the_best_by_another(tmp_path):
    sides = small_sides()
    config = small_config(sides, epochs=8, learning_rate=0.3, patience=2, keep="best", keep_monitor="accuracy")
    result = train(sides, config, tmp_path / "run", device="cpu")
    history = history_of(tmp_path / "run")
    losses, accuracies = ([record["validation"][name] for record in history] for name in ("loss", "accuracy"))
    stale = [epoch - losses[:epoch].index(min(losses[:epoch])) - 1 for epoch in range(1, len(losses) + 1)]

    assert max(stale[:-1], default=0) < 2
    assert stale[-1] == 2 or len(history) == 8
    assert result["epochs"] == len(history)
    assert result["best_epoch"] == accuracies.index(max(accuracies)) + 1
    assert result["validation"]["accuracy"] == max(accuracies)
    assert result["train"] == history[result["best_epoch"] - 1]["train"]


@pytest.mark.parametrize("changes", [{"keep": "best"}, {"patience": 2}, {"schedule": "plateau"}])
def test_what_goes_by_validation_is_refused_without_one(changes):
    with pytest.raises(TrainingError, match="is decided on the validation side, which has no rows"):
        small_config(small_sides(validation=0), **changes)


def test_a_training_without_validation_is_a_whole_run(tmp_path):
    sides = small_sides(validation=0)
    config = small_config(sides, epochs=1)
    result = train(sides, config, tmp_path / "run", device="cpu")

    assert result["validation"] == {"loss": None, "accuracy": None, "uar": None}
    assert result["best_epoch"] == 1
    assert load_run(tmp_path / "run").summary["result"] == result
    assert train(sides, config, tmp_path / "run", device="cpu", resume=True) == result


PLATEAU = {"schedule": "plateau", "plateau_patience": 0, "optimiser": "sgd-beta", "beta": 0.5, "learning_rate": 0.5}
COSINE = {
    "schedule": "cosine", "warmup_epochs": 1, "optimiser": "sgd", "modules": {"recurrent": {"learning_rate": 0.1}},
    "keep": "best", "keep_monitor": "uar", "class_weights": "balanced",
}  # fmt: skip


@pytest.mark.parametrize(("changes", "recorded"), [(PLATEAU, True), (COSINE, False)])
def test_a_schedule_goes_on_exactly_after_an_interruption_within_an_epoch(changes, recorded, tmp_path):
    sides = small_sides()
    whole = small_config(sides, **changes, checkpoint_minutes=1e-9, gradient_norms=recorded)
    noted = small_config(sides, **changes, checkpoint_minutes=1e-9, gradient_norms=True)  # which changes no bit
    train(sides, whole, tmp_path / "whole", device="cpu")
    with pytest.raises(InterruptedError):
        train(sides, noted, tmp_path / "run", device="cpu", progress=StopIn(2))
    train(sides, noted, tmp_path / "run", device="cpu", resume=True)

    expected, found = history_of(tmp_path / "whole"), history_of(tmp_path / "run")
    ignored = {"seconds", "clips_per_second"} if recorded else {"seconds", "clips_per_second", *NORMS}
    assert [without(record, ignored) for record in found] == [without(record, ignored) for record in expected]
    assert all(set(record) >= NORMS for record in found)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run")]
    assert files[0] == files[1]
    spec = whole.training
    rates = [
        spec.learning_rate * rate_factor(spec, ScheduleStep(epoch + 1, 11, 12, expected[:epoch]))
        for epoch in range(spec.epochs)
    ]
    assert [record["learning_rate"] for record in expected] == pytest.approx(rates)
