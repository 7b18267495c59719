"""The cells of a cross-corpus matrix, by a baseline or by a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import Listener

if TYPE_CHECKING:
    from featurestore.errors import SplitError
    from featurestore.view import DatasetView
    from models.baselines.runs import Baseline, BaselineSpec
    from models.figures.predictions import Predictions
    from models.training_loop import TrainingProgress
    from pipelines.experiments.prepare import Prepared
    from pipelines.experiments.recipe import Experiment


@dataclass
class Baselines:
    """Cells of a baseline; the functionals of all datasets are computed once."""

    views: Sequence[DatasetView]
    """Clean rows."""
    spec: BaselineSpec
    own_splits: Mapping[str, Prepared | SplitError]
    progress: TrainingProgress
    _chosen: dict[str, float] = field(default_factory=dict)
    """The regularisation by training dataset: it depends on nothing else."""

    @cached_property
    def _fitting(self) -> Baseline:
        from models.baselines.runs import Baseline

        return Baseline(self.views[0], self.spec, *self.views[1:])

    def own(self, view: DatasetView) -> Predictions:
        """Return the predictions for the test items of a dataset's own split, of all folds together."""
        from models.figures.predictions import pooled

        self.progress.stage(f"{view.name} by its own split")
        sides = _sides(self.own_splits[view.name]).all_sides
        return pooled([self._fitting.fit(one).evaluations["test"].predictions for one in sides])

    def across(self, train: DatasetView, test: DatasetView) -> Predictions:
        """Return the predictions for all of one dataset by what was fitted on all of another."""
        from models.batches.loader import Sides

        self.progress.stage(f"{train.name} on {test.name}")
        fit = self._fitting.fit(Sides(train, train[:0], test), self._chosen.get(train.name))
        self._chosen[train.name] = fit.choice.regularisation
        return fit.evaluations["test"].predictions


@dataclass
class Networks:
    """Cells of a network: a training for each dataset, and those of its own split."""

    views: Sequence[DatasetView]
    experiments: Mapping[str, Experiment]
    own_splits: Mapping[str, Prepared | SplitError]
    leaks: Mapping[str, Mapping[str, Any]]
    """What each training dataset shares with any other."""
    folder: Path
    device: str
    listener: Listener

    def own(self, view: DatasetView) -> Predictions:
        """Train by a dataset's own split, or continue; return the predictions for its test items."""
        from models.runs.folders import RunFolder
        from pipelines.experiments.prepare import train_prepared

        run = self.folder / view.name
        how: dict[str, Any] = {"device": self.device, "listener": self.listener}
        train_prepared(_sides(self.own_splits[view.name]), run, f"{view.name} by its own split", **how)
        return RunFolder.of(run).predictions("test")[0]

    def across(self, train: DatasetView, test: DatasetView) -> Predictions:
        """Train on all of one dataset, once, or continue; return the predictions for all of another."""
        from featurestore.corpus.splits.types import Split
        from models.batches.loader import Sides
        from models.evaluation import evaluate_run
        from models.runs.folders import has_begun
        from models.runs.run import load_run
        from models.training import configure
        from models.training import train as fit
        from models.training_spec import TrainingSpec

        run, experiment = self.folder / f"{train.name}-all", self.experiments[train.name]
        whole = Split(f"all of {train.name}", train.table.utterances.paths, (), ())
        sides = Sides(*train.sides(whole, clean_in_training=experiment.split.clean_in_training))
        config = configure(
            sides,
            experiment.model,
            TrainingSpec.from_dict(experiment.training),
            settings=experiment.model_settings,
            split=whole.name,
            leaks=self.leaks[train.name],
            recipe=experiment.to_dict(),
        )
        shown = self.listener.training(whole.name)
        fit(sides, config, run, device=self.device, resume=has_begun(run), progress=shown)
        return evaluate_run(load_run(run), test.select(test.copies == 0), self.device).predictions


def _sides(own: Prepared | SplitError) -> Prepared:
    if isinstance(own, Exception):
        raise own
    return own
