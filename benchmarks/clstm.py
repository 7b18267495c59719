"""What a CLSTM layer costs beside torch's LSTM over the same windows.

    python benchmarks/clstm.py [--clips 16] [--frames 300] [--bands 26] [--rounds 7] [--device cpu]

One forward and backward pass of each, in interleaved rounds; the ratio is of the medians. torch's LSTM is given the
windows of 5 frames, every 2, as `[windows, 5, bands]`; it has no peepholes and its last hidden state is taken.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.layers.initialisation import draw_as_keras
from models.layers.recurrent import ConvolutionalLstm, WindowConvolution

FEATURES, SIZE, SHIFT = 100, 5, 2


class PlainLstm(nn.Module):
    """torch's LSTM over every window."""

    def __init__(self, bands: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bands, FEATURES, batch_first=True, bidirectional=bidirectional)

    def forward(self, steps: Tensor) -> Tensor:
        """Map `[batch, frames, bands]` to `[batch, windows, features]`."""
        windows = steps.unfold(1, SIZE, SHIFT).transpose(2, 3)  # [batch, windows, 5, bands]
        outputs, _ = self.lstm(windows.reshape(-1, SIZE, windows.shape[3]))
        return outputs[:, -1].view(len(steps), windows.shape[1], -1)


def layers(bands: int) -> dict[str, nn.Module]:
    """Return the layers to compare, by name."""
    found: dict[str, nn.Module] = {
        "lstm": PlainLstm(bands),
        "blstm": PlainLstm(bands, bidirectional=True),
        "convolution": WindowConvolution(bands, FEATURES),
        "clstm last": ConvolutionalLstm(bands, FEATURES),
        "clstm max": ConvolutionalLstm(bands, FEATURES, window="max"),
        "extended clstm": ConvolutionalLstm(bands, FEATURES, extended=True),
        "cblstm output": ConvolutionalLstm(
            bands, FEATURES, bidirectional=True, sequence="output", output_of="cell", window="max"
        ),
    }
    for layer in found.values():
        draw_as_keras(layer, torch.Generator().manual_seed(1))
    return found


def seconds(work: Callable[[], None], device: torch.device) -> float:
    """Return the seconds that a piece of work takes on a device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def step(layer: nn.Module, steps: Tensor) -> Callable[[], None]:
    """Return one forward and backward pass."""

    def work() -> None:
        layer.zero_grad(set_to_none=True)
        layer(steps).square().sum().backward()

    return work


def measure(clips: int, frames: int, bands: int, rounds: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Return milliseconds of a pass, by layer, and their ratio to torch's LSTM (a CBLSTM's: its bidirectional one)."""
    steps = torch.randn(clips, frames, bands, device=device, requires_grad=True)
    passes = {name: step(layer.to(device), steps) for name, layer in layers(bands).items()}
    times: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(rounds + 1):
        for name, work in passes.items():
            passed = seconds(work, device)
            if turn:  # the first turn warms up
                times[name].append(passed)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        name: {
            "milliseconds": round(1e3 * median, 2),
            "ratio": round(median / medians["blstm" if name.startswith("cblstm") else "lstm"], 2),
        }
        for name, median in medians.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clips", 16), ("frames", 300), ("bands", 26), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    found = measure(chosen.clips, chosen.frames, chosen.bands, chosen.rounds, torch.device(chosen.device))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
