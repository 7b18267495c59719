"""First weights drawn from a generator, by the rules of the libraries that the sources were written with."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

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
            _draw_lstm(module, generator)
        elif isinstance(module, PeepholeLstm):
            _draw_peephole_lstm(module, generator)


def seeded() -> torch.Generator:
    """Return the generator of a model that is built without one."""
    return torch.Generator().manual_seed(0)


def _draw_lstm(lstm: nn.LSTM, generator: torch.Generator) -> None:
    rules: dict[str, Callable[..., Tensor]] = {"weight_ih": nn.init.xavier_uniform_, "weight_hh": nn.init.orthogonal_}
    for name, values in lstm.named_parameters():
        draw = rules.get(name[:9])
        if draw:
            draw(values, generator=generator)
            continue
        values.zero_()
        if name.startswith("bias_ih"):
            values[lstm.hidden_size : 2 * lstm.hidden_size] = 1  # PyTorch's gate order: input, forget, cell, output


def _draw_peephole_lstm(lstm: PeepholeLstm, generator: torch.Generator) -> None:
    for matrix in lstm.weight_input.reshape(-1, *lstm.weight_input.shape[-2:]):
        nn.init.xavier_uniform_(matrix, generator=generator)
    nn.init.orthogonal_(lstm.weight_recurrent, generator=generator)
    lstm.peepholes.zero_()
    lstm.bias.zero_()
    lstm.bias[lstm.units : 2 * lstm.units] = 1
