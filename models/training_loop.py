"""The training loop: one training, from its first step or its last checkpoint to the finished run."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from featurestore.files import write_atomically
from models.batches.loader import Batch, Sides, ViewDataset
from models.batches.normalisation import SCOPES, fit
from models.batches.residence import reside, resolve_residence, view_bytes
from models.batches.samplers import make_sampler
from models.batches.spec_augment import SpecAugment
from models.errors import TrainingError
from models.estimation import Estimation
from models.evaluation import Evaluation
from models.execution import Execution, device_name
from models.figures.running_metrics import GradientNorms
from models.layers.convolution import has_batch_norm, population_statistics
from models.networks import count_parameters
from models.objectives import objective_of
from models.optimisation.distributed import ALONE, Ranks
from models.optimisation.optimisers import make_optimiser, set_rate
from models.optimisation.schedules import ScheduleStep, best_epoch, rate_factor, stale_epochs
from models.reports.plots import figures_of, write_figure
from models.runs.checkpoint import write_json
from models.runs.folders import tested_before
from models.runs.records import predictions_name, write_predictions, write_sides
from models.runs.run import RunConfig, write_model
from models.training_spec import TrainingSpec
from models.training_state import CHECKPOINT, TrainingState

REPORT_EVERY = 10
"""Steps between two reports: each reads the loss and so waits for the device."""
SHOWN_BATCHES = 32
"""Batches to measure batch norm with for a validation that is shown and decides nothing."""
ALL_ONCE: dict[str, Any] = {"drop_last": False, "balance": False, "repeat": {}, "copies_per_epoch": 0}
"""Settings of an order that takes every row of the training side once."""


@dataclass(frozen=True)
class StepReport:
    """The state of a training."""

    epoch: int
    """The first is 1."""
    epochs: int
    step: int
    """Steps done in this epoch."""
    steps: int
    loss: float
    """Loss of the last batch."""
    clips_per_second: float
    seconds_left: float
    """Estimate for the remaining steps of all epochs, without validation."""


class TrainingProgress(Protocol):
    """Receives the reports of a training; the command line prints them, a notebook may plot them."""

    def step(self, report: StepReport) -> None:
        """Take the report of a step; there is one every few steps."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Take the record of a finished epoch: its line of `metrics.jsonl`."""

    def stage(self, text: str) -> None:
        """Take a line about what begins now, such as the final evaluation."""


class SilentTraining:
    """Progress of a training that nobody watches."""

    def step(self, report: StepReport) -> None:
        """Ignore a step."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Ignore an epoch."""

    def stage(self, text: str) -> None:
        """Ignore a stage."""


class Trainer:
    """One training; with several ranks each has a trainer, see `models.optimisation.distributed`."""

    def __init__(
        self,
        sides: Sides,
        config: RunConfig,
        folder: Path,
        execution: Execution,
        progress: TrainingProgress,
        ranks: Ranks = ALONE,
    ) -> None:
        self.sides, self.config, self.folder, self.ranks = sides, config, folder, ranks
        self.progress, self.spec = progress, config.training
        spec, self.objective = config.training, objective_of(config)
        self.notes = self.objective.notes(sides)
        data, *others = map(self.objective.dataset, sides)  # the targets of all sides have to fit
        place = resolve_residence(spec, sides.train, execution.device)
        if place != "none":
            size = view_bytes(sides.train) / 1e6
            progress.stage(f"holding {len(data):,} rows ({size:,.0f} MB) in {place.upper()} memory")
        self.data = reside(data, place, execution.device)
        if spec.normalisation not in ("none", "utterance"):
            progress.stage(f"measuring mean and deviation over {SCOPES[spec.normalisation].fitted_on}")
        self.execution = execution.normalising(fit(spec, [self.data, *others]))
        self.masks = SpecAugment(spec, ranks.rank, ranks.count)
        self.sampler = make_sampler(self.data, spec)
        model = config.build(seed=spec.seed)
        model = execution.place(model)
        if spec.compile:
            model.compile(dynamic=True)  # in place, so that weights keep their names; batches differ in length
        self.loss = self.objective.loss(spec, data).to(execution.device)
        running = self.objective.running(execution.device)
        norms = GradientNorms(model) if spec.gradient_norms else None
        self.state = TrainingState(model, make_optimiser(model, spec), running, norms=norms)
        self.state.load(folder, config.id, ranks)
        self.steps = len(self.sampler)
        self.saved = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Train the remaining epochs, choose the weights, measure them and write the run's files."""
        counters, spec = self.state.counters, self.spec
        for note in self.notes:
            self.progress.stage(f"note: {note}")
        while counters.epoch <= spec.epochs and not (0 < spec.patience <= stale_epochs(counters.history, spec.monitor)):
            self._epoch()
        return self.ranks.broadcast(self._finish)

    def _epoch(self) -> None:
        """Train the rest of an epoch, validate, and record it."""
        counters, begun, often = self.state.counters, time.monotonic(), self.spec.checkpoint_minutes * 60
        self.sampler.set_epoch(counters.epoch, counters.step)
        self.state.model.train()
        order = list(self.sampler)
        self.steps = counters.step + len(order)
        self.data.expect(chain.from_iterable(map(self.ranks.share, order)))
        with closing(self.execution.feed(self.data, map(self.ranks.share, order))) as feed:
            for rows, batch in zip(order, feed, strict=True):
                self._step(rows, batch)
                ask = often and (self.ranks.count == 1 or self._reports)  # several ranks wait for each other there
                if ask and self.ranks.broadcast(lambda: often < time.monotonic() - self.saved):
                    counters.seconds += time.monotonic() - begun
                    begun = time.monotonic()
                    self._save()
        self.ranks.add(self.state.running_metrics.tensors().values())
        trained = self.state.running_metrics.figures()
        validated = self.ranks.broadcast(self._validate)
        counters.seconds += time.monotonic() - begun
        self._close_epoch(trained, validated)

    @property
    def _reports(self) -> bool:
        step = self.state.counters.step
        return step % REPORT_EVERY == 0 or step == self.steps

    def _step(self, rows: Sequence[int], batch: Batch) -> None:
        """Move the weights by a batch, of whose rows this rank has its share."""
        begun, counters, state = time.monotonic(), self.state.counters, self.state
        at = ScheduleStep(counters.epoch, counters.step, self.steps, counters.history)
        counters.rate = self.spec.learning_rate * set_rate(state.optimiser, rate_factor(self.spec, at))
        batch, counted = self.masks(batch, counters.epoch, counters.step), self.ranks.counted(rows)
        state.optimiser.zero_grad(set_to_none=True)
        logits = self.execution.logits(state.model, batch)
        losses = self.loss(logits, batch.labels)
        mean = self.ranks.backward(losses, counted, state.model)
        if state.norms:
            state.norms.add()
        if self.spec.clip_norm:
            nn.utils.clip_grad_norm_(state.model.parameters(), self.spec.clip_norm)
        state.optimiser.step()
        if counted:
            self.objective.count(state.running_metrics, losses, logits, batch.labels)
        counters.step += 1
        counters.clips += len(rows)
        loss = float(mean) if self._reports else 0.0  # waits for the device, so before the clock is read
        counters.step_seconds += time.monotonic() - begun
        if not self._reports:
            return
        self._refuse_infinite(loss, f"loss is {loss} in epoch {counters.epoch}, step {counters.step}")
        counters.losses.append((counters.step, loss))
        if state.norms:
            counters.norms.append((counters.step, state.norms.latest()))
        epochs, rate = self.spec.epochs, counters.clips / max(counters.step_seconds, 1e-9)
        left = ((epochs - counters.epoch + 1) * self.steps - counters.step) * self.spec.batch_size / rate
        self.progress.step(StepReport(counters.epoch, epochs, counters.step, self.steps, loss, rate, left))

    def _refuse_infinite(self, value: float | None, what: str) -> None:
        if value is not None and not math.isfinite(value):
            raise TrainingError(
                f"run {self.folder}: the {what}. Lower the learning rate ('--set learning_rate=...') or set clip_norm."
            )

    def _validate(self) -> dict[str, Any]:
        """Evaluate the very network that would be delivered if this epoch were the last."""
        model, spec, epoch = self.state.model, self.spec, self.state.counters.epoch
        if spec.batch_norm == "population" and has_batch_norm(model):
            deciding, batches = bool(spec.deciding), spec.population_batches
            if not deciding and epoch < spec.epochs:
                batches = min(batches or SHOWN_BATCHES, SHOWN_BATCHES)
            elif epoch in (1, spec.epochs):
                when = " before each validation" if deciding else ""
                self.progress.stage(f"measuring batch-norm statistics of the training side{when}")
            measure_population(model, self.data, spec, self.execution, batches)
        return self.objective.measure(model, self.sides.validation, self.execution)

    def _close_epoch(self, trained: dict[str, Any], validated: dict[str, Any]) -> None:
        counters = self.state.counters
        self._refuse_infinite(validated["loss"], f"validation loss is {validated['loss']} in epoch {counters.epoch}")
        record = {
            "epoch": counters.epoch,
            "learning_rate": counters.rate,
            "train": trained,
            "validation": validated,
            "seconds": counters.seconds,
            "clips_per_second": counters.clips / max(counters.step_seconds, 1e-9),
            "losses": counters.losses,
        }
        if self.state.norms:
            record |= {"gradient_norms": self.state.norms.means(), "gradient_norm_steps": counters.norms}
        counters.history.append(record)
        if self.spec.keep == "best" and best_epoch(counters.history, self.spec.selected_by) == counters.epoch:
            self.state.keep_as_best()
        self.state.begin_epoch()
        self._save()
        if self.ranks.first:
            self._write_history()
        self.progress.epoch(record)

    def _save(self) -> None:
        self.state.save(self.folder, self.config.id, self.ranks)
        self.saved = time.monotonic()

    def _finish(self) -> dict[str, Any]:
        """Evaluate the chosen weights on validation and test, and write the run; copies of an utterance vote."""
        model, folder, history = self.state.model, self.folder, self.state.counters.history
        if self.spec.keep == "best" and self.state.best:
            model.load_state_dict(self.state.best)
        self.progress.stage("evaluating on validation and test")
        evaluations = {
            name: self.objective.judge(model, view, self.execution)
            for name, view in (("validation", self.sides.validation), ("test", self.sides.test))
        }
        write_sides(folder, self.sides._asdict())
        result = self._write(evaluations)
        try:
            for figure in figures_of(history):
                write_figure(figure.draw(history), folder / figure.file)
            for side, evaluation in evaluations.items():
                self.objective.draw(evaluation, side, folder)
        except Exception as error:  # whatever goes wrong here, the run itself is complete
            self.progress.stage(
                f"the run is complete, but its plots could not be drawn ({error}): "
                f"'featurestore report {folder}' draws them from its results"
            )
        return result

    def _write(self, evaluations: Mapping[str, Evaluation | Estimation]) -> dict[str, Any]:
        """Write weights, predictions and, last, `summary.json`, which makes a run complete; remove the checkpoint.

        Return the metrics of the epoch whose weights are kept, and the cost of the training.
        """
        folder, config, counters = self.folder, self.config, self.state.counters
        device, last = device_name(self.execution.device), counters.history[-1]
        best = best_epoch(counters.history, self.spec.selected_by)
        result = {
            "run": str(folder),
            "model": config.model,
            "parameters": count_parameters(self.state.model),
            "epochs": last["epoch"],
            "best_epoch": best or last["epoch"],
            "train": (counters.history[best - 1] if self.spec.keep == "best" and best else last)["train"],
            "validation": evaluations["validation"].figures(),
            "test": evaluations["test"].figures(),
            "seconds": round(counters.seconds, 3),
            "clips_per_second": round(counters.clips / max(counters.step_seconds, 1e-9), 1),
            "device": device if self.ranks.count == 1 else f"{self.ranks.count} x {device}",
        }
        metadata, weights = {"model": config.model, "config": config.id}, self.state.model.state_dict()
        sha256 = write_model(folder / "model.safetensors", weights, self.execution.normalisation, metadata)
        self._write_history()
        for side, evaluation in evaluations.items():
            write_predictions(folder / predictions_name(side), evaluation.predictions)
        summary = {
            "result": result,
            "model_sha256": sha256,
            "normalisation": dict(config.normalisation),
            "notes": self.notes,
            "tested_before": tested_before(folder, config),
            **{side: evaluation.summary() for side, evaluation in evaluations.items()},
        }
        write_json(folder / "summary.json", summary)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return result

    def _write_history(self) -> None:
        """Write `metrics.jsonl`, a line for each epoch."""
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in self.state.counters.history)
        write_atomically(self.folder / "metrics.jsonl", lines.encode())


@torch.no_grad()
def measure_population(
    model: nn.Module, dataset: ViewDataset, spec: TrainingSpec, execution: Execution, batches: int = 0
) -> None:
    """Measure batch-norm statistics again, over this many batches of the training side; 0 takes every row of it."""
    model.train()
    order = list(make_sampler(dataset, replace(spec, **ALL_ONCE)))
    with population_statistics(model):
        for batch in execution.feed(dataset, order[: batches or None]):
            execution.logits(model, batch)
