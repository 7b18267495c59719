"""What is said of sides that lack a class: before the training, and in its report."""

import dataclasses
import json

import pytest
from array_view import ArrayView
from small_training import CLASSES, small_config, small_sides, small_view

from featurestore.corpus.splits.leakage import class_notes
from models.batches.loader import Sides
from models.errors import CheckpointError
from models.reports.report import render_report
from models.runs.run import load_run
from models.training import train
from models.training_loop import SilentTraining


class Heard(SilentTraining):
    """Progress that keeps the notes that it is told."""

    def __init__(self):
        self.notes = []

    def stage(self, text):
        self.notes += [text.removeprefix("note: ")] if text.startswith("note: ") else []


def of(*labels):
    return ArrayView(labels, [8] * len(labels), classes=CLASSES, bands=16)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (small_sides(), {}),
        ((of("calm", "loud", "sharp"), of("calm", "loud"), of()), {"validation": "sharp"}),
        ((of("calm", "calm"), of(*CLASSES), of(*CLASSES)), {"train": "loud, sharp"}),
        (
            (of("calm", "loud"), of("loud", "loud"), of("sharp")),
            {"train": "sharp", "validation": "calm, sharp", "test": "calm, loud"},
        ),
    ],
)
def test_every_side_that_lacks_a_class_earns_a_note(sides, expected):
    held = {side: set(view.labels.tolist()) for side, view in Sides(*sides)._asdict().items()}

    assert class_notes(held, CLASSES) == [
        f"the {side} side has no recording of: {names}" for side, names in expected.items()
    ]


def test_notes_are_told_before_the_training_and_stand_in_its_report(tmp_path):
    sides, heard = Sides(of(*["calm", "loud", "calm", "loud"]), small_view(7, 2), of("sharp", "sharp")), Heard()
    train(sides, small_config(sides, epochs=1), tmp_path / "run", device="cpu", progress=heard)
    run = load_run(tmp_path / "run")

    assert len(heard.notes) == 2
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["notes"] == heard.notes
    assert all(f"Note: {note}" in render_report(run) for note in heard.notes)
    with pytest.raises(CheckpointError, match="notes must be a list"):
        render_report(dataclasses.replace(run, summary={**run.summary, "notes": 3}))
