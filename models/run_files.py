"""What a training leaves in its run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models import metrics
from models.checkpoint import write_atomically, write_json, write_tensors
from models.plots import confusion_figure, training_figure, write_figure
from models.runs import RunConfig
from models.tally import Tally
from models.training_state import CHECKPOINT, TrainingState


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write `metrics.jsonl`, a line for each epoch."""
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in history)
    write_atomically(folder / "metrics.jsonl", lines.encode())


def finish_run(
    folder: Path, config: RunConfig, state: TrainingState, figures: Mapping[str, Tally], result: Mapping[str, Any]
) -> None:
    """Write weights, plots and, last, `summary.json`: a run with a summary is complete.

    The checkpoint is removed then.
    """
    metadata = {"model": config.model, "config": config.id}
    sha256 = write_tensors(folder / "model.safetensors", state.model.state_dict(), metadata)
    write_history(folder, state.counters.history)
    write_figure(training_figure(state.counters.history), folder / "training")
    summaries = {}
    for side, tally in figures.items():
        summaries[side] = metrics.summary(tally.confusion, config.classes)
        write_figure(confusion_figure(tally.confusion, config.classes, side), folder / f"confusion-{side}")
    write_json(folder / "summary.json", {"result": result, "model_sha256": sha256, **summaries})
    (folder / CHECKPOINT).unlink(missing_ok=True)
