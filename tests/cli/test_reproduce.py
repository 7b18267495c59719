"""`reproduce` and `tune` as users run them, on the demo corpus with a small network and one epoch a training."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import ENVIRONMENT, error_line, featurestore
from demo_corpus import ROOT

from pipelines.experiments.recipe import read_recipe

RECIPE = """
title = "A table of two rows"
[dataset]
corpus = "demo"
features = "keren"
policy = "none"
[split]
name = "speakers"
[model]
name = "keren-standard"
[training]
epochs = 30
learning_rate = 0.01
[reduced]
training = { epochs = 1 }
[[rows]]
name = "Slow & steady"
published = { "test uar" = [0.9, 0.02], "validation accuracy" = 0.8 }
[[rows]]
name = "folds"
split = { name = "loso", first_folds = 2 }
published = { "test accuracy" = 0.5 }
[[rows]]
name = "folds of another table"
split = { name = "loso", first_folds = 2 }
published = { "test uar" = 0.4 }
metrics = ["test accuracy"]
[tune]
learning_rate = { low = 0.0001, high = 0.1, log = true }
batch_size = { choices = [16, 64] }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a recipe and its reproduction."""
    folder = tmp_path_factory.mktemp("reproduction")
    (folder / "table.toml").write_text(RECIPE)
    return folder


def run(place: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return featurestore(*arguments, "--json", store=place / "store")


def reproduced(place: Path) -> list[dict]:
    result = run(place, "reproduce", place / "table.toml", "--run", place / "runs", "--keep", place / "kept.json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def lines(place) -> list[dict]:
    return reproduced(place)


def test_every_published_figure_stands_beside_ours(lines):
    assert [(line["row"], line["metric"], line["published"]) for line in lines] == [
        ("Slow & steady", "test uar", 0.9),
        ("Slow & steady", "validation accuracy", 0.8),
        ("folds", "test accuracy", 0.5),
        ("folds of another table", "test uar", 0.4),
        ("folds of another table", "test accuracy", None),
    ]
    keys = {"row", "metric", "published", "ours", "deviation", "runs", "corpus", "protocol", "baseline", "setting"}
    for line in lines:
        assert keys <= line.keys()
        assert 0 <= line["ours"] <= 1
        assert line["setting"] == "reduced"
    assert [line["runs"] for line in lines] == [1, 1, 2, 2, 2]
    assert [line["deviation_over"] for line in lines] == [None, None, "folds", "folds", "folds"]
    assert lines[2]["protocol"] == "loso"
    assert lines[2]["deviation"] is not None


def test_the_figures_are_those_of_the_runs(place, lines):
    folds = sorted((place / "runs" / "folds" / "seed-0").glob("fold-*"))
    found = [json.loads((fold / "summary.json").read_text())["result"]["test"]["accuracy"] for fold in folds]

    assert len(found) == 2
    assert lines[2]["ours"] == pytest.approx(sum(found) / 2)


def test_confusions_count_the_answers_of_all_folds(place, lines):
    from models.runs.folders import RunFolder, pooled_summary

    pooled = pooled_summary(RunFolder.of(place / "runs" / "folds" / "seed-0").runs())

    assert lines[2]["confusion"] == {"classes": list(pooled["classes"]), "counts": pooled["confusion"]}
    assert sum(map(sum, lines[0]["confusion"]["counts"])) == trained_on(place / "runs" / "slow-steady")[0]["test"]


def test_other_sides_have_no_published_figure_and_a_leak_in_them_is_refused(place, lines):
    row = ("--row", "Slow & steady", "--split", "shuffled", "--run", place / "other")
    refused = run(place, "reproduce", place / "table.toml", *row)
    result = run(place, "reproduce", place / "table.toml", *row, "--allow-leak", "speaker")
    config = json.loads((place / "other" / "slow-steady" / "seed-0" / "config.json").read_text())

    assert "speaker" in error_line(refused)
    assert [(line["protocol"], line["published"]) for line in json.loads(result.stdout)] == [("shuffled", None)] * 2
    assert (config["split"], config["leaks"]["declared"]) == ("shuffled", ["speaker"])


def test_a_leak_that_a_recipe_declares_is_not_declared_for_other_sides(place, lines, tmp_path):
    (tmp_path / "table.toml").write_text(RECIPE.replace('"speakers"', '"shuffled"\nallow_leak = ["speaker"]', 1))
    row = ("--row", "Slow & steady", "--split", "stratified-3fold")

    assert "speaker" in error_line(run(place, "reproduce", tmp_path / "table.toml", *row))
    train = run(place, "crossval", "--recipe", tmp_path / "table.toml", "--split", "stratified-3fold")
    assert "--allow-leak speaker" in error_line(train)


def test_sides_that_are_empty_have_no_figures(place, lines):
    row = ("--row", "Slow & steady", "--split", "speakers-no-validation", "--run", place / "all-train")
    found = json.loads(run(place, "reproduce", place / "table.toml", *row).stdout)

    assert [line["metric"] for line in found] == ["test uar"]


def test_folds_do_not_go_into_the_folder_of_a_single_run(place, lines):
    row = ("--row", "Slow & steady", "--split", "loso", "--run", place / "runs")
    weights = (place / "runs" / "slow-steady" / "seed-0" / "model.safetensors").read_bytes()

    assert "holds a single run" in error_line(run(place, "reproduce", place / "table.toml", *row))
    assert (place / "runs" / "slow-steady" / "seed-0" / "model.safetensors").read_bytes() == weights


def test_rows_that_are_kept_are_shown_whole(place):
    refused = run(place, "reproduce", "best", "--show", "--row", "normalised by speaker")

    assert (refused.returncode, "leave out --split and --row" in refused.stderr) == (2, True)


def test_one_experiment_in_two_rows_is_trained_once(place, lines):
    assert lines[2]["ours"] == lines[4]["ours"]
    assert not (place / "runs" / "folds-of-another-table").exists()


def test_a_row_is_told_beside_chance_and_a_baseline_on_the_same_items(place, lines):
    *_, fold = sorted((place / "runs" / "baselines").glob("*/fold-*"))
    summary = json.loads((fold / "summary.json").read_text())

    for line in lines:
        assert line["chance"] == pytest.approx(0.25)  # four classes, equally many of each
        baseline = line["baseline"]
        assert baseline["difference"] == pytest.approx(line["ours"] - baseline["figure"])
        assert 0 < baseline["p_value"] <= baseline["p_holm"] <= 1
    assert summary["result"]["model"] == "svm-linear"
    assert lines[2]["baseline"]["p_holm"] == min(1, 2 * lines[2]["baseline"]["p_value"])  # two rows of the table


def test_a_plan_tells_what_is_left_to_train_and_trains_nothing(place, lines):
    how = ("--run", place / "runs")
    told = run(place, "reproduce", place / "table.toml", "--plan", "--seeds", 2, *how)
    planned = {line["row"]: line for line in json.loads(told.stdout)}

    folds, other = planned["folds"], planned["folds of another table"]
    assert (folds["folds"], folds["seeds"], folds["epochs"], folds["ended"]) == (2, 2, 1, 2)
    assert folds["cached"]
    assert folds["clips"] == 2 * sum(split["train"] for split in trained_on(place / "runs" / "folds" / "seed-0"))
    assert folds["hours"] > 0
    assert (other["trained_with"], other["hours"]) == ("folds", 0.0)
    assert not (place / "runs" / "folds" / "seed-1").exists()


def trained_on(folder: Path) -> list[dict[str, int]]:
    """Return the rows of each side of each fold."""
    return [json.loads(path.read_text())["rows"] for path in sorted(folder.glob("*/config.json"))]


def test_the_same_command_again_trains_nothing(place, lines):
    weights = {path: path.stat().st_mtime_ns for path in (place / "runs").rglob("model.safetensors")}

    assert reproduced(place) == lines
    assert {path: path.stat().st_mtime_ns for path in weights} == weights


def test_results_are_kept_once_a_row_under_the_name_of_the_recipe(place, lines):
    reproduced(place)

    assert json.loads((place / "kept.json").read_text())["table"]["rows"] == lines


def test_another_task_has_no_published_figure(place, lines, tmp_path):
    (tmp_path / "table.toml").write_text(
        RECIPE.replace('title = "A table of two rows"', 'task = "five of others"').replace(
            "[reduced]", '[corpora.demo]\ntask = "four of ours"\n[reduced]'
        )
    )

    result = run(place, "reproduce", tmp_path / "table.toml", "--row", "folds", "--run", place / "runs")
    (line,) = json.loads(result.stdout)

    assert (line["task"], line["classes"], line["published"]) == ("four of ours", 4, None)
    assert line["ours"] == lines[2]["ours"]


@pytest.mark.parametrize("name", ["mathworks", "digits", "etienne", "zhao", "keren", "best"])
def test_every_published_figure_is_shown_beside_ours_or_beside_why_there_is_none(name):
    published = [(row.name, metric) for row in read_recipe(name).rows() for metric in row.published]
    lines = json.loads(featurestore("reproduce", name, "--show", "--json").stdout)

    assert [found for found in published if found not in {(line["row"], line["metric"]) for line in lines}] == []
    for line in lines:
        assert (line["ours"] is None) == (line["runs"] == 0) == bool(line["why"])


def test_folds_are_pooled_and_seeds_answer_together(place, lines, tmp_path):
    from featurestore import ensemble
    from models.runs.folders import RunFolder, pooled_summary

    metrics = 'metrics = ["pooled test uar", "ensemble test uar"]'
    (tmp_path / "table.toml").write_text(RECIPE.replace('metrics = ["test accuracy"]', metrics))
    shutil.copytree(place / "runs", tmp_path / "runs")
    row = ("--row", "folds of another table", "--run", tmp_path / "runs")
    alone = json.loads(run(place, "reproduce", tmp_path / "table.toml", *row).stdout)
    _, pooled, together = json.loads(run(place, "reproduce", tmp_path / "table.toml", *row, "--seeds", 2).stdout)

    seeds = [tmp_path / "runs" / "folds" / f"seed-{seed}" for seed in (0, 1)]
    each = [pooled_summary(RunFolder.of(seed).runs())["uar"] for seed in seeds]
    assert [line["metric"] for line in alone] == ["test uar", "pooled test uar"]  # one seed is no ensemble
    assert alone[1]["ours"] == pytest.approx(each[0])
    assert pooled["ours"] == pytest.approx(sum(each) / 2)
    assert (pooled["deviation_over"], pooled["runs"], pooled["seeds"]) == ("seeds", 4, 2)
    assert together["ours"] == pytest.approx(ensemble(seeds)["uar"])
    assert (together["deviation"], together["runs"]) == (None, 4)
    assert together["baseline"]["difference"] == pytest.approx(together["ours"] - together["baseline"]["figure"])


def test_four_classes_of_emodb_stand_beside_those_of_iemocap(tmp_path):
    from pipelines.experiments.kept_results import NOTHING, committed_results, keep_results
    from pipelines.experiments.published import chosen_rows

    recipe = read_recipe("etienne")
    assert all(recipe.task("emodb", row) == row.task for row, _, _ in chosen_rows(recipe, "emodb"))
    measured = {
        "row": "4 kHz",
        "metric": "test uar",
        "corpus": "emodb/4class",
        "published": 0.577,
        "ours": 0.5,
        "runs": 10,
    }
    keep_results(tmp_path / "kept.json", "etienne", [{**NOTHING, **measured}])
    elsewhere = {**measured, "protocol": "shuffled", "metric": "test accuracy", "published": None}
    keep_results(tmp_path / "kept.json", "etienne", [{**NOTHING, **elsewhere}])
    lines = committed_results("etienne", file=tmp_path / "kept.json")

    beside = {line["published"] for line in lines if (line["row"], line["metric"]) == ("4 kHz", "test accuracy")}
    assert beside == {None, 0.664}  # a figure on other sides does not hide the published one
    (line,) = [line for line in lines if (line["row"], line["metric"]) == ("4 kHz", "test uar")]
    assert (line["corpus"], line["published"], line["ours"]) == ("emodb/4class", 0.577, 0.5)
    assert {line["metric"] for line in lines if line["why"]} >= {"test accuracy", "fold 10 test uar"}


def test_the_page_of_results_is_written_from_what_was_measured():
    benchmarks = ROOT / "benchmarks"
    code = "import results_page as page; print(page.results_page(page.NOTES.read_text('utf-8'), page.RESULTS), end='')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**ENVIRONMENT, "PYTHONPATH": f"{benchmarks}{os.pathsep}{ROOT}"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )

    written = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert written == result.stdout, "run: python benchmarks/results_page.py"


def test_the_results_of_the_repository_are_shown_without_training():
    result = featurestore("reproduce", "mathworks", "--show", "--json")
    line, *_ = json.loads(result.stdout)

    assert (line["published"], line["metric"], line["setting"]) == (0.6329, "test accuracy", "full")
    assert line["runs"] >= 5
    assert line["deviation"] > 0


def test_rows_and_recipes_that_do_not_exist_are_one_line(place):
    assert "'CNN'" in error_line(run(place, "reproduce", place / "table.toml", "--row", "CNN"))
    assert "mathworks" in error_line(run(place, "reproduce", "mathwork"))
    assert "no [[rows]]" in error_line(run(place, "reproduce", "demo"))


def tune(place: Path, folder: str, trials: int) -> dict:
    result = run(
        place, "tune", "--recipe", place / "table.toml", "--epochs", 1, "--trials", trials, "--run", place / folder
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def search(place) -> dict:
    return tune(place, "search", 3)


def test_trials_differ_and_the_best_validates_best(search):
    values = [trial["value"] for trial in search["trials"]]

    assert len({str(trial["settings"]) for trial in search["trials"]}) == 3
    assert search["best"]["value"] == max(values)
    for trial in search["trials"]:
        assert 0.0001 <= trial["settings"]["learning_rate"] <= 0.1
        assert trial["settings"]["batch_size"] in (16, 64)


def test_a_trial_is_a_training_with_its_settings(place, search):
    config = json.loads((place / "search" / "trial-001" / "config.json").read_text())

    assert config["training"]["learning_rate"] == search["trials"][1]["settings"]["learning_rate"]
    assert config["training"]["batch_size"] == search["trials"][1]["settings"]["batch_size"]


def test_a_killed_search_goes_on_with_the_same_trials(place, search):
    folder = place / "killed"
    command = [sys.executable, "-m", "cli", "tune", "--recipe", place / "table.toml", "--epochs", "1", "--trials", "3"]
    home = {**ENVIRONMENT, "FEATURESTORE_HOME": str(place / "store")}
    with subprocess.Popen(
        [*map(str, command), "--run", str(folder)],
        cwd=ROOT,
        env=home,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not (folder / "trial-001").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    (folder / "trial-002").mkdir(exist_ok=True)  # as one leaves it that is killed before it says what it trains
    found = tune(place, "killed", 3)

    assert process.returncode == -signal.SIGKILL
    assert found["trials"] == search["trials"]


def test_a_folder_of_another_search_is_left_alone(place, search):
    result = run(place, "tune", "--recipe", place / "table.toml", "--trials", 3, "--run", place / "search")

    assert "another search" in error_line(result)


def test_a_table_of_sides_that_has_changed_since_the_first_trial_is_refused(place, tmp_path):
    from featurestore.store import open_store
    from models.errors import RunError
    from pipelines.experiments.prepare import prepare
    from pipelines.experiments.recipe import read_recipe
    from pipelines.experiments.search import Search
    from pipelines.experiments.settings import chosen_experiment

    recipe, table, store = str(place / "table.toml"), tmp_path / "sides.csv", open_store(place / "store")
    sides = prepare(store, chosen_experiment(store, None, recipe, None), jobs=1).all_sides[0]._asdict()
    table.write_text("path,side\n" + "".join(f"{path},{side}\n" for side in sides for path in sides[side].paths))
    experiment = chosen_experiment(store, None, recipe, None, split=str(table), epochs=1)
    search = Search(experiment, read_recipe(recipe).space, tmp_path / "run")
    how = {"source": None, "device": "cpu", "jobs": 1, "every_fold": False}
    (first,) = search.run(store, 1, **how)

    then = table.read_text()
    table.write_text(then.replace(",test", ",-").replace(",validation", ",test").replace(",-", ",validation"))
    with pytest.raises(RunError, match="hold other recordings or labels than in its first trial"):
        search.run(store, 2, **how)
    assert not (tmp_path / "run" / "trial-001").exists()
    table.write_text(then)
    assert search.run(store, 1, **how) == [first]


def test_the_test_side_is_no_objective(place):
    result = run(place, "tune", "--recipe", place / "table.toml", "--objective", "test uar", "--run", place / "x")

    assert "validation side" in error_line(result)


def test_a_recipe_without_a_space_says_so(place):
    assert "no [tune]" in error_line(run(place, "tune", "--recipe", "demo", "--run", place / "x"))


def test_without_optuna_one_line_says_what_to_install(monkeypatch):
    from featurestore.errors import SpecError
    from pipelines.experiments.search import optuna_library

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SpecError, match=r"featurestore\[tune\]"):
        optuna_library()
