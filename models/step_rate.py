"""How fast a network trains here: a step is timed, on clips that mean nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)

from models.execution import choose_device
from models.networks import build_model

TIMED_STEPS = 2


def step_rate(
    name: str, settings: Mapping[str, Any], *, classes: int, bands: int, frames: int, batch: int, device: str = "auto"
) -> float:
    """Return the clips per second of a network's training step, the fastest of a few after the first.

    Parameters
    ----------
    frames, batch : int
        Frames of each clip, and clips of a step.
    """
    place = choose_device(device)
    model = build_model(name, classes, bands, **settings).to(place).train()
    features = torch.zeros(batch, frames, bands, device=place)
    lengths, labels = torch.full((batch,), frames), torch.zeros(batch, dtype=torch.long, device=place)
    seconds = []
    for _ in range(1 + TIMED_STEPS):
        began = time.perf_counter()
        F.cross_entropy(model(features, lengths), labels).backward()  # type: ignore[no-untyped-call]
        if place.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return batch / min(seconds[1:])
