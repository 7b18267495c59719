"""Baselines in run folders as those of networks, but for the weights, of which they keep none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.errors import SpecError, UnknownNameError
from models.baselines.classifiers import GRIDS, INNER_FOLDS, Choice, Rows, by_scope, classify
from models.baselines.functionals import FRAME, Matrix, functional_names, view_functionals
from models.batches.loader import FeatureView, Sides
from models.batches.normalisation import describe_normalisation, speakers_of
from models.errors import TrainingError
from models.evaluation import Evaluation
from models.figures.predictions import Predictions
from models.runs.checkpoint import write_json
from models.runs.description import describe_dataset, describe_items, library_versions
from models.runs.folders import tested_before
from models.runs.provenance import describe_provenance
from models.runs.records import predictions_name, write_predictions, write_sides
from models.runs.run import RunConfig
from models.training_spec import TrainingSpec

SCOPES = ("training", "speaker", "utterance", "none")
"""Normalisations of a baseline."""


@dataclass(frozen=True)
class BaselineSpec:
    """How a baseline is fitted."""

    model: str
    """A key of `GRIDS`."""
    normalisation: str
    """One of `SCOPES`."""
    regularisation: float | None = None
    """`C`; None chooses it by inner folds."""

    def __post_init__(self) -> None:
        for name, known in (("model", tuple(GRIDS)), ("normalisation", SCOPES)):
            if getattr(self, name) not in known:
                raise UnknownNameError(f"{name} of a baseline", str(getattr(self, name)), known)
        if self.regularisation is not None and not 0 < self.regularisation < float("inf"):
            raise SpecError(f"the regularisation of a baseline must be above 0, not {self.regularisation}.")

    @property
    def training(self) -> TrainingSpec:
        """What it has in common with the training of a network."""
        return TrainingSpec(normalisation=self.normalisation, class_weights="balanced")

    def settings(self, functionals: Sequence[str]) -> dict[str, Any]:
        """Return everything else that the result depends on, as JSON values."""
        fixed = self.regularisation is not None
        chosen = {"regularisation": self.regularisation} if fixed else {"regularisations": list(GRIDS[self.model])}
        return {"functionals": list(functionals), **chosen, **({} if fixed else {"inner_folds": INNER_FOLDS})}

    def described(self) -> dict[str, str]:
        """Return how it normalises, in words."""
        words = describe_normalisation(self.training)
        if self.normalisation == "utterance":
            words["fitted_on"] += " (frames); the training side (functionals)"
        return words if self.normalisation == "none" else {**words, "moments": "functional"}


@dataclass(frozen=True)
class Fitted:
    """A baseline fitted on the training side of a split."""

    sides: Sides
    choice: Choice
    evaluations: Mapping[str, Evaluation]
    """Of each side; the loss is None, since not all classifiers have one."""
    seconds: float


class Baseline:
    """A baseline on the clean rows of views; their functionals are computed once, for all splits.

    Parameters
    ----------
    view : FeatureView
        One row of each recording.
    spec : BaselineSpec
    others : FeatureView
        Further datasets with the same features, whose rows are on sides too.

    Raises
    ------
    TrainingError
        If the normalisation is `speaker` and a row has none, or `utterance` and rows are single frames.
    """

    def __init__(self, view: FeatureView, spec: BaselineSpec, *others: FeatureView) -> None:
        self.spec = spec
        self._known = {one.name: (self._scaled(one), _places(one)) for one in (view, *others)}

    def _scaled(self, view: FeatureView) -> Matrix:
        """Return the values of all rows of a view, `[rows, values]`, as far as they need no training side."""
        scope = self.spec.normalisation
        if scope == "speaker":
            speakers_of(view)
        if scope == "utterance" and functional_names(view) is FRAME:
            raise TrainingError(
                f"dataset {view.name}: each row is a single frame, which has no deviation over time. Normalise by "
                "training, speaker or none."
            )
        return by_scope(view_functionals(view), view.speakers, scope)

    def fit(self, sides: Sides, regularisation: float | None = None) -> Fitted:
        """Fit on the training side and label all sides; the regularisation given takes the place of the spec's.

        Raises
        ------
        TrainingError
            As of `classify`.
        """
        began, classes = time.monotonic(), tuple(sides.train.classes)
        parts = [self._rows(view, classes) for view in sides]
        try:
            logits, choice = classify(
                self.spec.model,
                parts[0],
                parts,
                len(classes),
                self.spec.normalisation,
                regularisation or self.spec.regularisation,
            )
        except TrainingError as error:
            raise TrainingError(f"dataset {sides.train.name}: {error}") from error
        evaluations = {
            side: Evaluation(None, Predictions.of(view, classes, rows.labels, found))
            for side, view, rows, found in zip(Sides._fields, sides, parts, logits, strict=True)
        }
        return Fitted(sides, choice, evaluations, time.monotonic() - began)

    def _rows(self, view: FeatureView, classes: Sequence[str]) -> Rows:
        number = {name: place for place, name in enumerate(classes)}
        labels = np.array([number[label] for label in view.labels.tolist()], np.int64)
        values, place = self._known[view.name]
        rows = np.array([place[path] for path in view.paths], np.int64)
        return Rows(values[rows], labels, tuple(view.speakers))


def _places(view: FeatureView) -> dict[str, int]:
    return {path: row for row, path in enumerate(view.paths)}


def configure_baseline(
    sides: Sides, spec: BaselineSpec, *, split: str, leaks: Mapping[str, Any], recipe: Mapping[str, Any]
) -> RunConfig:
    """Describe a baseline completely."""
    return RunConfig(
        model=spec.model,
        settings=spec.settings(functional_names(sides.train)),
        training=spec.training,
        classes=tuple(sides.train.classes),
        bands=sides.train.bands,
        dataset={**describe_dataset(sides.train), "augmentation": None},  # of its rows, only the clean ones are used
        split=split,
        rows={name: len(view) for name, view in zip(Sides._fields, sides, strict=True)},
        items={name: describe_items(view, spec.training) for name, view in zip(Sides._fields, sides, strict=True)},
        trained_on={"frames": [int(sides.train.frames.min()), int(sides.train.frames.max())]},
        leaks=dict(leaks),
        normalisation=spec.described(),
        recipe=dict(recipe),
        versions=library_versions(),
        made=describe_provenance(sides.train),
        sexes=dict(getattr(sides.train, "sexes", {})),
    )


def write_baseline(folder: Path, fitted: Fitted, config: RunConfig) -> dict[str, Any]:
    """Write a run folder, `summary.json` last, which makes it complete; return its result.

    Returns
    -------
    dict
        `run, model, regularisation, inner_uar, train, validation, test, seconds, device`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config.to_dict())
    write_sides(folder, fitted.sides._asdict())
    judged = {side: fitted.evaluations[side] for side in ("validation", "test")}
    for side, evaluation in judged.items():
        write_predictions(folder / predictions_name(side), evaluation.predictions)
    result = {
        "run": str(folder),
        "model": config.model,
        "regularisation": fitted.choice.regularisation,
        "inner_uar": fitted.choice.inner_uar,
        **{side: evaluation.figures() for side, evaluation in fitted.evaluations.items()},
        "seconds": round(fitted.seconds, 3),
        "device": "CPU",
    }
    summary = {
        "result": result,
        "normalisation": dict(config.normalisation),
        "notes": [],
        "tested_before": tested_before(folder, config),
        **{side: evaluation.summary() for side, evaluation in judged.items()},
    }
    write_json(folder / "summary.json", summary)
    return result
