"""What a training says in the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.devices import device_name
from models.evaluation import Judgement
from models.optimisation.monitoring import best_epoch
from models.registry import count_parameters
from models.runs.run import RunConfig
from models.training_spec import TrainingSpec
from models.training_state import TrainingState


def kept_by(spec: TrainingSpec) -> str:
    """Return the validation figure that the best epoch is chosen by."""
    return spec.keep_monitor or spec.monitor


def run_result(
    folder: Path,
    config: RunConfig,
    state: TrainingState,
    figures: Mapping[str, Judgement],
    device: torch.device,
    processes: int = 1,
) -> dict[str, Any]:
    """Return the result of `models.training.train`: the figures of the epoch whose weights are kept, and the cost."""
    counters, spec = state.counters, config.training
    best = best_epoch(counters.history, kept_by(spec))
    last = counters.history[-1]
    kept = counters.history[best - 1] if spec.keep == "best" and best else last
    name = device_name(device)
    return {
        "run": str(folder),
        "model": config.model,
        "parameters": count_parameters(state.model),
        "epochs": last["epoch"],
        "best_epoch": best or last["epoch"],
        "train": kept["train"],
        "validation": figures["validation"].figures(),
        "test": figures["test"].figures(),
        "seconds": round(counters.seconds, 3),
        "clips_per_second": round(counters.clips / max(counters.step_seconds, 1e-9), 1),
        "device": name if processes == 1 else f"{processes} x {name}",
    }
