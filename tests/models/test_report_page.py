"""The report of a run: complete, self-contained, escaped."""

import dataclasses
import re

import pytest
from array_view import SPEC, some_view

from models.crossval import cross_validate
from models.report import render_report, write_report
from models.training import configure
from models.training_spec import TrainingSpec


def test_a_report_shows_figures_dataset_and_leaks(finished, tmp_path):
    _, result, run = finished
    text = write_report(run, tmp_path / "report.html").read_text()

    assert f"{result['test']['accuracy']:.4f}" in text
    assert "0" * 64 in text
    assert "No leak between sides was reported" in text
    assert text.count("<svg") == 3


def test_a_report_needs_nothing_outside_itself(finished):
    text = render_report(finished[2])
    linked = re.findall(r"(?:src|href)=[\"'](?!#)([^\"']+)", text)

    assert linked == []
    assert "<script" not in text


def test_text_from_a_corpus_is_escaped(finished):
    run = finished[2]
    nasty = "<script>alert(1)</script>"
    config = dataclasses.replace(
        run.config, split=nasty, dataset={**run.config.dataset, "name": nasty}, leaks={"found": {"speaker": [nasty]}}
    )
    text = render_report(dataclasses.replace(run, config=config))

    assert nasty not in text
    assert text.count("&lt;script&gt;") >= 3


def test_folds_give_runs_mean_and_interval_and_finished_folds_are_read(tmp_path):
    folds = [tuple(some_view(count, seed=10 * fold + count) for count in (24, 6, 6)) for fold in range(2)]

    def describe(sides):
        return configure(sides, "mathworks-cnn-lstm", TrainingSpec.from_dict({**SPEC, "epochs": 1}), split="folds")

    first = cross_validate(folds, describe, tmp_path, device="cpu")
    again = cross_validate(folds, describe, tmp_path, device="cpu", resume=True)

    accuracies = [fold["test"]["accuracy"] for fold in first["folds"]]
    assert first["mean"]["accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert first["interval"]["uar"][0] <= first["mean"]["uar"] <= first["interval"]["uar"][1]
    assert again == first
