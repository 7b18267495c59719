"""The report of a run: complete, self-contained, escaped."""

import dataclasses
import re

from models.reports.report import render_report, write_report


def test_a_report_shows_figures_dataset_and_leaks(finished, tmp_path):
    _, result, run = finished
    text = write_report(run, tmp_path / "report.html").read_text()

    assert f"{result['test']['accuracy']:.4f}" in text
    assert "0" * 64 in text
    assert "Leaks between sides were not looked for" in text
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


def test_a_report_has_both_names_of_measures_intervals_and_a_macro_average(finished):
    text = render_report(finished[2])

    for words in ("accuracy (WA)", "UAR (UA)", "macro F1", "95 % interval", "macro avg", "weighted avg",
                  "bootstrap over 12 items, since only 1 speaker where 3 are needed", "normalisation"):  # fmt: skip
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
    assert "bootstrap over 12 items" in render_report(old)
