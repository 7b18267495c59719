"""The convolutional recurrent networks of Keren and Schuller 2016 (system E)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from featurestore.errors import SpecError, UnknownNameError
from models.layers.frames import RealFrames, check_sizes, clips_from_zero
from models.layers.initialisation import draw_as_keras
from models.layers.recurrent import ConvolutionalLstm, PeepholeLstm, WindowConvolution, pool_windows, without_autocast
from models.networks import ModelCard

FEATURES, HIDDEN, DENSE = 100, 256, 400
SIZE, SHIFT, POOL = 5, 2, 2
"""Frames of a window, frames between two windows, and windows that are pooled into one."""


@dataclass(frozen=True)
class Task:
    """What differs between the source's experiments."""

    layers: int
    """Front-end layers."""
    bidirectional: bool
    last: int
    """Steps before a clip's end that are averaged; 0 averages over all."""
    window: str
    """What becomes of the states of a window."""


TASKS = {"emotion": Task(2, False, 4, "last"), "age-gender": Task(1, True, 0, "max")}
WINDOWS: dict[str, Any] = {"features": FEATURES, "size": SIZE, "shift": SHIFT}
FRONT_ENDS: dict[str, Callable[..., nn.Module]] = {
    "standard": lambda inputs, **_: WindowConvolution(inputs, **WINDOWS),
    "clstm": partial(ConvolutionalLstm, **WINDOWS),
    "extended-clstm": partial(ConvolutionalLstm, **WINDOWS, extended=True),
    "cblstm": partial(ConvolutionalLstm, **WINDOWS, bidirectional=True),
}


class KerenNetwork(nn.Module):
    """Layers of window features with max pooling, an LSTM with peepholes, and a dense layer on each step.

    The answer is the logarithm of the averaged softmax, so that a cross entropy on it is that of the averaged
    probabilities. A clip too short for one step is read as if zeros followed it (up to 7 frames for one front-end
    layer, 31 for two).

    Parameters
    ----------
    bands : int
        Values of a frame; the source has 26 log-mel bands or 25 eGeMAPS descriptors.
    front_end : str
        `baseline` (none), `standard`, `clstm`, `extended-clstm` or `cblstm`.
    task : str
        `emotion`: two front-end layers, an LSTM, average over the last four steps; `age-gender`: one layer, an LSTM
        in both directions (equation 8), average over all steps.
    layers : int
        Front-end layers, 1 to 3; 0 takes the task's.
    sequence, window, output_of : str
        Which states of an LSTM front end make its features, see `ConvolutionalLstm`; the window `task` takes the
        task's: `last` for emotion, `max` for age and gender.

    References
    ----------
    Keren and Schuller, "Convolutional RNN: an enhanced model for extracting features from sequential data", 2016.
    """

    def __init__(
        self,
        classes: int,
        bands: int = 26,
        *,
        front_end: str = "baseline",
        task: str = "emotion",
        layers: int = 0,
        sequence: str = "cell",
        window: str = "task",
        output_of: str = "hidden",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        name = f"keren-{front_end}"
        check_sizes(name, classes, bands, fits=bands >= 1, wanted="1 band or more")
        if task not in TASKS:
            raise UnknownNameError("task", str(task), TASKS)
        if not 0 <= layers <= 3:
            raise SpecError(f"{name} has 1 to 3 front-end layers (0: the task's), not {layers}.")
        self.task, self.front_end = TASKS[task], nn.ModuleList()
        for _ in range(0 if front_end == "baseline" else layers or self.task.layers):
            chosen = self.task.window if window == "task" else window
            layer = FRONT_ENDS[front_end](bands, sequence=sequence, window=chosen, output_of=output_of)
            self.front_end.append(layer)
            bands = int(layer.outputs)  # type: ignore[arg-type]
        directions = 1 + self.task.bidirectional
        self.lstms = nn.ModuleList(PeepholeLstm(bands, HIDDEN) for _ in range(directions))
        self.dense = nn.Linear(directions * HIDDEN, DENSE)
        self.classify = nn.Linear(DENSE, classes)
        draw_as_keras(self, generator)

    def forward(self, features: Tensor, lengths: Tensor, starts: Tensor | None = None) -> Tensor:
        """Map `features [batch, frames, bands]` to log probabilities `[batch, classes]`."""
        minimum = frames_needed(len(self.front_end))
        steps, real = clips_from_zero(features, lengths, starts, minimum=minimum)
        with without_autocast(steps.device):
            steps, real = self.extract(steps.float(), real)
            logits: Tensor = self.classify(F.relu(self.dense(self.recur(steps, real))))  # [batch, steps, classes]
        return mean_log_softmax(logits, real, self.task.last)

    def extract(self, steps: Tensor, real: RealFrames) -> tuple[Tensor, RealFrames]:
        """Map `[batch, frames, bands]` to the pooled features of the last front-end layer `[batch, steps, 100]`."""
        for layer in self.front_end:
            steps = pool_windows(layer(steps), POOL)
            real = real.windowed(SIZE, SHIFT).windowed(POOL, POOL)
        return steps, real

    def recur(self, steps: Tensor, real: RealFrames) -> Tensor:
        """Return the hidden states of all directions at every step, `[batch, steps, directions * 256]`."""
        outputs: list[Tensor] = [self.lstms[0](steps)[0]]
        if self.task.bidirectional:
            outputs.append(reverse_clips(self.lstms[1](reverse_clips(steps, real))[0], real))
        return torch.cat(outputs, -1)


def frames_needed(layers: int) -> int:
    """Return the frames of which front-end layers leave one step."""
    frames = 1
    for _ in range(layers):
        frames = SIZE + (POOL * frames - 1) * SHIFT
    return frames


def reverse_clips(steps: Tensor, real: RealFrames) -> Tensor:
    """Put each clip's real steps in the opposite order, `[batch, steps, values]`; padding after them stays."""
    time = torch.arange(steps.shape[1], device=steps.device)
    lengths = real.placed[1][:, None]
    index = torch.where(time < lengths, lengths - 1 - time, time)
    return steps.gather(1, index[:, :, None].expand_as(steps))


def mean_log_softmax(logits: Tensor, real: RealFrames, last: int) -> Tensor:
    """Average the softmax over a clip's last `last` steps, or over all if 0: log probabilities `[batch, classes]`."""
    time = torch.arange(logits.shape[1], device=logits.device)
    lengths = real.placed[1][:, None]
    count = lengths.clamp(max=last) if last else lengths
    counts = (time < lengths) & (time >= lengths - count)
    logs = logits.log_softmax(2).masked_fill(~counts[:, :, None], -torch.inf)
    return logs.logsumexp(1) - count.log()


CARD = ModelCard(
    KerenNetwork,
    input="keren: log-mel rows [frames, 26], or egemaps: [frames, 25]",
    source="Keren and Schuller, Convolutional RNN, 2016",
    parameters=395_365,
    classes=5,
    bands=26,
    other_bands=(25,),
    settings=("task",),
    probabilities=True,
)
STANDARD = replace(
    CARD,
    builder=partial(KerenNetwork, front_end="standard"),
    parameters=534_341,
    time_stride=16,
    settings=("task", "layers"),
)
CLSTM = replace(
    STANDARD,
    builder=partial(KerenNetwork, front_end="clstm"),
    parameters=602_941,
    settings=("task", "layers", "sequence", "window", "output_of"),
)
CBLSTM = partial(KerenNetwork, front_end="cblstm", task="age-gender", sequence="output", output_of="cell")
NETWORKS = {
    "keren-baseline": CARD,
    "keren-standard": STANDARD,
    "keren-clstm": CLSTM,
    "keren-extended-clstm": replace(
        CLSTM, builder=partial(KerenNetwork, front_end="extended-clstm"), parameters=804_541
    ),
    "keren-cblstm": replace(CLSTM, builder=CBLSTM, parameters=1_061_776, time_stride=4, classes=4),
}
