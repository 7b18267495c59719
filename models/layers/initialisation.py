"""First weights drawn from a generator, by the rules of the libraries that the sources were written with."""

from __future__ import annotations

import math

import torch
from torch import nn

from models.layers.recurrent import PeepholeLstm

CONNECTED = (nn.Linear, nn.Conv1d, nn.Conv2d)


@torch.no_grad()
def draw_as_pytorch(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw weights and biases uniformly within 1 / sqrt(inputs), those of an LSTM within 1 / sqrt(hidden).

    None draws from a generator seeded with 0, here and below.
    """
    generator = generator or seeded()
    for module in model.modules():
        if isinstance(module, (*CONNECTED, nn.LSTM)):
            bound = 1 / math.sqrt(module.hidden_size if isinstance(module, nn.LSTM) else module.weight[0].numel())
            for values in module.parameters():
                values.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def draw_as_keras(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw Glorot weights and orthogonal recurrent weights; biases are zero but for open forget gates.

    PyTorch's second LSTM bias and peepholes start at zero, as if they were not there. MATLAB draws by the same rules.
    """
    generator = generator or seeded()
    for module in model.modules():
        if isinstance(module, CONNECTED):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.LSTM):
            for name, values in module.named_parameters():
                if name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(values, generator=generator)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(values, generator=generator)
                else:
                    values.zero_()
                if name.startswith("bias_ih"):  # PyTorch's gate order: input, forget, cell, output
                    values[module.hidden_size : 2 * module.hidden_size] = 1
        elif isinstance(module, PeepholeLstm):
            for matrix in module.weight_input.reshape(-1, *module.weight_input.shape[-2:]):
                nn.init.xavier_uniform_(matrix, generator=generator)
            nn.init.orthogonal_(module.weight_recurrent, generator=generator)
            module.peepholes.zero_()
            module.bias.zero_()
            module.bias[module.units : 2 * module.units] = 1


def seeded() -> torch.Generator:
    """Return the generator of a model that is built without one."""
    return torch.Generator().manual_seed(0)
