"""MLflow: a run for each run in the database `mlflow.db`, in an experiment named after its dataset."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from featurestore.conversion import library
from models.trackers import TrackedRun, Tracker

TAG = "featurestore.id"
BATCH = 1000
"""Metrics that MLflow takes at once."""
LONGEST = 6000
"""Characters of a parameter that it takes."""


def write(run: TrackedRun, out: Path) -> None:
    """Write settings as parameters, and the values of each epoch as metrics that are not there yet.

    A run with other values, as of one that was trained again, is deleted in MLflow, which can restore it, and written
    anew.
    """
    client = _client(out)
    experiment = client.get_experiment_by_name(run.config.dataset["name"])
    number = experiment.experiment_id if experiment else client.create_experiment(run.config.dataset["name"])
    expected = [
        (name, float(value), round(point.seconds * 1000), point.step)
        for point in run.points
        for name, value in point.values.items()
    ]
    found = client.search_runs([number], f"tags.`{TAG}` = '{run.id}'", max_results=1)
    known = _logged(client, found[0]) if found else set()
    if found and not known <= set(expected):
        client.delete_run(found[0].info.run_id)
        found, known = [], set()
    key = found[0].info.run_id if found else _begun(client, run, number)
    metric = library("mlflow.entities", "tracking").Metric
    new = [metric(*one) for one in expected if one not in known]
    for start in range(0, len(new), BATCH):
        client.log_batch(key, metrics=new[start : start + BATCH])
    if run.ended and client.get_run(key).info.status != "FINISHED":
        client.set_terminated(key, "FINISHED", round(run.points[-1].seconds * 1000))


def _client(out: Path) -> Any:  # noqa: ANN401 (a client of MLflow)
    """Open the database; MLflow is not to tell its makers, nor to write of tables on standard error."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("sqlalchemy", "alembic"):
        library(name, "tracking")
    tracking = library("mlflow.tracking", "tracking")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return tracking.MlflowClient(tracking_uri=f"sqlite:///{out.absolute() / 'mlflow.db'}")


def _begun(client: Any, run: TrackedRun, experiment: str) -> str:  # noqa: ANN401
    """Create a run with its settings and return its id."""
    tags = {TAG: run.id, "mlflow.runName": run.name}
    made = client.create_run(experiment, start_time=round(run.began * 1000), tags=tags, run_name=run.name)
    param = library("mlflow.entities", "tracking").Param
    params = [param(name, value[:LONGEST]) for name, value in run.settings().items()]
    for start in range(0, len(params), 100):
        client.log_batch(made.info.run_id, params=params[start : start + 100])
    return str(made.info.run_id)


def _logged(client: Any, run: Any) -> set[tuple[str, float, int, int]]:  # noqa: ANN401
    """Return the metrics that a run has: name, value, milliseconds and step."""
    key = run.info.run_id
    histories = (client.get_metric_history(key, name) for name in run.data.metrics)
    return {(one.key, one.value, one.timestamp, one.step) for history in histories for one in history}


FORMAT = Tracker("mlflow", write)
