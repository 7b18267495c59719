"""The optimisers, with the settings of each module, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from featurestore.errors import UnknownNameError
from models.training_spec import TrainingSpec


class BetaMomentum(torch.optim.Optimizer):
    """Stochastic gradient descent with momentum and a factor of the step: `v = g v + lr grad`, `w = w - b v`.

    The learning rate is part of the velocity, so a lower rate acts slowly, while `b` acts at once. With `b = 1`
    and a constant rate these are the weights of the usual SGD with momentum.

    Parameters
    ----------
    groups : iterable of dict
        `params`, `lr`, `momentum` (g), `beta` (b) and `weight_decay` (L2, added to the gradient) of each group.

    References
    ----------
    Etienne et al., "CNN+LSTM architecture for speech emotion recognition with data augmentation", 2018, equation 6.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights by their gradients; a closure is not called."""
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                gradient, state = weights.grad, self.state[weights]
                if not state:
                    state["velocity"] = torch.zeros_like(weights)
                if group["weight_decay"]:
                    gradient = gradient.add(weights, alpha=group["weight_decay"])
                state["velocity"].mul_(group["momentum"]).add_(gradient, alpha=group["lr"])
                weights.add_(state["velocity"], alpha=-group["beta"])


def make_optimiser(model: nn.Module, spec: TrainingSpec) -> torch.optim.Optimizer:
    """Return the optimiser of a spec, with L2 in the gradient of weight matrices and filters, and of nothing else.

    `weight_decay` of torch's Adam and SGD is L2 added to the gradient, as in the software of the MathWorks example,
    which leaves biases alone too. AdamW takes the same number as the decay that it keeps out of the gradient
    (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2). All three are fused: one
    kernel moves all weights.

    Raises
    ------
    UnknownNameError
        If `modules` names one that the model does not have.
    """
    return OPTIMISERS[spec.optimiser](parameter_groups(model, spec), spec)


def _adam(groups: list[dict[str, Any]], spec: TrainingSpec) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        _without(groups, "momentum", "beta"), betas=(spec.adam_beta1, spec.adam_beta2), eps=spec.adam_eps, fused=True
    )


def _adamw(groups: list[dict[str, Any]], spec: TrainingSpec) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        _without(groups, "momentum", "beta"), betas=(spec.adam_beta1, spec.adam_beta2), eps=spec.adam_eps, fused=True
    )


def _sgd(groups: list[dict[str, Any]], spec: TrainingSpec) -> torch.optim.Optimizer:
    return torch.optim.SGD(_without(groups, "beta"), nesterov=spec.nesterov, momentum=spec.momentum, fused=True)


OPTIMISERS: Mapping[str, Callable[[list[dict[str, Any]], TrainingSpec], torch.optim.Optimizer]] = {
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
    "sgd-beta": lambda groups, _: BetaMomentum(groups),
}


def _without(groups: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in group.items() if key not in names} for group in groups]


def parameter_groups(model: nn.Module, spec: TrainingSpec) -> list[dict[str, Any]]:
    """Return parameters that share their settings: `params, module, first_rate, lr, momentum, beta, weight_decay`.

    Weights and filters of the modules that have no settings of their own come first, then the rest of those (biases,
    batch norm), then the same of each named module.
    """
    check_modules(model, spec)
    groups: dict[tuple[str, bool], dict[str, Any]] = {}
    for module in ("", *spec.modules):
        own = spec.modules.get(module, {})
        rate = own.get("learning_rate", spec.learning_rate)
        for decays in (True, False):
            groups[module, decays] = {
                "params": [],
                "module": module,
                "first_rate": rate,
                "lr": rate,
                "momentum": own.get("momentum", spec.momentum),
                "beta": own.get("beta", spec.beta),
                "weight_decay": spec.l2 if decays else 0.0,
            }
    for name, parameter in model.named_parameters():
        groups[owner(name, spec.modules), parameter.ndim > 1]["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]


def owner(parameter: str, modules: Iterable[str]) -> str:
    """Return the innermost of some modules that a parameter belongs to; empty if it is in none."""
    return max((module for module in modules if parameter.startswith(f"{module}.")), key=len, default="")


def check_modules(model: nn.Module, spec: TrainingSpec) -> None:
    """Raise `UnknownNameError` with the nearest name if settings are for a module without parameters, or for none."""
    known = {
        name for name, module in model.named_modules() if name and next(module.parameters(), None) is not None
    }  # fmt: skip
    for name in spec.modules:
        if name not in known:
            outer = sorted(part for part in known if "." not in part)
            raise UnknownNameError("module", name, known, f"The outer ones are {', '.join(outer)}.")


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> float:
    """Set every group's learning rate to a share of its first one; return the share."""
    for group in optimiser.param_groups:
        group["lr"] = group["first_rate"] * factor
    return factor


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state by parameter name, such as `classify.weight.exp_avg`."""
    return {
        f"{name}.{part}": value
        for name, parameter in model.named_parameters()
        for part, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the state of `optimiser_tensors` back, in each parameter's memory layout."""
    parameters = dict(model.named_parameters())
    for key, tensor in tensors.items():
        name, _, part = key.rpartition(".")
        parameter = parameters[name]
        state = optimiser.state[parameter]
        if tensor.shape != (() if part == "step" else parameter.shape):
            raise ValueError(f"{key} has the shape {list(tensor.shape)}")
        if part == "step":  # a count, not a value for each weight
            state[part] = tensor.to(parameter.device)
        else:
            state[part] = torch.empty_like(parameter).copy_(tensor)
