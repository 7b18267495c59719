"""Cross-validation: in parallel, on another's executor, with folds that fail, killed and gone on with."""

import dataclasses
import json
import pickle
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from array_view import SPEC, ArrayView, some_view

from models.batches.loader import Sides
from models.crossval import cross_validate
from models.errors import RunError, TrainingError
from models.evaluation import evaluate_run
from models.figures.comparison import compare
from models.prediction import load_members
from models.reports.figure_files import write_figures
from models.reports.report import write_report
from models.runs.folders import RunFolder
from models.runs.run import load_run
from models.training import configure, train
from models.training_spec import TrainingSpec

HERE = Path(__file__).parent
TIMES = ("seconds", "clips_per_second", "run")
FEW = {**SPEC, "epochs": 1, "population_batches": 1, "gradient_norms": True}

CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
import test_crossval
from models.crossval import cross_validate

class Pause:
    folds = 0
    def step(self, report): pass
    def epoch(self, record):
        self.folds += 1
        if self.folds == 2:
            print("in the second fold", flush=True)
            sys.stdin.read()
    def stage(self, text): pass

cross_validate(
    test_crossval.three_folds(), test_crossval.describe, Path({folder!r}), device="cpu", resume=True, progress=Pause()
)
"""


def three_folds():
    """Make folds whose test items are of four speakers each."""
    return [tuple(fold_side(fold, side) for side in range(3)) for fold in range(3)]


def fold_side(fold, side):
    view = some_view((16, 4, 8)[side], seed=10 * fold + side)
    view.paths = tuple(f"{fold}-{side}-{path}" for path in view.paths)
    view.speakers = tuple(f"speaker {fold}-{row % 4}" for row in range(len(view)))
    return view


def describe(sides):
    return configure(sides, "mathworks-cnn-lstm", TrainingSpec.from_dict(FEW), split="folds", leaks={"found": {}})


def outcome(result):
    """Everything in a result that is no clock time and no place."""
    folds = [{name: value for name, value in fold.items() if name not in TIMES} for fold in result["folds"]]
    return {**{name: value for name, value in result.items() if name != "run"}, "folds": folds}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder and result of an undisturbed cross-validation."""
    folder = tmp_path_factory.mktemp("crossval") / "whole"
    return folder, cross_validate(three_folds(), describe, folder, device="cpu")


def test_folds_give_mean_deviation_interval_and_pooled_figures(whole):
    folder, result = whole
    accuracies = [fold["test"]["accuracy"] for fold in result["folds"]]

    assert result["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert result["deviation"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert result["interval"] == result["pooled"]["interval"]  # of items, not of folds, which share training data
    assert result["pooled"]["items"] == sum(map(sum, result["pooled"]["confusion"])) == 24
    assert result["pooled"]["accuracy"] == pytest.approx(np.mean(accuracies))  # all folds have as many items
    assert result["pooled"]["interval_over"]["unit"] == "speakers"
    assert result["pooled"]["interval_over"]["count"] == 12
    assert json.loads((folder / "crossval.json").read_text()) == result


def test_a_cross_validation_killed_in_its_second_fold_ends_with_the_same_result(whole, tmp_path):
    folder = tmp_path / "killed"
    script = CHILD.format(root=str(HERE.parents[1]), here=str(HERE), folder=str(folder))
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout.readline() == "in the second fold\n"
        child.send_signal(signal.SIGKILL)
    first = (folder / "fold-01" / "summary.json").read_bytes()
    assert not (folder / "fold-02" / "summary.json").exists()
    assert not (folder / "fold-03").exists()
    (folder / "fold-03").mkdir()
    (folder / "fold-03" / f".config.json.{'0123' * 8}").write_bytes(
        b"{"
    )  # as if the kill had come while it was written

    result = cross_validate(three_folds(), describe, folder, device="cpu", resume=True)

    assert outcome(result) == outcome(whole[1])
    assert (folder / "fold-01" / "summary.json").read_bytes() == first


def test_folds_of_a_cross_validation_that_was_broken_off_do_not_answer_for_all(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "cv")
    (folder / "folds.json").write_text("{}")
    assert len(load_members(folder)) == 3

    shutil.rmtree(folder / "fold-03")
    (folder / "crossval.json").unlink()

    for use in (load_members, lambda run: RunFolder.of(run).predictions("test")):
        with pytest.raises(RunError, match="not finished, its cross-validation has not ended; 2 folds are there"):
            use(folder)
    assert "Not finished: its cross-validation has not ended" in write_report(folder).read_text()


class Deadly(ThreadPoolExecutor):
    """An executor one of whose workers dies."""

    def submit(self, task, /, *arguments, **named):
        if "fold-02" in str(arguments):
            dead = Future()
            dead.set_exception(RuntimeError("the worker is gone"))
            return dead
        task, arguments = pickle.loads(pickle.dumps((task, arguments)))  # noqa: S301 (our own)
        return super().submit(task, *arguments, **named)


def test_a_worker_that_dies_costs_its_fold_alone(whole, tmp_path):
    with Deadly(1) as executor, pytest.raises(TrainingError, match=r"fold-02: RuntimeError: the worker is gone"):
        cross_validate(three_folds(), describe, tmp_path, device="cpu", executor=executor)

    result = cross_validate(three_folds(), describe, tmp_path, device="cpu", resume=True)
    assert outcome(result) == outcome(whole[1])


def test_a_fold_that_fails_is_told_the_others_go_on_and_later_only_it_is_trained(whole, tmp_path):
    folds = three_folds()
    folds[1][1].labels = np.array(["odd"] * 4)

    with pytest.raises(
        TrainingError, match=r"1 of 3 folds in .* failed \(fold-02: .*'odd' is none of calm, loud, sharp"
    ):
        cross_validate(folds, describe, tmp_path, device="cpu")
    partial = json.loads((tmp_path / "crossval.json").read_text())
    assert len(partial["folds"]) == 2
    assert [Path(one["run"]).name for one in partial["failed"]] == ["fold-02"]
    assert partial["pooled"]["items"] == 16

    third = (tmp_path / "fold-03" / "summary.json").read_bytes()
    result = cross_validate(three_folds(), describe, tmp_path, device="cpu", resume=True)
    assert outcome(result) == outcome(whole[1])
    assert (tmp_path / "fold-03" / "summary.json").read_bytes() == third


def test_folds_that_stand_are_not_touched_unless_resumed(whole):
    with pytest.raises(RunError, match="holds folds: resume it"):
        cross_validate(three_folds(), describe, whole[0], device="cpu")


def test_other_settings_are_refused_once_for_all_folds(whole):
    def otherwise(sides):
        return dataclasses.replace(describe(sides), split="others")

    with pytest.raises(TrainingError, match=r"none of the 3 folds .*fold-01 differs in split"):
        cross_validate(three_folds(), otherwise, whole[0], device="cpu", resume=True)


def test_a_folder_of_folds_is_one_page(whole, tmp_path):
    text = write_report(whole[0], tmp_path / "page.html").read_text()

    for words in ("3 folds", "accuracy (WA)", "UAR (UA)", "macro F1", "by the jackknife over 12 speakers", "fold-02",
                  "macro avg", "No leak between sides was found", "normalisation"):  # fmt: skip
        assert words in text
    assert f"{whole[1]['pooled']['uar']:.3f}" in text


def test_the_page_of_folds_names_whom_each_was_tested_on_and_links_to_their_pages(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "folds")
    text = write_report(tmp_path / "folds", tmp_path / "alone.html").read_text()
    linked = write_report(tmp_path / "folds", folds=True).read_text()

    for names in (sorted(set(fold_side(fold, 2).speakers)) for fold in range(3)):
        assert f"<td>{', '.join(names)}</td>" in text
    assert "href" not in text.partition("</table>")[0].partition("<table")[2]
    assert re.findall(r'href="(fold[^"]*)"', linked) == [f"fold-0{number}/report.html" for number in (1, 2, 3)]
    assert (tmp_path / "folds" / "fold-03" / "report.html").is_file()
    (tmp_path / "pages").mkdir()
    assert (
        'href="../folds/fold-01/report.html"'
        in write_report(tmp_path / "folds", tmp_path / "pages" / "all.html").read_text()
    )


def test_figures_of_folds_are_files_with_their_numbers(whole, tmp_path):
    files = {path.name: path for path in write_figures(whole[0], tmp_path / "figures")}

    names = ("calibration-test", "confusion-test", "folds", "recall-test", "speakers-test")
    assert list(files) == [f"{name}.{form}" for name in names for form in ("csv", "pdf", "png", "svg")]
    lines = files["folds.csv"].read_text().splitlines()
    assert lines[0] == "fold,accuracy,uar"
    assert [float(line.split(",")[2]) for line in lines[1:]] == [one["test"]["uar"] for one in whole[1]["folds"]]
    assert len(files["speakers-test.csv"].read_text().splitlines()) == 13


def test_a_run_that_has_not_ended_is_named_on_the_page_and_left_out(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "folds")
    (tmp_path / "folds" / "fold-02" / "summary.json").unlink()
    text = write_report(tmp_path / "folds").read_text()

    assert "Not finished, and not counted here: fold-02." in text
    assert "2 folds" in text


def test_cross_validations_and_seeds_are_compared_on_their_items(whole, tmp_path):
    for number in (0, 1):
        shutil.copytree(whole[0] / "fold-01", tmp_path / "seeds" / f"seed-{number}")
    folds, seeds = RunFolder.of(whole[0]), RunFolder.of(tmp_path / "seeds")

    same = compare(folds.predictions("test"), folds.predictions("test"))
    assert (same["items"], same["unit"], same["accuracy"]["p_value"]) == (24, "speakers", 1.0)
    assert len(seeds.predictions("test")) == 2
    with pytest.raises(RunError, match="were not tested on the same items"):
        compare(folds.predictions("test"), seeds.predictions("test"))
    text = write_report(tmp_path / "seeds").read_text()
    assert "Mean and deviation over 2 seeds" in text
    assert "by the jackknife over 4 speakers" in text


def test_a_run_without_a_validation_side_is_trained_evaluated_and_reported(tmp_path):
    sides = Sides(fold_side(0, 0), ArrayView([], [], classes=("calm", "loud", "sharp")), fold_side(0, 2))
    result = train(sides, describe(sides), tmp_path / "run", device="cpu")
    run = load_run(tmp_path / "run")

    assert result["validation"] == {"loss": None, "accuracy": None, "uar": None}
    summary = evaluate_run(run, sides.validation, device="cpu").summary()
    assert summary["interval"] == dict.fromkeys(("accuracy", "uar", "macro_f1"))
    assert "Validation side" not in write_report(tmp_path / "run").read_text()


def test_a_folder_without_runs_is_one_clear_line(tmp_path):
    with pytest.raises(RunError, match=r"neither config\.json nor folders fold-01 or seed-0"):
        write_report(tmp_path)
