"""What a training writes into its run folder at its end, and the result that it returns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.batches.normalisation import Normalisation
from models.devices import device_name
from models.evaluation import Evaluation
from models.optimisation.schedules import best_epoch
from models.registry import count_parameters
from models.reports.plots import figures_of, write_confusion, write_figure
from models.runs.checkpoint import write_atomically, write_json
from models.runs.records import predictions_name, write_predictions
from models.runs.run import RunConfig, write_model
from models.training_spec import TrainingSpec
from models.training_state import CHECKPOINT, TrainingState


def selection_measure(spec: TrainingSpec) -> str:
    """Return the validation figure that the best epoch is chosen by."""
    return spec.keep_monitor or spec.monitor


def run_result(
    folder: Path,
    config: RunConfig,
    state: TrainingState,
    figures: Mapping[str, Evaluation],
    device: torch.device,
    processes: int = 1,
) -> dict[str, Any]:
    """Return the result of `models.training.train`: the figures of the epoch whose weights are kept, and the cost."""
    counters, spec = state.counters, config.training
    best = best_epoch(counters.history, selection_measure(spec))
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


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write `metrics.jsonl`, a line for each epoch."""
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in history)
    write_atomically(folder / "metrics.jsonl", lines.encode())


def finish_run(
    folder: Path,
    config: RunConfig,
    state: TrainingState,
    figures: Mapping[str, Evaluation],
    result: Mapping[str, Any],
    normalisation: Normalisation | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write weights, predictions and, last, `summary.json`: a run with a summary is complete.

    The checkpoint is removed then. Figures come after all that, see `draw_run`: none can undo a training.
    """
    metadata = {"model": config.model, "config": config.id}
    sha256 = write_model(folder / "model.safetensors", state.model.state_dict(), normalisation, metadata)
    write_history(folder, state.counters.history)
    summaries = {}
    for side, evaluation in figures.items():
        summaries[side] = evaluation.summary()
        write_predictions(folder / predictions_name(side), evaluation.predictions)
    document = {"result": result, "model_sha256": sha256, "normalisation": dict(config.normalisation), "notes": notes}
    write_json(folder / "summary.json", {**document, **summaries})
    (folder / CHECKPOINT).unlink(missing_ok=True)


def draw_run(
    folder: Path, config: RunConfig, history: Sequence[Mapping[str, Any]], figures: Mapping[str, Evaluation]
) -> None:
    """Write the figures of a finished run: its curves and the confusion matrix of each side."""
    for one in figures_of(history):
        write_figure(one.draw(history), folder / one.file)
    for side, evaluation in figures.items():
        write_confusion(evaluation.confusion, config.classes, side, folder / f"confusion-{side}")
