"""Norms of the gradient of each layer, recorded while a model is trained."""

import numpy as np
import pytest
import torch
from model_cases import CASES, small_model
from small_training import history_of, small_config, small_sides
from torch.nn import functional

from models.batches.loader import ViewDataset
from models.batches.samplers import make_sampler
from models.execution import Execution
from models.figures.running_metrics import GradientNorms, layer_parameters
from models.networks import build_model
from models.reports.plots import gradient_norms_figure
from models.training import train


@pytest.mark.parametrize("name", CASES)
def test_the_layers_of_a_model_part_its_parameters(name):
    model = small_model(name)
    parts = [id(weights) for layer in layer_parameters(model).values() for weights in layer]

    assert len(parts) == len(set(parts))
    assert set(parts) == {id(weights) for weights in model.parameters()}


def test_norms_are_those_of_an_independent_computation():
    model = small_model("etienne-cnn-blstm")
    norms, generator = GradientNorms(model), np.random.default_rng(3)
    steps = []
    for _ in range(3):
        squares = dict.fromkeys(norms.layers, 0.0)
        for name, parameter in model.named_parameters():
            gradient = generator.normal(size=parameter.shape)
            parameter.grad = torch.from_numpy(gradient).float()
            squares[name.rpartition(".")[0]] += (gradient**2).sum()
        norms.add()
        steps.append({layer: np.sqrt(square) for layer, square in squares.items()})

    assert norms.latest() == pytest.approx(list(steps[-1].values()), rel=1e-5)
    for layer, mean in norms.means().items():
        assert mean == pytest.approx(np.mean([step[layer] for step in steps]), rel=1e-5)


def test_a_run_records_and_draws_the_norms_of_its_steps(tmp_path):
    sides = small_sides(train=4)
    config = small_config(sides, epochs=2, learning_rate=0.1, gradient_norms=True, optimiser="sgd", clip_norm=0.01)
    train(sides, config, tmp_path / "run", device="cpu")
    history = history_of(tmp_path / "run")

    first = history[0]
    model = build_model(config.model, 3, 16, seed=0, **config.settings)
    execution = Execution.of(config.model, config.settings, config.training, "cpu")
    data = ViewDataset(sides.train, config.classes)
    sampler = make_sampler(data, config.training)
    sampler.set_epoch(1)
    batch = next(iter(execution.feed(data, sampler)))
    functional.cross_entropy(execution.logits(model, batch), batch.labels).backward()
    expected = {
        layer: float(torch.cat([weights.grad.flatten() for weights in parameters]).norm())
        for layer, parameters in layer_parameters(model).items()
    }
    assert first["gradient_norms"] == pytest.approx(expected, rel=1e-4)  # before clipping
    assert first["gradient_norm_steps"] == [[1, pytest.approx(list(expected.values()), rel=1e-4)]]
    assert (tmp_path / "run" / "gradient-norms.png").stat().st_size > 1000
    drawing = (tmp_path / "run" / "gradient-norms.svg").read_text()
    assert all(layer in drawing for layer in expected)


def test_counting_norms_reads_nothing_from_the_device():
    model = small_model("mathworks-cnn-lstm").to("meta")  # holds no values, so any read fails
    norms = GradientNorms(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)

    norms.add()

    assert norms.last.device.type == "meta"


def test_a_figure_of_norms_leaves_out_epochs_that_have_none():
    history = [
        {"epoch": 1},
        {"epoch": 2, "gradient_norms": {"a": 1.0, "b": 0.0}, "gradient_norm_steps": [[3, [1.0, 0.0]]]},
    ]
    axes = gradient_norms_figure(history).axes[0]

    assert [line.get_label() for line in axes.lines if not line.get_label().startswith("_")] == ["a", "b"]
    assert axes.get_yscale() == "log"
