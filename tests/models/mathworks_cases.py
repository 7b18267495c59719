"""The network of system A far from its start, and clips for it."""

from __future__ import annotations

import model_cases
import torch

from models import build_model
from models.networks.mathworks import TIME_STRIDE

NAME = "mathworks-cnn-lstm"


def unsettled_model(**settings):
    """A model whose batch norms are far from their start: negative scales, shifts, statistics of their own."""
    model = build_model(NAME, 7, 128, **settings)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for block in model.blocks:
            for values in (block.norm.weight, block.norm.bias, block.conv.bias, block.norm.running_mean):
                values.uniform_(-1, 1, generator=generator)
            block.norm.running_var.uniform_(1, 9, generator=generator)
    return model


def clips(lengths, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, 128, generator=generator) * 3 - 7 for length in lengths]


def padded(rows, **places):
    """Batch clips with padding that holds rubbish, see `model_cases.padded`; left padding in multiples of 16."""
    return model_cases.padded(rows, multiple=TIME_STRIDE, **places)
