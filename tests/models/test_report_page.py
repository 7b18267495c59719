"""The report of a run: complete, self-contained, escaped."""

import base64
import dataclasses
import re

import numpy as np
import pytest
from browser import opened

from models.figures.predictions import Predictions
from models.reports import plots
from models.reports.figure_files import write_figures
from models.reports.items import calibration_bins, item_parts, speaker_rows
from models.reports.parts import leak_verdict, settings
from models.reports.plots import gradient_norms_figure, training_figure, training_panels
from models.reports.remarks import collapsed
from models.reports.report import render_report, write_report


def test_a_report_shows_figures_dataset_and_leaks(finished, tmp_path):
    _, result, run = finished
    text = write_report(run.folder, tmp_path / "report.html").read_text()

    assert f"{result['test']['accuracy']:.3f}" in text
    assert "0" * 64 in text
    assert "Leaks between sides were not looked for" in text
    assert text.count("<svg") == 5


def test_shared_sentences_are_told_and_are_no_leak():
    sentences = leak_verdict({"declared": [], "found": {"sentence": ["a01", "b02"]}})
    speakers = leak_verdict({"declared": ["speaker"], "found": {"speaker": ["13"], "sentence": ["a01"]}})

    assert sentences == (
        "<p class='sound'>No leak between sides was found. Not counted as a leak, but shared: sentence: a01, b02.</p>"
    )
    assert speakers.startswith(
        "<p class='leak'>Leaks between sides: speaker: 13. Declared by the recipe or the user: sp"
    )
    assert "shared: sentence: a01." in speakers


def test_a_report_needs_nothing_outside_itself(finished):
    text = render_report(finished[2])
    linked = re.findall(r"(?:src|href)=[\"'](?!#|data:)([^\"']+)", text)

    assert linked == []
    assert "default-src 'none'" in text
    assert [data for data in re.findall(r"<script([^>]*)>", text) if "application/json" not in data] == [""]


def test_text_from_a_corpus_is_escaped(finished):
    run = finished[2]
    nasty = "<script>alert(1)</script>"
    config = dataclasses.replace(
        run.config, split=nasty, dataset={**run.config.dataset, "name": nasty}, leaks={"found": {"speaker": [nasty]}}
    )
    text = render_report(dataclasses.replace(run, config=config))

    assert nasty not in text
    assert text.count("&lt;script&gt;") >= 3


def test_a_report_has_both_names_of_measures_intervals_and_a_macro_average(finished):
    text = render_report(finished[2])

    for words in ("accuracy (WA)", "UAR (UA)", "macro F1", "95 % interval", "macro avg", "weighted avg",
                  "95 % intervals not given: only 1 speaker where 3 are needed", "normalisation"):  # fmt: skip
        assert words in text


def test_a_normalisation_that_has_seen_the_test_side_says_so(finished):
    run = finished[2]
    stated = {"kind": "everything", "fitted_on": "all sides", "leakage": "features of the test side"}
    config = dataclasses.replace(run.config, normalisation=stated)

    assert "everything, fitted on all sides; leakage: features of the test side" in render_report(
        dataclasses.replace(run, config=config)
    )


def test_a_run_of_before_intervals_were_kept_is_reported_without_them(finished, tmp_path):
    run = finished[2]
    kept = ("accuracy", "uar", "macro_f1", "per_class", "classes", "confusion")
    summary = {
        **run.summary, **{side: {name: run.summary[side][name] for name in kept} for side in ("validation", "test")}
    }  # fmt: skip
    old = dataclasses.replace(run, summary=summary, folder=tmp_path)
    (tmp_path / "metrics.jsonl").write_bytes((run.folder / "metrics.jsonl").read_bytes())

    assert "No intervals: the run was made before predictions were kept" in render_report(old)
    (tmp_path / "predictions-test.csv").write_bytes((run.folder / "predictions-test.csv").read_bytes())
    assert "95 % intervals not given: only 1 speaker where 3 are needed" in render_report(old)


def test_settings_are_plain_lines_whatever_they_hold():
    policy = {"seed": 0, "semitones": {"probability": 0.5, "uniform": [-2.0, 2.0]}, "noises": {}, "high_hz": None}

    assert settings({**policy, "drop_last": False}) == (
        "seed = 0", "semitones.probability = 0.5", "semitones.uniform = -2.0, 2.0", "noises = none", "high_hz = none",
        "drop_last = no",
    )  # fmt: skip


def test_a_page_shows_its_settings_without_the_signs_of_a_programming_language(finished):
    run = finished[2]
    policy = {"semitones": {"probability": 0.5, "uniform": [-2.0, 2.0], "per": "row"}}
    text = render_report(
        dataclasses.replace(
            run, config=dataclasses.replace(run.config, dataset={**run.config.dataset, "augmentation": policy})
        )
    )

    assert "<li>semitones.uniform = -2.0, 2.0</li>" in text
    assert not re.search(r"\{&#x27;|\[-?\d|\b(True|False|None)\b", text.partition("How it was made")[2])


def history_of(epochs):
    side = {"loss": 1.0, "accuracy": 0.1, "uar": 0.1}
    norms = {"gradient_norms": {"lstm": 0.5}, "gradient_norm_steps": [[10, [0.5]]]}
    losses = {"losses": [[step, 1.0] for step in range(1, 11)]}
    return [{"epoch": epoch, "train": side, "validation": side, **losses, **norms} for epoch in range(1, epochs + 1)]


@pytest.mark.parametrize("epochs", [1, 2, 3, 13, 100])
def test_axes_mark_whole_epochs_alone_and_no_legend_hides_a_curve(epochs):
    history = history_of(epochs)

    for figure in (training_figure(history), *training_panels(history), gradient_norms_figure(history)):
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent()
        for axes in figure.axes:
            assert not legend.overlaps(axes.get_window_extent())
            assert axes.get_legend() is None
            ticks = axes.get_xticks()
            assert all(tick == int(tick) for tick in ticks)
            assert 2 <= len(ticks) <= 14


def test_a_figure_of_a_training_is_one_entry(monkeypatch):
    extra = plots.TrainingFigure("extra", "Extra", plots.training_figure, needs="extra")
    monkeypatch.setattr(plots, "TRAINING_FIGURES", (*plots.TRAINING_FIGURES, extra))

    assert [one.file for one in plots.figures_of([{"epoch": 1}])] == ["training"]
    assert [one.file for one in plots.figures_of([{"extra": 1, "gradient_norms": {"a": 1}}])] == [
        *("training", "gradient-norms", "extra")
    ]


CLASSES = ("calm", "loud")


def some_predictions(truth, answers, probabilities):
    count = len(truth)
    of_answer = np.array(probabilities)
    both = np.stack([1 - of_answer, of_answer], axis=1)
    swapped = np.where(np.array(answers)[:, None] == 1, both, both[:, ::-1])
    paths = tuple(f"{number}.wav" for number in range(count))
    speakers = tuple("ab"[number % 2] for number in range(count))
    numbers = [np.array(values, np.int64) for values in (truth, answers)]
    return Predictions(CLASSES, paths, np.zeros(count, np.int64), speakers, ("0" * 64,) * count, *numbers, swapped)


def test_calibration_is_the_gap_between_probability_and_share_right():
    error, bins = calibration_bins(some_predictions([0, 0, 1, 1], [0, 1, 1, 1], [0.95, 0.95, 0.95, 0.65]))

    assert bins == [(1, pytest.approx(0.65), 1.0), (3, pytest.approx(0.95), pytest.approx(2 / 3))]
    assert error == pytest.approx((0.35 + 3 * (0.95 - 2 / 3)) / 4)


def test_speakers_have_their_clips_and_shares():
    assert speaker_rows(some_predictions([0, 0, 1, 1], [0, 1, 1, 1], [0.9] * 4)) == [("a", 2, 1.0), ("b", 2, 0.5)]


def test_a_model_that_gives_one_answer_is_called_collapsed():
    assert "20 of 20 answers are loud" in collapsed([[0, 10], [0, 10]], CLASSES)
    assert collapsed([[8, 2], [1, 9]], CLASSES) == ""
    assert collapsed([[0, 2], [0, 2]], CLASSES) == ""


def test_a_confusion_matrix_is_also_csv():
    figures = {"classes": CLASSES, "confusion": [[3, 1], [0, 2]], "per_class": {}}
    figures["per_class"] = {name: {"support": 3, "recall": None} for name in CLASSES}
    found = re.search(r"data:text/csv;base64,([^\"]+)", item_parts(figures, "test", "Confusion"))

    assert base64.b64decode(found[1]).decode().splitlines() == ["true,calm,loud", "calm,3,1", "loud,0,2"]


def test_every_figure_of_a_run_is_also_png_svg_pdf_and_csv(finished, tmp_path):
    run = finished[2]
    files = {path.name: path.read_bytes() for path in write_figures(run.folder, tmp_path / "new" / "figures")}

    forms = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<svg"}
    names = {"training", *(f"{kind}-{side}" for kind in ("calibration", "confusion", "recall", "speakers")
                           for side in ("test", "validation"))}  # fmt: skip
    assert set(files) == {f"{name}.{form}" for name in names for form in (*forms, "csv")}
    for name in names:
        for form, beginning in forms.items():
            assert files[f"{name}.{form}"].startswith(beginning)
    counts = [line.split(",")[1:] for line in files["confusion-test.csv"].decode().splitlines()[1:]]
    assert [list(map(int, line)) for line in counts] == run.summary["test"]["confusion"]
    epochs = files["training.csv"].decode().splitlines()
    assert epochs[0].split(",")[:3] == ["epoch", "train loss", "train accuracy"]
    assert float(epochs[-1].split(",")[4]) == run.history[-1]["validation"]["loss"]
    assert len(epochs) == 1 + len(run.history)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_click_on_a_cell_shows_its_recordings(finished, tmp_path, scheme):
    run = finished[2]
    path = write_report(run.folder, tmp_path / "report.html")

    with opened(path, viewport={"width": 390, "height": 800}, color_scheme=scheme) as page:
        cell = page.locator(".matrix button:not([disabled])").first
        count = int(cell.locator(".count").inner_text())
        cell.focus()
        page.keyboard.press("Enter")
        assert page.locator(".behind:visible > :not(h4)").count() == count
        page.get_by_label("percent of each true class").first.check()
        assert cell.locator(".count").is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
