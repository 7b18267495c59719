"""What is said of sides that lack a class: before the training, and in its report."""

import dataclasses
import json

import pytest
from array_view import ArrayView
from small_training import CLASSES, small_config, small_sides, small_view

from models.errors import CheckpointError
from models.progress import Silence
from models.reports.report import render_report
from models.runs.run import load_run
from models.side_notes import side_notes
from models.training import Sides, train


class Heard(Silence):
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
        (small_sides(), []),
        ((of("calm", "loud", "sharp"), of("calm", "loud"), of()), []),
        ((of("calm", "calm"), of("calm", "loud"), of("loud", "sharp")), ["training side has no rows of loud, sharp"]),
        ((of("calm", "loud", "sharp"), of("calm", "loud"), of("loud")), ["the test side has rows of loud alone"]),
        (
            (of("calm", "loud"), of("loud", "loud"), of("sharp")),
            ["no rows of sharp", "validation side has rows of loud", "test side has rows of sharp"],
        ),
    ],
)
def test_a_class_that_nobody_trains_and_a_side_of_one_class_earn_a_note(sides, expected):
    notes = side_notes(Sides(*sides)._asdict(), CLASSES)

    assert len(notes) == len(expected)
    assert all(part in note for part, note in zip(expected, notes, strict=True))


def test_notes_are_told_before_the_training_and_stand_in_its_report(tmp_path):
    sides, heard = Sides(of(*["calm", "loud", "calm", "loud"]), small_view(7, 2), of("sharp", "sharp")), Heard()
    train(sides, small_config(sides, epochs=1), tmp_path / "run", device="cpu", progress=heard)
    run = load_run(tmp_path / "run")

    assert len(heard.notes) == 2
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["notes"] == heard.notes
    assert all(f"Note: {note}" in render_report(run) for note in heard.notes)
    with pytest.raises(CheckpointError, match="notes must be a list"):
        render_report(dataclasses.replace(run, summary={**run.summary, "notes": 3}))
