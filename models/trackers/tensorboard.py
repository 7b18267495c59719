"""TensorBoard: an event file for each run."""

from __future__ import annotations

import io
from pathlib import Path

from featurestore.conversion import library
from featurestore.files import write_atomically
from models.runs.checkpoint import regular
from models.trackers import TrackedRun, Tracker

FILE = "events.out.tfevents.featurestore"


def write(run: TrackedRun, out: Path) -> None:
    """Write `NAME/events.out.tfevents.featurestore`: a scalar for each value, its settings as text.

    Equal records give equal bytes, so what is new is put behind what stands, where a running TensorBoard reads on. A
    file that stands otherwise, as of a run that was trained again, is replaced.
    """
    data, path = _events(run), out / run.name / FILE
    standing = regular(path).read_bytes() if path.exists() else b""
    if standing == data:
        return
    if standing and data.startswith(standing):
        with path.open("ab") as file:
            file.write(data[len(standing) :])
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)


def _events(run: TrackedRun) -> bytes:
    """Return the event file of a run."""
    event = library("tensorboard.compat.proto.event_pb2", "tracking").Event
    record_writer = library("tensorboard.summary.writer.record_writer", "tracking").RecordWriter
    summary = library("torch.utils.tensorboard.summary")
    file = io.BytesIO()
    writer = record_writer(file)
    writer.write(event(wall_time=run.began, file_version="brain.Event:2").SerializeToString())
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in run.settings().items())])
    settings = summary.text("settings", table)
    writer.write(event(wall_time=run.began, step=0, summary=settings).SerializeToString())
    for point in run.points:
        for name, value in point.values.items():
            scalar = summary.scalar(name, value)
            writer.write(event(wall_time=point.seconds, step=point.step, summary=scalar).SerializeToString())
    return file.getvalue()


FORMAT = Tracker("tensorboard", write)
