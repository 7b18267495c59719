"""Recurrent layers: the LSTM with peepholes of Graves, layers with batch norm, and layers over windows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from featurestore.errors import UnknownNameError
from models.layers.convolution import MaskedBatchNorm
from models.layers.frames import RealFrames


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return a context that computes in the tensors' own types; devices without autocast do so anyway."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


class PeepholeLstm(nn.Module):
    """An LSTM whose gates also see the cell: equations 3 to 7 of Keren and Schuller, with diagonal peepholes.

    Windows that overlap share the input term of a frame, and all windows of a batch are one matrix product a step.

    Parameters
    ----------
    inputs, units : int
        Values of a frame, and of the hidden and of the cell state.
    positions : int
        1, or the frames of a window, where each position in the window has input matrices of its own.

    References
    ----------
    Keren and Schuller, "Convolutional RNN: an enhanced model for extracting features from sequential data", 2016;
    Graves, "Generating sequences with recurrent neural networks", 2013.
    """

    def __init__(self, inputs: int, units: int, *, positions: int = 1) -> None:
        super().__init__()
        self.units, self.positions = units, positions
        own = (positions,) if positions > 1 else ()
        self.weight_input = nn.Parameter(torch.zeros(*own, 4 * units, inputs))
        """Rows by gate: input, forget, cell, output."""
        self.weight_recurrent = nn.Parameter(torch.zeros(4 * units, units))
        self.peepholes = nn.Parameter(torch.zeros(3, units))
        """The diagonals of W_ci, W_cf and W_co."""
        self.bias = nn.Parameter(torch.zeros(4 * units))

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Map `[batch, frames, inputs]` to hidden and cell states, `[batch, frames, units]`."""
        hidden, cells = self.over_windows(steps, steps.shape[1], 1)
        return hidden.squeeze(2).transpose(0, 1), cells.squeeze(2).transpose(0, 1)

    def over_windows(self, steps: Tensor, size: int, shift: int, *, backwards: bool = False) -> tuple[Tensor, Tensor]:
        """Read each window of `size` frames, every `shift`, as a sequence of its own.

        Shape: `[batch, frames, inputs]` to hidden and cell states `[size, batch, windows, units]`. `backwards` reads
        windows from their last frame to their first; each state is at the frame where it was computed.
        """
        if self.positions > 1:
            windows = steps.unfold(1, size, shift)  # [batch, windows, inputs, size]
            terms = torch.einsum("bwis,sgi->bwsg", windows, self.weight_input) + self.bias
            terms, shift = terms.flatten(1, 2), size
        else:
            terms = nn.functional.linear(steps, self.weight_input, self.bias)
        states: tuple[Tensor, Tensor] = PeepholeRecurrence.apply(  # type: ignore[no-untyped-call]
            terms, self.weight_recurrent, self.peepholes, Windows(size, shift, backwards)
        )
        return states


@dataclass(frozen=True)
class Windows:
    """Windows of `size` frames, every `shift` frames, and the direction in which they are read."""

    size: int
    shift: int
    backwards: bool

    @property
    def order(self) -> range:
        """The positions in a window, in the order in which they are read."""
        return range(self.size)[::-1] if self.backwards else range(self.size)

    def count(self, frames: int) -> int:
        """Return how many windows fit into `frames` frames."""
        return max((frames - self.size) // self.shift + 1, 0)

    def frame(self, terms: Tensor, position: int) -> Tensor:
        """Return the frame at a position of every window: a view `[batch, windows, values]` of `terms`."""
        last = position + (self.count(terms.shape[1]) - 1) * self.shift
        return terms[:, position : last + 1 : self.shift]


class PeepholeRecurrence(torch.autograd.Function):
    """The recurrence of a peephole LSTM and its gradient, both in one loop over the frames of a window.

    Recorded operation by operation the loop would keep and read several times as many tensors.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, terms: Tensor, recurrent: Tensor, peepholes: Tensor, windows: Windows
    ) -> tuple[Tensor, Tensor]:
        """Map input terms `[batch, frames, 4 units]` to hidden and cell states `[size, batch, windows, units]`."""
        batch, frames, values = terms.shape
        shape, units = (windows.size, batch, windows.count(frames)), values // 4
        gates = terms.new_empty(*shape, values)
        hidden, cells = terms.new_empty(*shape, units), terms.new_empty(*shape, units)
        before = None
        for step in windows.order:
            gates[step].copy_(windows.frame(terms, step))
            if before is not None:  # the states before a window's first frame are zero
                gates[step].view(-1, values).addmm_(hidden[before].view(-1, units), recurrent.t())
            advance(gates[step], peepholes, None if before is None else cells[before], cells[step], hidden[step])
            before = step
        ctx.save_for_backward(recurrent, peepholes, gates, hidden, cells)
        ctx.windows, ctx.frames = windows, frames  # type: ignore[attr-defined]
        return hidden, cells

    @staticmethod
    def backward(ctx: Any, hidden_grad: Tensor, cells_grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401 (torch's context)
        """Return the gradients of input terms, recurrent weights and peepholes."""
        recurrent, peepholes, gates, hidden, cells = ctx.saved_tensors
        windows, (_, batch, _, values) = ctx.windows, gates.shape
        grads = torch.empty_like(gates)
        terms_grad = gates.new_zeros(batch, ctx.frames, values)
        order = list(windows.order)[::-1]
        hidden_flow, cell_flow = torch.zeros_like(hidden[0]), torch.zeros_like(cells[0])
        for step, before in zip(order, [*order[1:], None], strict=True):
            hidden_flow = hidden_flow.add_(hidden_grad[step])
            cell_flow = cell_flow.add_(cells_grad[step])
            past = None if before is None else cells[before]
            retreat(gates[step], peepholes, past, cells[step], hidden_flow, cell_flow, grads[step])
            windows.frame(terms_grad, step).add_(grads[step])
            if before is not None:
                hidden_flow = (grads[step].view(-1, values) @ recurrent).view_as(hidden_flow)
        return terms_grad, *weight_gradients(grads, hidden, cells, backwards=windows.backwards), None


def advance(gates: Tensor, peepholes: Tensor, past: Tensor | None, cell: Tensor, hidden: Tensor) -> None:
    """Compute one step in place: preactivations `[batch, windows, 4 units]` become gates; fill cell and hidden."""
    enter, forget, new, leave = gates.chunk(4, -1)
    if past is not None:
        enter.addcmul_(past, peepholes[0])
        forget.addcmul_(past, peepholes[1])
    gates[..., : 2 * cell.shape[-1]].sigmoid_()
    torch.mul(enter, new.tanh_(), out=cell)
    if past is not None:
        cell.addcmul_(forget, past)
    leave.addcmul_(cell, peepholes[2]).sigmoid_()
    torch.tanh(cell, out=hidden).mul_(leave)


def retreat(
    gates: Tensor,
    peepholes: Tensor,
    past: Tensor | None,
    cell: Tensor,
    hidden_flow: Tensor,
    cell_flow: Tensor,
    grads: Tensor,
) -> None:
    """Fill the gradients of one step's preactivations; `cell_flow` becomes that of the cell before."""
    enter, forget, new, leave = gates.chunk(4, -1)
    enter_grad, forget_grad, new_grad, leave_grad = grads.chunk(4, -1)
    squashed = cell.tanh()
    leave_grad.copy_(torch.ops.aten.sigmoid_backward(hidden_flow * squashed, leave))
    cell_flow += torch.ops.aten.tanh_backward(hidden_flow * leave, squashed)
    cell_flow.addcmul_(leave_grad, peepholes[2])
    enter_grad.copy_(torch.ops.aten.sigmoid_backward(cell_flow * new, enter))
    new_grad.copy_(torch.ops.aten.tanh_backward(cell_flow * enter, new))
    if past is None:
        forget_grad.zero_()
        return
    forget_grad.copy_(torch.ops.aten.sigmoid_backward(cell_flow * past, forget))
    cell_flow.mul_(forget).addcmul_(enter_grad, peepholes[0]).addcmul_(forget_grad, peepholes[1])


def weight_gradients(grads: Tensor, hidden: Tensor, cells: Tensor, *, backwards: bool) -> tuple[Tensor, Tensor]:
    """Return the gradients of recurrent weights `[4 units, units]` and peepholes `[3, units]`, over all steps."""
    now, before = (slice(None, -1), slice(1, None)) if backwards else (slice(1, None), slice(None, -1))
    recurrent = grads[now].flatten(0, 2).t() @ hidden[before].flatten(0, 2)
    enter, forget, _, leave = grads.chunk(4, -1)
    peepholes = [
        (enter[now] * cells[before]).sum((0, 1, 2)),
        (forget[now] * cells[before]).sum((0, 1, 2)),
        (leave * cells).sum((0, 1, 2)),
    ]
    return recurrent, torch.stack(peepholes)


class BiLstm(nn.Module):
    """Bidirectional LSTM layers; the answer is the last state of each direction of the last layer.

    Clips are packed, so each direction starts at the first or last real step and never sees padding.

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


SEQUENCES = ("hidden", "cell", "output")

WINDOW_FEATURES: dict[str, Callable[[Tensor], Tensor]] = {
    "last": lambda states: states[-1],
    "mean": lambda states: states.mean(0),
    "max": lambda states: states.amax(0),
}
"""What becomes of a window's states `[size, batch, windows, units]`: `[batch, windows, units]`."""


class ConvolutionalLstm(nn.Module):
    """A CLSTM layer: an LSTM reads every window of frames, and its states are the window's features.

    `bidirectional` makes it a CBLSTM, `extended` an Extended CLSTM, whose LSTM has input matrices of its own for each
    position in the window.

    Parameters
    ----------
    inputs, features : int
        Values of a frame, and units of the LSTM.
    size, shift : int
        Frames of a window, and between the starts of two.
    sequence : str
        `hidden` or `cell` states (a CBLSTM's two side by side), or the `output` y, a linear map of `output_of`.
    window : str
        The `last`, `mean` or `max` of the sequence.
    output_of : str
        What y is made of: `hidden` (equations 2 and 8) or `cell` states (equation 9).

    References
    ----------
    Keren and Schuller 2016, section III-C.
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        size: int = 5,
        shift: int = 2,
        sequence: str = "cell",
        window: str = "last",
        extended: bool = False,
        bidirectional: bool = False,
        output_of: str = "hidden",
    ) -> None:
        super().__init__()
        choices = {"sequence": (sequence, SEQUENCES), "window": (window, WINDOW_FEATURES)}
        for kind, (name, known) in {**choices, "output_of": (output_of, SEQUENCES[:2])}.items():
            if name not in known:
                raise UnknownNameError(kind, str(name), known)
        self.size, self.shift, self.window = size, shift, window
        self.source = output_of if sequence == "output" else sequence
        directions = 1 + bidirectional
        positions = size if extended else 1
        self.forwards = PeepholeLstm(inputs, features, positions=positions)
        self.backwards = PeepholeLstm(inputs, features, positions=positions) if bidirectional else None
        self.combine = nn.Linear(directions * features, features) if sequence == "output" else None
        self.outputs = features if sequence == "output" else directions * features

    def forward(self, steps: Tensor) -> Tensor:
        """Map `[batch, frames, inputs]` to `[batch, (frames - size) // shift + 1, outputs]`."""
        states = self._read(steps, self.forwards)
        if self.backwards is not None:
            states = torch.cat([states, self._read(steps, self.backwards)], -1)
        if self.combine is not None:
            states = self.combine(states)
        return WINDOW_FEATURES[self.window](states)

    def _read(self, steps: Tensor, lstm: PeepholeLstm) -> Tensor:
        """Return the states of one direction, `[size, batch, windows, features]`."""
        hidden, cells = lstm.over_windows(steps, self.size, self.shift, backwards=lstm is self.backwards)
        return hidden if self.source == "hidden" else cells


class WindowConvolution(nn.Module):
    """The standard layer of the same shape: an affine function of a window, then the logistic function.

    The paper writes sigma for the non-linearity, and defines sigma as the logistic function.

    Parameters
    ----------
    inputs, features : int
    size, shift : int
        Frames of a window, and between the starts of two.
    """

    def __init__(self, inputs: int, features: int, *, size: int = 5, shift: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, features, size, stride=shift)
        self.outputs = features

    def forward(self, steps: Tensor) -> Tensor:
        """Map `[batch, frames, inputs]` to `[batch, (frames - size) // shift + 1, features]`."""
        features: Tensor = self.conv(steps.transpose(1, 2)).sigmoid().transpose(1, 2)
        return features


def pool_windows(steps: Tensor, size: int = 2) -> Tensor:
    """Take the maximum of each group of `size` windows: `[batch, windows, n]` to `[batch, windows // size, n]`."""
    groups = steps.shape[1] // size
    return steps[:, : groups * size].reshape(len(steps), groups, size, -1).amax(2)
