"""The LSTM with peepholes of Graves, run over whole sequences or over many short windows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


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
        windows from their last frame to their first; states stand at the frame that they were computed at.
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
