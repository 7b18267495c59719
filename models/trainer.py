"""The training loop: one training, from its first step or its last checkpoint to the finished run."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featurestore.corpus.splits.types import class_notes
from models.batches.normalisation import SCOPES, Normalisation, fit
from models.batches.residence import reside, resolve_residence, row_bytes
from models.batches.samplers import make_sampler
from models.batches.spec_augment import SpecAugment
from models.data import Batch, FeatureView, ViewDataset
from models.errors import TrainingError
from models.evaluation import evaluate_model, has_copies, measure_view
from models.execution import Execution
from models.figures.running_metrics import GradientNorms, RunningMetrics
from models.finish import draw_run, finish_run, run_result, selection_measure, write_history
from models.layers.convolution import has_batch_norm, population_statistics
from models.optimisation.distributed import ALONE, Ranks
from models.optimisation.losses import make_loss
from models.optimisation.optimisers import make_optimiser, set_rate
from models.optimisation.schedules import ScheduleStep, best_epoch, rate_factor, stale_epochs
from models.progress import Progress, StepReport
from models.registry import build_model
from models.runs.records import write_sides
from models.runs.run import RunConfig
from models.training_spec import TrainingSpec
from models.training_state import TrainingState

REPORT_EVERY = 10
"""Steps between two reports: each reads the loss and so waits for the device."""
SHOWN_BATCHES = 32
"""Batches to measure batch norm with for a validation that is shown and decides nothing."""


ALL_ONCE: dict[str, Any] = {"drop_last": False, "balance": False, "repeat": {}, "copies_per_epoch": 0}
"""Settings of an order that takes every row of the training side once."""


class Sides(NamedTuple):
    """The views of a split."""

    train: FeatureView
    validation: FeatureView
    test: FeatureView


class Trainer:
    """One training, from its first step or its last checkpoint to the finished run.

    With several ranks each has a trainer; see `models.optimisation.distributed` for who does what.
    """

    def __init__(
        self,
        sides: Sides,
        config: RunConfig,
        folder: Path,
        execution: Execution,
        progress: Progress,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.sides, self.config, self.folder = sides, config, folder
        self.execution, self.progress, self.spec = execution, progress, config.training
        classes = config.classes
        held = {side: set(view.labels.tolist()) for side, view in sides._asdict().items()}
        self.notes = class_notes(held, classes)
        data = ViewDataset(sides.train, classes)
        others = [ViewDataset(view, classes) for view in (sides.validation, sides.test)]  # labels have to fit here too
        self.data = self._resident(data)
        self.execution = execution.normalising(self._measured([self.data, *others]))
        self.masks = SpecAugment(self.spec, ranks.rank, ranks.count)
        self.sampler = make_sampler(self.data, self.spec)
        model = build_model(config.model, len(classes), config.bands, seed=self.spec.seed, **config.settings)
        model = execution.place(model)
        if self.spec.compile:
            model.compile(dynamic=True)  # in place, so that weights keep their names; batches differ in length
        self.loss = make_loss(self.spec, classes, data.targets).to(execution.device)
        running = RunningMetrics(len(classes), execution.device)
        norms = GradientNorms(model) if self.spec.gradient_norms else None
        self.state = TrainingState(model, make_optimiser(model, self.spec), running, norms=norms)
        self.state.load(folder, config.id, ranks)
        self.steps = len(self.sampler)
        self.saved = time.monotonic()

    def _resident(self, dataset: ViewDataset) -> ViewDataset:
        place = resolve_residence(self.spec, dataset.view, self.execution.device)
        if place != "none":
            size = row_bytes(dataset.view) / 1e6
            self.progress.stage(f"holding {len(dataset):,} rows ({size:,.0f} MB) in {place.upper()} memory")
        return reside(dataset, place, self.execution.device)

    def _measured(self, datasets: list[ViewDataset]) -> Normalisation | None:
        if self.spec.normalisation not in ("none", "utterance"):
            self.progress.stage(f"measuring mean and deviation over {SCOPES[self.spec.normalisation].fitted_on}")
        return fit(self.spec, datasets)

    def run(self) -> dict[str, Any]:
        """Train the remaining epochs, choose the weights, measure them and write the run's files."""
        counters, spec = self.state.counters, self.spec
        for note in self.notes:
            self.progress.stage(f"note: {note}")
        while counters.epoch <= spec.epochs and not (0 < spec.patience <= stale_epochs(counters.history, spec.monitor)):
            self._epoch()
        return self.ranks.broadcast(self._finish)

    def _finish(self) -> dict[str, Any]:
        """Evaluate the chosen weights on validation and test, and write the run; copies of an utterance vote."""
        model, device = self.state.model, self.execution.device
        if self.spec.keep == "best" and self.state.best:
            model.load_state_dict(self.state.best)
        self.progress.stage("evaluating on validation and test")
        figures = {
            name: evaluate_model(model, view, self.config.classes, self.execution, vote=has_copies(view))
            for name, view in (("validation", self.sides.validation), ("test", self.sides.test))
        }
        result = run_result(self.folder, self.config, self.state, figures, device, self.ranks.count)
        write_sides(self.folder, self.sides._asdict())
        finish_run(self.folder, self.config, self.state, figures, result, self.execution.normalisation, self.notes)
        try:
            draw_run(self.folder, self.config, self.state.counters.history, figures)
        except Exception as error:  # whatever goes wrong here, the run itself is complete
            self.progress.stage(
                f"the run is complete, but its figures could not be drawn ({error}): "
                f"'featurestore report {self.folder}' draws them from its results"
            )
        return result

    def _epoch(self) -> None:
        counters, begun = self.state.counters, time.monotonic()
        self.sampler.set_epoch(counters.epoch, counters.step)
        self.state.model.train()
        order = list(self.sampler)
        self.steps = counters.step + len(order)
        with closing(self.execution.feed(self.data, map(self.ranks.share, order))) as feed:
            for rows, batch in zip(order, feed, strict=True):
                self._timed_step(rows, batch)
                if self._checkpoint_is_due():
                    counters.seconds += time.monotonic() - begun
                    begun = time.monotonic()
                    self._save()
        self.ranks.add(self.state.running_metrics.tensors().values())
        trained = self.state.running_metrics.figures()
        validated = self.ranks.broadcast(self._validate)
        counters.seconds += time.monotonic() - begun
        self._close_epoch(trained, validated)

    def _checkpoint_is_due(self) -> bool:
        """Tell whether enough time has passed; several ranks ask only where they wait for each other anyway."""
        if not self.spec.checkpoint_minutes or (self.ranks.count > 1 and not self._reports):
            return False
        return self.ranks.broadcast(lambda: self.spec.checkpoint_minutes * 60 < time.monotonic() - self.saved)

    @property
    def _reports(self) -> bool:
        step = self.state.counters.step
        return step % REPORT_EVERY == 0 or step == self.steps

    def _timed_step(self, rows: Sequence[int], batch: Batch) -> None:
        begun, counters = time.monotonic(), self.state.counters
        at = ScheduleStep(counters.epoch, counters.step, self.steps, counters.history)
        counters.rate = self.spec.learning_rate * set_rate(self.state.optimiser, rate_factor(self.spec, at))
        loss = self._step(self.masks(batch, counters.epoch, counters.step), self.ranks.counted(rows))
        counters.step += 1
        counters.clips += len(rows)
        value = float(loss) if self._reports else 0.0
        counters.step_seconds += time.monotonic() - begun
        if self._reports:
            self._report(value)

    def _step(self, batch: Batch, clips: int) -> Tensor:
        """Move the weights by a batch of which `clips` rows count; return its mean loss over all ranks."""
        model = self.state.model
        self.state.optimiser.zero_grad(set_to_none=True)
        logits = self.execution.logits(model, batch)
        losses = self.loss(logits, batch.labels)
        loss = self.ranks.backward(losses, clips, model)
        if self.state.norms:
            self.state.norms.add()
        if self.spec.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), self.spec.clip_norm)
        self.state.optimiser.step()
        if clips:
            self.state.running_metrics.add(losses.plain, logits, batch.labels)
        return loss

    def _report(self, loss: float) -> None:
        counters, steps = self.state.counters, self.steps
        self._refuse_infinite(loss, f"loss is {loss} in epoch {counters.epoch}, step {counters.step}")
        counters.losses.append((counters.step, loss))
        if self.state.norms:
            counters.norms.append((counters.step, self.state.norms.latest()))
        rate = counters.clips / max(counters.step_seconds, 1e-9)
        left = (self.spec.epochs - counters.epoch + 1) * steps - counters.step
        seconds_left = left * self.spec.batch_size / rate
        self.progress.step(StepReport(counters.epoch, self.spec.epochs, counters.step, steps, loss, rate, seconds_left))

    def _refuse_infinite(self, value: float | None, what: str) -> None:
        if value is not None and not math.isfinite(value):
            raise TrainingError(
                f"run {self.folder}: the {what}. Lower the learning rate ('--set learning_rate=...') or set clip_norm."
            )

    def _validate(self) -> dict[str, Any]:
        """Evaluate the very network that would be delivered if this epoch were the last."""
        if self.spec.batch_norm == "population" and has_batch_norm(self.state.model):
            self._measure_population()
        return measure_view(self.state.model, self.sides.validation, self.config.classes, self.execution).figures()

    def _measure_population(self) -> None:
        epoch, deciding = self.state.counters.epoch, bool(self.spec.deciding)
        batches = self.spec.population_batches
        if not deciding and epoch < self.spec.epochs:
            batches = min(batches or SHOWN_BATCHES, SHOWN_BATCHES)
        elif epoch in (1, self.spec.epochs):
            when = " before each validation" if deciding else ""
            self.progress.stage(f"measuring batch-norm statistics of the training side{when}")
        measure_population(self.state.model, self.data, self.spec, self.execution, batches)

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
        if self.spec.keep == "best" and best_epoch(counters.history, selection_measure(self.spec)) == counters.epoch:
            self.state.keep_as_best()
        self.state.begin_epoch()
        self._save()
        if self.ranks.first:
            write_history(self.folder, counters.history)
        self.progress.epoch(record)

    def _save(self) -> None:
        self.state.save(self.folder, self.config.id, self.ranks)
        self.saved = time.monotonic()


@torch.no_grad()
def measure_population(
    model: nn.Module, dataset: ViewDataset, spec: TrainingSpec, execution: Execution, batches: int = 0
) -> None:
    """Measure batch-norm statistics anew, over so many batches of the training side; 0 takes every row of it."""
    model.train()
    order = list(make_sampler(dataset, replace(spec, **ALL_ONCE)))
    with population_statistics(model):
        for batch in execution.feed(dataset, order[: batches or None]):
            execution.logits(model, batch)
