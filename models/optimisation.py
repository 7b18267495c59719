"""Adam as the source's software uses it, and its state as named tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.training_spec import TrainingSpec

STATE = ("step", "exp_avg", "exp_avg_sq")


def make_optimiser(model: nn.Module, spec: TrainingSpec) -> torch.optim.Adam:
    """Return Adam with L2 in the gradient of weight matrices and filters, and of nothing else.

    `weight_decay` of torch's Adam is L2 added to the gradient (not AdamW's decay), as in the source's software,
    which leaves biases alone too.
    """
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": spec.l2}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.Adam(groups, lr=spec.learning_rate, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state by parameter name."""
    return {
        f"{name}.{part}": optimiser.state[parameter][part]
        for name, parameter in model.named_parameters()
        if parameter in optimiser.state
        for part in STATE
    }


def restore_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the state of `optimiser_tensors` back, in each parameter's memory layout."""
    for name, parameter in model.named_parameters():
        if f"{name}.step" in tensors:
            state = {part: torch.empty_like(parameter).copy_(tensors[f"{name}.{part}"]) for part in STATE[1:]}
            optimiser.state[parameter] = {"step": tensors[f"{name}.step"].to(parameter.device), **state}
