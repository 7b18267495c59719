"""Optimisers against the formulas of their sources, and settings of single modules."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from model_cases import CASES, small_model
from small_training import SETTINGS, small_config, small_sides
from torch import nn

from featurestore.errors import SpecError, UnknownNameError
from models.networks import build_model
from models.optimisation.optimisers import OPTIMISERS, make_optimiser, optimiser_tensors, restore_optimiser, set_rate
from models.optimisation.schedules import SCHEDULES
from models.runs.run import RunConfig
from models.training_spec import CHOICES, TrainingSpec, with_setting

GRADIENTS = np.random.default_rng(4).normal(size=(6, 5, 3)).astype(np.float32)


class Matrix(nn.Module):
    """One weight matrix and one bias."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 5)


def moved(spec, factors=(1.0,) * 6):
    """Return the weights and the bias after six steps with given gradients, and the first ones."""
    torch.manual_seed(0)
    model = Matrix()
    first = [parameter.detach().numpy().copy() for parameter in (model.inner.weight, model.inner.bias)]
    optimiser = make_optimiser(model, spec)
    for gradient, factor in zip(GRADIENTS, factors, strict=True):
        set_rate(optimiser, factor)
        model.inner.weight.grad = torch.from_numpy(gradient.copy())
        model.inner.bias.grad = torch.from_numpy(gradient[:, 0].copy())
        optimiser.step()
    return first, [parameter.detach().numpy() for parameter in (model.inner.weight, model.inner.bias)]


def test_equation_6_of_etienne_moves_weights_by_beta_times_a_velocity_that_holds_the_learning_rate():
    g, rate, b, l2 = 0.8, 0.05, 0.3, 0.01
    factors = (1.0, 1.0, 0.5, 0.5, 0.1, 0.1)
    spec = TrainingSpec(optimiser="sgd-beta", momentum=g, learning_rate=rate, beta=b, l2=l2)
    (weights, bias), (found, found_bias) = moved(spec, factors)

    velocity, velocity_bias = np.zeros_like(weights), np.zeros_like(bias)
    for gradient, factor in zip(GRADIENTS, factors, strict=True):
        velocity = g * velocity + rate * factor * (gradient + l2 * weights)
        velocity_bias = g * velocity_bias + rate * factor * gradient[:, 0]
        weights, bias = weights - b * velocity, bias - b * velocity_bias
    np.testing.assert_allclose(found, weights, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found_bias, bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_its_formula(nesterov):
    spec = TrainingSpec(optimiser="sgd", momentum=0.8, learning_rate=0.05, nesterov=nesterov, l2=0.01)
    (weights, _), (found, _) = moved(spec)

    velocity = np.zeros_like(weights)
    for gradient in GRADIENTS:
        gradient = gradient + 0.01 * weights
        velocity = 0.8 * velocity + gradient
        weights = weights - 0.05 * (gradient + 0.8 * velocity if nesterov else velocity)
    np.testing.assert_allclose(found, weights, rtol=0, atol=1e-6)


def test_adam_takes_its_constants_from_the_spec():
    spec = TrainingSpec(learning_rate=0.02, adam_beta1=0.7, adam_beta2=0.95, adam_eps=1e-3, l2=0.0)
    (weights, _), (found, _) = moved(spec)

    mean = square = np.zeros_like(weights)
    for step, gradient in enumerate(GRADIENTS, 1):
        mean, square = 0.7 * mean + 0.3 * gradient, 0.95 * square + 0.05 * gradient**2
        weights = weights - 0.02 * (mean / (1 - 0.7**step)) / (np.sqrt(square / (1 - 0.95**step)) + 1e-3)
    np.testing.assert_allclose(found, weights, rtol=0, atol=1e-6)


def test_adamw_takes_its_decay_from_the_weights_and_leaves_biases_alone():
    spec = TrainingSpec(optimiser="adamw", learning_rate=0.02, l2=0.1)
    (weights, biases), (found, found_biases) = moved(spec)
    _, (_, undecayed_biases) = moved(dataclasses.replace(spec, l2=0.0))

    mean = square = np.zeros_like(weights)
    for step, gradient in enumerate(GRADIENTS, 1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        weights = weights - 0.02 * 0.1 * weights
        weights = weights - 0.02 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(found, weights, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found_biases, undecayed_biases)
    assert not np.array_equal(found_biases, biases)


def test_a_module_has_a_learning_rate_momentum_and_beta_of_its_own():
    modules = {"recurrent": {"learning_rate": 0.5, "momentum": 0.2}, "recurrent.layers.0": {"beta": 0.25}}
    spec = TrainingSpec(optimiser="sgd-beta", learning_rate=0.01, modules=modules)
    model = build_model("etienne-cnn-blstm", 3, 16, **{**SETTINGS, "recurrent": 2})
    optimiser = make_optimiser(model, spec)
    set_rate(optimiser, 0.1)
    groups = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    found = {name: groups[id(p)] for name, p in model.named_parameters()}

    assert len(groups) == len(found)
    outer = found["recurrent.layers.1.lstm.weight_hh_l0"]
    assert (outer["lr"], outer["momentum"], outer["beta"]) == (pytest.approx(0.05), 0.2, 1.0)
    inner = found["recurrent.layers.0.lstm.bias_ih_l0"]
    assert (inner["lr"], inner["momentum"], inner["beta"]) == (pytest.approx(0.001), 0.9, 0.25)
    assert found["classify.weight"]["lr"] == pytest.approx(0.001)
    assert {name for name, group in found.items() if group["weight_decay"]} == {
        name for name, parameter in model.named_parameters() if parameter.ndim > 1
    }


def test_a_module_with_a_learning_rate_of_zero_stands_still():
    model = small_model("etienne-cnn-blstm")
    spec = TrainingSpec(optimiser="sgd", modules={"convolutions": {"learning_rate": 0}})
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    make_optimiser(model, spec).step()

    still = [torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert still == [name.startswith("convolutions.") for name, _ in model.named_parameters()]


@pytest.mark.parametrize("name", CASES)
def test_every_outer_module_of_every_model_can_be_set(name):
    model = small_model(name)
    outer = [part for part, module in model.named_children() if any(True for _ in module.parameters())]
    spec = TrainingSpec(modules={part: {"learning_rate": 0.5} for part in outer})

    assert {group["lr"] for group in make_optimiser(model, spec).param_groups} == {0.5}


def test_an_unknown_module_is_refused_before_a_run_begins_and_the_nearest_is_named():
    with pytest.raises(UnknownNameError, match=r"did you mean 'convolutions'.*classify, convolutions, recurrent"):
        small_config(small_sides(), modules={"convolution": {"learning_rate": 0.1}})


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"modules": {"recurrent": {"learning_rat": 0.1}}}, UnknownNameError, "did you mean 'learning_rate'"),
        ({"modules": {"recurrent": 0.1}}, SpecError, r"modules\.recurrent must be a table"),
        ({"modules": {"recurrent": {"learning_rate": -1}}}, SpecError, "from 0 to 100"),
        ({"modules": {"recurrent": {"momentum": 0.5}}}, SpecError, "momentum needs optimiser sgd or sgd-beta"),
        ({"optimiser": "sgd", "modules": {"recurrent": {"beta": 0.5}}}, SpecError, "beta needs optimiser sgd-beta"),
        ({"optimiser": "rmsprop"}, UnknownNameError, "adam, adamw, sgd, sgd-beta"),
        ({"momentum": 1.0}, SpecError, "within 0 and 1"),
        ({"class_weights": {"calm": 0}}, SpecError, "above 0"),
        ({"class_weights": "balance"}, UnknownNameError, "balanced"),
        ({"label_smoothing": 1.0}, SpecError, "label_smoothing"),
    ],
)
def test_an_optimisation_setting_that_makes_no_sense_is_one_clear_error(fields, error, message):
    with pytest.raises(error, match=message):
        TrainingSpec.from_dict(fields)


def test_settings_of_modules_and_classes_survive_config_json():
    changes = {"optimiser": "sgd", "modules": {"recurrent": {"learning_rate": 1}}, "class_weights": {"loud": 2}}
    config = small_config(small_sides(), **changes)
    again = RunConfig.from_dict(json.loads(json.dumps(config.to_dict())))

    assert again == config
    assert again.id == config.id
    assert again.training.modules == {"recurrent": {"learning_rate": 1.0}}
    assert again.id != small_config(small_sides(), **{**changes, "class_weights": "none"}).id


def test_a_dotted_setting_reaches_into_a_table():
    fields = with_setting({"epochs": 2}, "modules.recurrent.layers.0.learning_rate", 0.1)
    fields = with_setting(fields, "modules.recurrent.layers.0.momentum", 0.5)
    fields = with_setting(with_setting(fields, "class_weights.loud", 2), "optimiser", "sgd")

    assert fields == {
        "epochs": 2,
        "modules": {"recurrent.layers.0": {"learning_rate": 0.1, "momentum": 0.5}},
        "class_weights": {"loud": 2},
        "optimiser": "sgd",
    }


def test_what_came_later_names_no_run_that_does_not_use_it():
    before = {
        "epochs", "batch_size", "learning_rate", "drop_factor", "drop_epochs", "l2", "clip_norm", "padding",
        "bucket_batches", "balance", "drop_last", "batch_norm", "population_batches", "keep", "monitor", "patience",
        "seed", "precision", "channels_last", "checkpoint_minutes",
    }  # fmt: skip

    assert set(TrainingSpec(normalisation="none", gradient_norms=True).decisive()) == before
    assert set(TrainingSpec(normalisation="none", optimiser="sgd").decisive()) == {*before, "optimiser"}


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd", "sgd-beta"])
def test_an_optimiser_goes_on_exactly_from_its_saved_state(optimiser):
    spec = TrainingSpec(optimiser=optimiser, learning_rate=0.1)

    def stepped(model, optimiser, gradients):
        for gradient in gradients:
            model.inner.weight.grad = torch.from_numpy(gradient.copy())
            model.inner.bias.grad = torch.from_numpy(gradient[:, 0].copy())
            optimiser.step()

    model, resumed = Matrix(), Matrix()
    first = make_optimiser(model, spec)
    stepped(model, first, GRADIENTS[:3])
    resumed.load_state_dict(model.state_dict())
    second = make_optimiser(resumed, spec)
    restore_optimiser(resumed, second, {name: t.clone() for name, t in optimiser_tensors(model, first).items()})
    stepped(model, first, GRADIENTS[3:])
    stepped(resumed, second, GRADIENTS[3:])

    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_every_choice_of_an_optimiser_and_a_schedule_is_in_its_table():
    assert set(OPTIMISERS) == set(CHOICES["optimiser"])
    assert set(SCHEDULES) == set(CHOICES["schedule"])
