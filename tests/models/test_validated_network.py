"""The network that is delivered is the one that validation judged."""

import numpy as np
import pytest
import torch
from small_training import MODEL as NAME
from small_training import SETTINGS, StopIn, history_of, small_sides
from small_training import SPEC as SMALL
from torch.nn.modules.module import register_module_forward_pre_hook

from models.batches.loader import ViewDataset
from models.evaluation import evaluate_run
from models.execution import Execution
from models.layers.convolution import MaskedBatchNorm
from models.networks.etienne import EtienneCnnBlstm
from models.optimisation.schedules import best_epoch
from models.runs.run import load_run
from models.training import configure, train
from models.training_loop import measure_population
from models.training_spec import TrainingSpec

CHOICES = [
    {},
    {"keep": "best", "keep_monitor": "uar", "patience": 1},
    {"patience": 1},
    {"schedule": "plateau", "plateau_patience": 1},
    {"keep": "best", "population_batches": 2},
    {"keep": "best", "batch_norm": "moving"},
]


def config_of(sides, **changes):
    spec = TrainingSpec.from_dict({**SMALL, "learning_rate": 0.1, "batch_norm": "population", **changes})
    return configure(sides, NAME, spec, settings={**SETTINGS, "batch_norm": True}, split="made-up")


def kept_epoch(config, history):
    """The line of the epoch whose weights are delivered."""
    spec = config.training
    return history[best_epoch(history, spec.keep_monitor or spec.monitor) - 1 if spec.keep == "best" else -1]


@pytest.mark.parametrize("changes", CHOICES)
def test_the_delivered_network_has_the_validation_figures_of_the_epoch_that_is_kept(changes, tmp_path):
    sides = small_sides(validation=21)
    config = config_of(sides, **changes)
    result = train(sides, config, tmp_path / "run", device="cpu")
    recorded = kept_epoch(config, history_of(tmp_path / "run"))["validation"]
    found = evaluate_run(load_run(tmp_path / "run"), sides.validation, device="cpu").figures()

    for figures in (found, result["validation"]):
        assert figures["loss"] == pytest.approx(recorded["loss"], rel=1e-5)
        assert (figures["accuracy"], figures["uar"]) == (recorded["accuracy"], recorded["uar"])


@pytest.mark.parametrize("changes", [{}, {"keep": "best"}, {"keep": "best", "population_batches": 2}])
def test_what_is_delivered_has_the_statistics_of_the_training_side(changes, tmp_path):
    sides = small_sides()
    config = config_of(sides, **changes)
    train(sides, config, tmp_path / "run", device="cpu")
    delivered, again = (load_run(tmp_path / "run").model for _ in range(2))
    execution = Execution.of(NAME, config.settings, config.training, "cpu")
    data = ViewDataset(sides.train, sides.train.classes)
    measure_population(again, data, config.training, execution, config.training.population_batches)

    norms = [[m for m in model.modules() if isinstance(m, MaskedBatchNorm)] for model in (delivered, again)]
    for a, b in zip(*norms, strict=True):
        np.testing.assert_allclose(a.running_mean, b.running_mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.running_var, b.running_var, rtol=1e-4, atol=1e-5)


def test_measuring_changes_nothing_of_what_is_learnt(tmp_path):
    sides = small_sides()
    for name, changes in (("measured", {"patience": 9}), ("moving", {"batch_norm": "moving"})):
        train(sides, config_of(sides, **changes), tmp_path / name, device="cpu")
    measured, moving = (load_run(tmp_path / name).model for name in ("measured", "moving"))

    assert all(torch.equal(a, b) for a, b in zip(measured.parameters(), moving.parameters(), strict=True))


def test_a_training_that_measures_before_each_validation_goes_on_exactly(tmp_path):
    sides = small_sides()
    config = config_of(sides, keep="best", checkpoint_minutes=1e-9)
    train(sides, config, tmp_path / "whole", device="cpu")
    with pytest.raises(InterruptedError):
        train(sides, config, tmp_path / "run", device="cpu", progress=StopIn(2))
    train(sides, config, tmp_path / "run", device="cpu", resume=True)

    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run")]
    assert files[0] == files[1]


@pytest.mark.parametrize(("normalises", "passes"), [(False, 1), (True, 2)])
def test_a_network_without_batch_norm_is_not_run_to_measure_it(tmp_path, normalises, passes):
    sides, forwards = small_sides(), []
    settings = {**SETTINGS, "batch_norm": normalises}
    spec = TrainingSpec.from_dict({**SMALL, "batch_norm": "population", "keep": "best"})

    def count(module, _):
        if isinstance(module, EtienneCnnBlstm) and module.training:
            forwards.append(module)

    with register_module_forward_pre_hook(count):
        train(sides, configure(sides, NAME, spec, settings=settings, split="made-up"), tmp_path / "run", device="cpu")

    steps = -(-len(sides.train) // spec.batch_size)
    assert len(forwards) == spec.epochs * steps * passes
