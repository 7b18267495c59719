"""Bidirectional LSTM layers over clips of different length, with batch norm of the input term where it is asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from models.networks.frames import RealFrames
from models.networks.layers import MaskedBatchNorm


class BiLstm(nn.Module):
    """Bidirectional LSTM layers; the answer is the last state of each direction of the last layer.

    Clips are packed, so each direction begins at the first or last real step and meets no padding.

    Parameters
    ----------
    inputs, hidden : int
        Values of a step, and units of each direction.
    layers : int
    batch_norm : bool
        Normalise the input-to-hidden term of every layer and direction, see `SequenceBatchNorm`.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            BiLstmLayer(2 * hidden if layer else inputs, hidden, batch_norm=batch_norm) for layer in range(layers)
        )

    def forward(self, steps: Tensor, real: RealFrames) -> Tensor:
        """Map `[batch, steps, inputs]`, clips from step 0 on, to `[batch, 2 hidden]`."""
        sequence = pack_padded_sequence(steps, real.lengths, batch_first=True, enforce_sorted=False)
        states = steps.new_zeros(0)
        for layer in self.layers:
            sequence, states = layer(sequence)
        return states.transpose(0, 1).flatten(1)


class BiLstmLayer(nn.Module):
    """One bidirectional LSTM layer over packed clips.

    With batch norm the normalised input term `s W x + t` is that of an LSTM with weights `s W` and bias `b + t`: so
    torch's fast LSTM computes it, with no loop over steps here.
    """

    def __init__(self, inputs: int, hidden: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, bidirectional=True)
        self.norms = nn.ModuleList(SequenceBatchNorm() for _ in range(2 * batch_norm))

    def forward(self, sequence: PackedSequence) -> tuple[PackedSequence, Tensor]:
        """Map packed steps to packed steps of `2 hidden` values and the last states `[2, batch, hidden]`."""
        if not len(self.norms):
            outputs, (states, _) = self.lstm(sequence)
            return outputs, states
        batch = int(sequence.batch_sizes[0])
        zeros = sequence.data.new_zeros(2, batch, self.lstm.hidden_size)
        weights = [weight for direction in (0, 1) for weight in self._normalised(sequence.data, direction)]
        data, states, _ = torch.lstm(
            sequence.data, sequence.batch_sizes, (zeros, zeros), weights, True, 1, 0.0, self.training, True
        )
        order = sequence.unsorted_indices
        packed = PackedSequence(data, sequence.batch_sizes, sequence.sorted_indices, order)
        return packed, states if order is None else states[:, order]

    def _normalised(self, values: Tensor, direction: int) -> list[Tensor]:
        """Return the weights of a direction with the batch norm of `values [all real steps, inputs]` in them."""
        suffix = "_reverse" if direction else ""
        names = (f"{name}_l0{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        inputs, recurrent, bias, second = (self.lstm.get_parameter(name) for name in names)
        scale, shift = self.norms[direction](values, inputs)
        return [scale * inputs, recurrent, bias + shift, second]


class SequenceBatchNorm(nn.Module):
    """The batch norm of `W x`: one mean and one variance over clips, real steps and features together.

    Gain and shift are single numbers too, as the statistics are (left open by the source).

    References
    ----------
    Etienne et al., "CNN+LSTM architecture for speech emotion recognition with data augmentation", 2018, equations 3
    to 5.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(1)

    def forward(self, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and shift, `[1]`, of the product of `values [steps, inputs]` and `weights [outputs, inputs]`."""
        norm = self.norm
        if not self.training:
            scale, shift = norm(norm.running_mean, norm.running_var, 1)
            return scale, shift
        product = F.linear(values, weights)
        variance, mean = torch.var_mean(product, correction=0)
        scale, shift = norm(mean.view(1), variance.view(1), float(product.numel()))
        return scale, shift
