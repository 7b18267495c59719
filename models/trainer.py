"""The training loop: one training, from its first step or its last checkpoint to the finished run."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (the usual name)
from torch import Tensor, nn

from models.data import Batch, FeatureView, ViewDataset
from models.devices import device_name
from models.errors import TrainingError
from models.evaluation import tally_view
from models.execution import Execution
from models.layers import population_statistics
from models.optimisation import make_optimiser, set_rate
from models.progress import Progress, StepReport
from models.registry import build_model, count_parameters
from models.residence import reside, row_bytes, settled_residence
from models.run_files import finish_run, write_history
from models.runs import RunConfig
from models.samplers import BatchSampler
from models.tally import Tally
from models.training_spec import TrainingSpec
from models.training_state import TrainingState

REPORT_EVERY = 10
"""Steps between two reports: each reads the loss and so waits for the device."""


class Sides(NamedTuple):
    """The views of a split."""

    train: FeatureView
    validation: FeatureView
    test: FeatureView


class Trainer:
    """One training, from its first step or its last checkpoint to the finished run."""

    def __init__(self, sides: Sides, config: RunConfig, folder: Path, execution: Execution, progress: Progress) -> None:
        self.sides, self.config, self.folder = sides, config, folder
        self.execution, self.progress, self.spec = execution, progress, config.training
        classes = config.classes
        data = ViewDataset(sides.train, classes)
        for view in (sides.validation, sides.test):
            ViewDataset(view, classes)  # labels that do not fit are found before hours are spent
        self.data = self._resident(data)
        self.sampler = make_sampler(self.data, self.spec)
        model = build_model(config.model, len(classes), config.bands, seed=self.spec.seed, **config.settings)
        model = execution.place(model)
        if self.spec.compile:
            model.compile(dynamic=True)  # in place, so that weights keep their names; batches differ in length
        tally = Tally(len(classes), execution.device)
        self.state = TrainingState(model, make_optimiser(model, self.spec), tally)
        self.state.load(folder, config.id)
        self.saved = time.monotonic()

    def _resident(self, dataset: ViewDataset) -> ViewDataset:
        place = settled_residence(self.spec, dataset.view, self.execution.device)
        if place != "none":
            size = row_bytes(dataset.view) / 1e6
            self.progress.stage(f"holding {len(dataset):,} rows ({size:,.0f} MB) in {place.upper()} memory")
        return reside(dataset, place, self.execution.device)

    def run(self) -> dict[str, Any]:
        """Train the remaining epochs, choose the weights, measure them and write the run's files."""
        counters = self.state.counters
        while counters.epoch <= self.spec.epochs and not self._stale:
            self._epoch()
        self._choose_weights()
        figures = self._evaluate()
        result = self._result(figures)
        finish_run(self.folder, self.config, self.state, figures, result)
        return result

    @property
    def _stale(self) -> bool:
        return 0 < self.spec.patience <= self.state.counters.stale

    def _epoch(self) -> None:
        counters, begun = self.state.counters, time.monotonic()
        set_rate(self.state.optimiser, self.spec.rate(counters.epoch))
        self.sampler.set_epoch(counters.epoch, counters.step)
        self.state.model.train()
        with closing(self.execution.feed(self.data, self.sampler)) as feed:
            for batch in feed:
                self._timed_step(batch)
                if 0 < self.spec.checkpoint_minutes * 60 < time.monotonic() - self.saved:
                    counters.seconds += time.monotonic() - begun
                    begun = time.monotonic()
                    self._save()
        trained = self.state.tally.figures()
        validated = self._validate()
        counters.seconds += time.monotonic() - begun
        self._close_epoch(trained, validated)

    def _timed_step(self, batch: Batch) -> None:
        begun, counters = time.monotonic(), self.state.counters
        loss = self._step(batch)
        counters.step += 1
        counters.clips += len(batch.labels)
        reports = counters.step % REPORT_EVERY == 0 or counters.step == len(self.sampler)
        value = float(loss) if reports else 0.0
        counters.step_seconds += time.monotonic() - begun
        if reports:
            self._report(value)

    def _step(self, batch: Batch) -> Tensor:
        self.state.optimiser.zero_grad(set_to_none=True)
        logits = self.execution.logits(self.state.model, batch)
        loss = F.cross_entropy(logits, batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.spec.clip_norm:
            nn.utils.clip_grad_norm_(self.state.model.parameters(), self.spec.clip_norm)
        self.state.optimiser.step()
        self.state.tally.add(loss, logits, batch.labels)
        return loss.detach()

    def _report(self, loss: float) -> None:
        counters, steps = self.state.counters, len(self.sampler)
        if not math.isfinite(loss):
            raise TrainingError(
                f"run {self.folder}: the loss is {loss} in epoch {counters.epoch}, step {counters.step}. "
                "Lower the learning rate ('--set learning_rate=...') or set clip_norm."
            )
        counters.losses.append((counters.step, loss))
        rate = counters.clips / max(counters.step_seconds, 1e-9)
        left = (self.spec.epochs - counters.epoch + 1) * steps - counters.step
        seconds_left = left * self.spec.batch_size / rate
        self.progress.step(StepReport(counters.epoch, self.spec.epochs, counters.step, steps, loss, rate, seconds_left))

    def _validate(self) -> dict[str, Any]:
        return tally_view(self.state.model, self.sides.validation, self.config.classes, self.execution).figures()

    def _close_epoch(self, trained: dict[str, Any], validated: dict[str, Any]) -> None:
        counters = self.state.counters
        record = {
            "epoch": counters.epoch,
            "learning_rate": self.spec.rate(counters.epoch),
            "train": trained,
            "validation": validated,
            "seconds": counters.seconds,
            "clips_per_second": counters.clips / max(counters.step_seconds, 1e-9),
            "losses": counters.losses,
        }
        counters.history.append(record)
        self._compare_with_best(validated[self.spec.monitor])
        counters.epoch, counters.step, counters.losses = counters.epoch + 1, 0, []
        self.state.tally = Tally(len(self.config.classes), self.execution.device)
        self._save()
        write_history(self.folder, counters.history)
        self.progress.epoch(record)

    def _compare_with_best(self, value: float | None) -> None:
        counters = self.state.counters
        worth = None if value is None else (-value if self.spec.monitor == "loss" else value)
        if worth is None or (counters.best_value is not None and worth <= counters.best_value):
            counters.stale += 1
            return
        counters.best_epoch, counters.best_value, counters.stale = counters.epoch, worth, 0
        if self.spec.keep == "best":
            self.state.keep_as_best()

    def _save(self) -> None:
        self.state.save(self.folder, self.config.id)
        self.saved = time.monotonic()

    def _choose_weights(self) -> None:
        if self.spec.keep == "best" and self.state.best:
            self.state.model.load_state_dict(self.state.best)
        if self.spec.batch_norm == "population":
            self.progress.stage("measuring batch-norm statistics of the training side")
            self._measure_population()

    @torch.no_grad()
    def _measure_population(self) -> None:
        model = self.state.model.train()
        order = list(make_sampler(self.data, replace(self.spec, drop_last=False, balance=False)))
        with population_statistics(model):
            for batch in self.execution.feed(self.data, order[: self.spec.population_batches or None]):
                self.execution.logits(model, batch)

    def _evaluate(self) -> dict[str, Tally]:
        self.progress.stage("evaluating on validation and test")
        sides = {"validation": self.sides.validation, "test": self.sides.test}
        return {
            name: tally_view(self.state.model, view, self.config.classes, self.execution)
            for name, view in sides.items()
        }

    def _result(self, figures: dict[str, Tally]) -> dict[str, Any]:
        counters = self.state.counters
        last = counters.history[-1]
        kept = counters.history[counters.best_epoch - 1] if self.spec.keep == "best" and counters.best_epoch else last
        return {
            "run": str(self.folder),
            "model": self.config.model,
            "parameters": count_parameters(self.state.model),
            "epochs": last["epoch"],
            "best_epoch": counters.best_epoch or last["epoch"],
            "train": kept["train"],
            "validation": figures["validation"].figures(),
            "test": figures["test"].figures(),
            "seconds": round(counters.seconds, 3),
            "clips_per_second": round(counters.clips / max(counters.step_seconds, 1e-9), 1),
            "device": device_name(self.execution.device),
        }


def make_sampler(dataset: ViewDataset, spec: TrainingSpec) -> BatchSampler:
    """Return the order of batches that a training spec asks for."""
    return BatchSampler(
        torch.from_numpy(dataset.view.frames.astype("int64")),
        spec.batch_size,
        spec.seed,
        bucket_batches=spec.bucket_batches,
        balance=dataset.targets if spec.balance else None,
        drop_last=spec.drop_last,
        shards=torch.from_numpy(dataset.view.shards.astype("int64")) if spec.shuffle == "blocks" else None,
    )
