"""Training from the command line, on the demo corpus with very short trainings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import error_line, featurestore
from demo_corpus import ROOT

import featurestore as library
from featurestore import open_store
from featurestore.errors import SpecError
from pipelines import experiments

RECIPE = """
title = "A very short training"
[dataset]
corpus = "demo"
copies = 1
[split]
name = "speakers"
[training]
epochs = 2
bucket_batches = 2
population_batches = 1
"""

FOLDS = """
title = "Three tiny folds"
[dataset]
corpus = "demo"
features = "keren"
copies = 0
[split]
name = "group-3fold"
[model]
name = "keren-standard"
[training]
epochs = 1
population_batches = 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a recipe, a store and a finished run."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "short.toml").write_text(RECIPE)
    result = featurestore(
        "train", "--recipe", folder / "short.toml", "--run", folder / "run", "--json", store=folder / "store"
    )
    assert result.returncode == 0, result.stderr
    (folder / "result.json").write_text(result.stdout)
    return folder


def test_training_by_a_recipe_builds_what_is_missing_and_says_so(place):
    result = json.loads((place / "result.json").read_text())
    (dataset,) = json.loads(featurestore("ls", "--json", store=place / "store").stdout)

    assert dataset["dataset"] == "demo-short"
    assert dataset["rows"] == 240
    assert result["model"] == "mathworks-cnn-lstm"
    assert result["epochs"] == 2
    for side in ("train", "validation", "test"):
        assert {"loss", "accuracy", "uar"} <= result[side].keys()
        assert 0 <= result[side]["uar"] <= 1
    assert result["clips_per_second"] > 0


def test_a_run_folder_holds_everything_that_the_readme_names(place):
    names = {path.name for path in (place / "run").iterdir()}

    assert {"config.json", "metrics.jsonl", "summary.json", "model.safetensors"} <= names
    assert {"confusion-test.png", "confusion-test.svg"} <= names or {"confusion.png", "confusion.svg"} <= names


def test_python_gives_the_figures_that_the_command_prints_and_prints_nothing_itself(place, capsys):
    told = []

    class Ears(experiments.Silent):
        def notice(self, text):
            told.append(text)

    store, recipe = open_store(place / "store"), str(place / "short.toml")
    result = experiments.train(
        recipe=recipe, store=store, folder=place / "python", settings=["epochs=2"], listener=Ears()
    )
    evaluated = experiments.evaluate(result["run"], store=store)

    assert result["test"] == json.loads((place / "result.json").read_text())["test"]
    assert evaluated["uar"] == result["test"]["uar"]
    assert told == ["demo-short: 0 rows computed, 240 reused"]
    assert capsys.readouterr() == ("", "")


def test_python_refuses_to_change_a_run_that_goes_on(place):
    with pytest.raises(SpecError, match="resumed as it began"):
        experiments.train(resume=place / "run", epochs=9)


def test_python_builds_trains_and_predicts_as_the_commands_do(place, tmp_path):
    short = place / "short.toml"
    featurestore("build", "--recipe", short, "--name", "by-hand", store=tmp_path / "store")
    options = ("--recipe", short, "--epochs", "1", "--set", "keep=best", "--run", tmp_path / "command", "--json")
    printed = json.loads(featurestore("train", "by-hand", *options, store=tmp_path / "store").stdout)
    listed = json.loads(featurestore("ls", "--json", store=tmp_path / "store").stdout)

    store = library.open_store(tmp_path / "python-store")
    report = library.build(recipe=str(short), name="by-hand", store=store)
    result = library.train(
        "by-hand", recipe=str(short), epochs=1, settings=("keep=best",), folder=tmp_path / "python", store=store
    )
    compared = library.compare(tmp_path / "command", result["run"])

    assert [report.digest] == [row["digest"] for row in listed]
    assert (report.clean, report.augmented) == (120, 120)
    for side in ("train", "validation", "test"):
        assert result[side] == printed[side]
    assert digest_of_weights(tmp_path / "python") == digest_of_weights(tmp_path / "command")
    assert compared["accuracy"]["difference"] == 0.0


def digest_of_weights(run: Path) -> str:
    """Return the sha256 of a run's model."""
    return json.loads((run / "summary.json").read_text())["model_sha256"]


def test_python_refuses_to_build_nothing():
    with pytest.raises(SpecError, match="give a corpus"):
        library.build()


def test_evaluating_a_run_gives_the_figures_that_training_reported(place):
    reported = json.loads((place / "result.json").read_text())["test"]

    document = json.loads(featurestore("evaluate", place / "run", "--json", store=place / "store").stdout)

    assert document["accuracy"] == pytest.approx(reported["accuracy"])
    assert document["uar"] == pytest.approx(reported["uar"])
    assert set(document["per_class"]) == {"angry", "happy", "neutral", "sad"}
    assert len(document["confusion"]) == 4


def test_predicting_labels_files_and_folders(place, tmp_path):
    from featurestore.corpus.synthetic import demo_files

    name, data = next(iter(sorted(demo_files().items())))
    (tmp_path / name).write_bytes(data)

    (by_file,) = json.loads(featurestore("predict", place / "run", tmp_path / name, "--json").stdout)
    (by_folder,) = json.loads(featurestore("predict", place / "run", tmp_path, "--json").stdout)

    assert by_file == by_folder
    assert by_file["label"] in by_file["probabilities"]
    assert sum(by_file["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predicting_reads_stereo_at_48_kilohertz(place, shared):
    import zipfile

    archive = zipfile.ZipFile(shared / "data" / "ravdess" / "Audio_Speech_Actors_01_20.zip")
    stereo = place / "03-01-02-01-01-02-01.wav"
    stereo.write_bytes(archive.read(f"Actor_01/{stereo.name}"))

    (answer,) = json.loads(featurestore("predict", place / "run", stereo, "--json").stdout)

    assert answer["file"] == str(stereo)
    assert len(answer["probabilities"]) == 4


def test_a_report_is_a_page_with_the_figures(place):
    page = place / "page.html"

    assert json.loads(featurestore("report", place / "run", "--out", page, "--json").stdout) == {"path": str(page)}
    text = page.read_text()
    assert "<svg" in text
    assert "speakers" in text


def test_several_seeds_give_mean_and_deviation(place, tmp_path):
    result = featurestore(
        "train", "--recipe", place / "short.toml", "--seeds", 2, "--epochs", 1, "--run", tmp_path / "runs", "--json",
        store=place / "store",
    )  # fmt: skip

    document = json.loads(result.stdout)
    assert len(document["runs"]) == 2
    assert set(document["mean"]) == {"accuracy", "uar"}
    accuracies = [run["test"]["accuracy"] for run in document["runs"]]
    assert document["mean"]["accuracy"] == pytest.approx(sum(accuracies) / 2)


def in_its_second_epoch(place: Path, run: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a training and wait until its first epoch has ended."""
    command = [sys.executable, "-m", "cli", "train", "--recipe", str(place / "short.toml"), "--run", str(run)]
    process = subprocess.Popen(
        [*command, *arguments, "--store", str(place / "store")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
    )
    patience = time.monotonic() + 240
    while not (run / "metrics.jsonl").exists() and time.monotonic() < patience:
        time.sleep(0.02)
    return process


def test_ctrl_c_in_a_training_names_the_command_that_goes_on(place, tmp_path):
    run = tmp_path / "run"
    process = in_its_second_epoch(place, run, "--epochs", "1000")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=200)

    assert process.returncode == 130
    assert told.splitlines()[-1] == f"interrupted; resume with 'featurestore train --resume {run}'."


def test_a_training_killed_in_its_second_epoch_ends_with_the_same_figures_after_resume(place, tmp_path):
    process = in_its_second_epoch(place, tmp_path / "run")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "run" / "summary.json").exists()

    resumed = json.loads(featurestore("train", "--resume", tmp_path / "run", "--json", store=place / "store").stdout)

    whole = json.loads((place / "result.json").read_text())
    for side in ("train", "validation", "test"):
        assert resumed[side] == whole[side]


def test_a_split_that_leaks_speakers_is_refused_by_name_until_it_is_allowed(place, tmp_path):
    arguments = ["train", "demo-short", "--split", "shuffled", "--epochs", 1, "--run", tmp_path / "run"]

    refused = featurestore(*arguments, store=place / "store")
    allowed = featurestore(*arguments, "--allow-leak", "speaker", store=place / "store")

    assert refused.returncode == 1
    assert "speaker" in error_line(refused)
    assert "f1" in error_line(refused)
    assert "--allow-leak speaker" in error_line(refused)
    assert allowed.returncode == 0, allowed.stderr


def test_a_model_that_cannot_read_a_dataset_is_refused_and_nothing_else_is_said(tmp_path):
    store = tmp_path / "store"
    built = featurestore("build", "demo", "--augment", 0, "--set", "mels=8", "--name", "narrow", store=store)
    assert built.returncode == 0, built.stderr

    refused = featurestore("train", "narrow", "--model", "mathworks-cnn-lstm", "--split", "speakers", store=store)

    assert refused.returncode == 1
    assert "a multiple of 128 bands" in error_line(refused)
    assert "note:" not in refused.stderr


NOISES = """
[recorded_snr_db]
uniform = [0, 10]
[noises]
corpus = "demo"
files = "f2_*"
"""


def test_test_recordings_as_noises_of_training_copies_are_refused_before_a_build_and_after_until_allowed(
    place, tmp_path
):
    (tmp_path / "noisy.toml").write_text(NOISES)
    policy = f"copies = 1\npolicy = '{tmp_path / 'noisy.toml'}'"
    text = RECIPE.replace("copies = 1", policy).replace('"speakers"', '"loso/f2"')
    (tmp_path / "noisy-f2.toml").write_text(text)
    arguments = ["train", "--recipe", tmp_path / "noisy-f2.toml", "--epochs", 1, "--run", tmp_path / "run"]

    refused = featurestore(*arguments, store=place / "store")
    built_then = list((place / "store" / "refs").rglob("demo-noisy-f2*"))
    allowed = featurestore(*arguments, "--allow-leak", "audio", store=place / "store")
    standing = featurestore(
        "train", "demo-noisy-f2", "--split", "loso/f2", "--epochs", 1, "--run", tmp_path / "other",
        store=place / "store",
    )  # fmt: skip

    assert "noises of the policy are recordings of the test side" in error_line(refused)
    assert built_then == []
    assert allowed.returncode == 0, allowed.stderr
    assert "noises of the policy are recordings of the test side" in error_line(standing)
    leaks = json.loads((tmp_path / "run" / "config.json").read_text())["leaks"]
    assert all("= a noise of the policy" in name for name in leaks["found"]["audio"])


AS_A_CONSOLE_SCRIPT = "from cli.main import main; main()"


@pytest.mark.slow
def test_folds_in_processes_of_their_own_import_nothing_from_the_working_directory(tmp_path):
    pytest.importorskip("torch")
    downloads, script = tmp_path / "downloads", tmp_path / "bin" / "featurestore"
    for folder in (downloads, script.parent):
        folder.mkdir()
    for name in ("joblib", "multiprocessing"):
        (downloads / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w').close()\n")
    script.write_text(f"if __name__ == '__main__':\n    {AS_A_CONSOLE_SCRIPT}\n")
    (tmp_path / "folds.toml").write_text(FOLDS)

    result = subprocess.run(
        [sys.executable, script, "crossval", "--recipe", tmp_path / "folds.toml", "--jobs", "2",
         "--run", tmp_path / "run", "--device", "cpu"],
        cwd=downloads, capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1", "FEATURESTORE_HOME": str(tmp_path / "store")},
    )  # fmt: skip

    assert not (tmp_path / "marker").exists()
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "run").glob("fold-*/summary.json"))) == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "demo"], "DATASET"),
        (["train", "--recipe", "demo"], "--recipe"),
        (["train", "--epochs", "1"], "--epochs"),
        (["train", "--set", "learning_rate=1"], "--set"),
        (["train", "--model", "keren-standard"], "--model"),
        (["train", "--split", "speakers"], "--split"),
        (["train", "--seed", "0"], "--seed"),
        (["train", "--seeds", "2"], "--seeds"),
        (["train", "--corpus", "demo"], "--corpus"),
        (["train", "--batch-size", "8"], "--batch-size"),
        (["train", "--allow-leak", "audio"], "--allow-leak"),
        (["train", "--run", "elsewhere"], "--run"),
        (["crossval", "demo"], "DATASET"),
        (["crossval", "--epochs", "1"], "--epochs"),
        (["crossval", "--run", "elsewhere"], "--run"),
    ],
)
def test_what_would_change_an_experiment_is_wrong_usage_beside_resume(tmp_path, capsys, arguments, named):
    from cli.main import run

    code = run([*arguments, "--resume", str(tmp_path / "run"), "--device", "cpu", "--store", str(tmp_path / "store")])

    assert code == 2
    assert f"{named} cannot be combined with --resume" in " ".join(capsys.readouterr().err.split())


def test_going_on_with_a_finished_run_says_that_it_is_finished(place):
    result = featurestore("train", "--resume", place / "run", "--json", store=place / "store")

    assert f"{place / 'run'} is finished" in " ".join(result.stderr.split())
    assert json.loads(result.stdout) == json.loads((place / "result.json").read_text())


def test_a_run_folder_that_exists_is_left_alone(place):
    before = (place / "run" / "summary.json").read_bytes()

    result = featurestore("train", "--recipe", place / "short.toml", "--run", place / "run", store=place / "store")

    assert result.returncode == 1
    assert "--resume" in error_line(result)
    assert (place / "run" / "summary.json").read_bytes() == before


def test_a_checkpoint_with_changed_bytes_is_refused(place, tmp_path):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(place / "run", run)
    weights = bytearray((run / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (run / "model.safetensors").write_bytes(weights)

    result = featurestore("evaluate", run, store=place / "store")

    assert result.returncode == 4
    assert "model.safetensors" in error_line(result)


def test_a_foreign_pickle_is_never_opened(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"\x80\x04cos\nsystem\n.")

    result = featurestore("predict", tmp_path / "model.pt", "x.wav")

    assert result.returncode == 1
    assert "model.pt" in error_line(result)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nothing"], ["no store at", "--store"]),
        (["train"], ["--recipe"]),
        (["train", "--recipe", "mathwork"], ["mathwork", "mathworks"]),
        (["train", "--recipe", "demo", "--model", "mathworks-cnn"], ["mathworks-cnn-lstm"]),
        (["train", "--recipe", "demo", "--set", "learning_rat=1"], ["learning_rat"]),
        (["train", "--recipe", "demo", "--split", "loso"], ["loso", "folds"]),
        (["evaluate", "no-run"], ["no-run"]),
        (["train", "--resume", "no-run"], ["no-run"]),
    ],
)
def test_a_wrong_name_or_value_is_one_line(tmp_path, arguments, words):
    result = featurestore(*arguments, store=tmp_path / "store")

    assert result.returncode == 1
    for word in words:
        assert word in error_line(result)


@pytest.mark.slow
def test_torchrun_trains_in_two_processes_of_which_one_speaks(place):
    arguments = (
        "train", "--recipe", place / "short.toml", "--epochs", 1, "--run", place / "two", "--json", "--device", "cpu",
        "--set", "optimiser=sgd", "--set", "modules.lstm.learning_rate=0.001", "--set", "gradient_norms=true",
    )  # fmt: skip
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "cli")
    result = subprocess.run(
        [sys.executable, "-m", *torchrun, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "FEATURESTORE_HOME": str(place / "store"), "OMP_NUM_THREADS": "1"},
        timeout=240,
    )

    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    config = json.loads((place / "two" / "config.json").read_text())
    assert told["device"].startswith("2 x cpu")
    assert told == json.loads((place / "two" / "summary.json").read_text())["result"]
    assert result.stderr.count("two: epoch 1:") == 1
    assert config["training"]["modules"] == {"lstm": {"learning_rate": 0.001}}
    assert (place / "two" / "gradient-norms.svg").exists()
