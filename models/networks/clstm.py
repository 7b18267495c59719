"""Layers that turn windows of a few frames into features: by a convolution, or by an LSTM that reads each window."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from featurestore.errors import UnknownNameError
from models.networks.peephole_lstm import PeepholeLstm

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
