"""Run folders that were edited to do harm: every command ends in its result or in one line, and none waits."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from hostile_runs import tamper
from terminals import called, steers
from tiny_corpus import build_here, file_name, recipe, write_corpus

from featurestore.store import open_store
from models.training import train
from models.training_loop import SilentTraining
from pipelines.experiments.prepare import prepare
from pipelines.experiments.settings import chosen_experiment

FOLDERS = 2_000 if os.environ.get("FEATURESTORE_CHAOS") == "long" else 24
SETTINGS = (
    "model.hidden=4",
    "model.convolutions=1",
    "training.batch_norm=moving",
    "training.epochs=2",
    "training.batch_size=4",
    "training.gradient_norms=true",
)
COMMANDS = {
    "run": (
        ("report", "{run}"),
        ("evaluate", "{run}", "--json", "--store", "{store}"),
        ("evaluate", "{run}", "--side", "all", "--store", "{store}"),
        ("predict", "{run}", "{clip}", "--json"),
        ("predict", "{run}", "{clip}"),
        ("compare", "{run}", "{sound}"),
        ("compare", "{run}", "{sound}", "--json", "--side", "validation"),
        ("train", "--resume", "{run}", "--store", "{store}"),
    ),
    "begun": (
        ("report", "{run}"),
        ("train", "--resume", "{run}", "--store", "{store}", "--device", "cpu"),
    ),
    "folds": (
        ("report", "{run}"),
        ("compare", "{run}", "{run}"),
        ("crossval", "--resume", "{run}", "--store", "{store}", "--device", "cpu"),
    ),
    "seeds": (
        ("report", "{run}"),
        ("compare", "{run}", "{sound}"),
        ("train", "--resume", "{run}", "--store", "{store}", "--device", "cpu"),
    ),
}
"""What is run on a folder of each kind."""


class Stop(SilentTraining):
    """Progress that ends a training in its second epoch, as a kill would."""

    def step(self, report):
        if report.epoch == 2:
            raise InterruptedError


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A store, a finished run, one that was interrupted, folds and seeds."""
    place = tmp_path_factory.mktemp("hostile")
    folder = write_corpus(place / "tiny", range(1, 13))
    store = open_store(place / "store")
    build_here(store, folder, recipe(1, mels=16))
    options = ["--model", "etienne-cnn-blstm", "--device", "cpu", "--store", str(place / "store")]
    options += [part for setting in SETTINGS for part in ("--set", setting)]
    for command in (
        ("train", "tiny", "--run", str(place / "run")),
        ("crossval", "tiny", "--split", "loso", "--set", "split.first_folds=2", "--run", str(place / "folds")),
        ("train", "tiny", "--seeds", "2", "--run", str(place / "seeds")),
    ):
        code, _, err = called(*command, *options)
        assert code == 0, err
    experiment = chosen_experiment(store, "tiny", None, None, model="etienne-cnn-blstm", settings=SETTINGS)
    prepared = prepare(store, experiment, dataset="tiny")
    sides = prepared.all_sides[0]
    with pytest.raises(InterruptedError):
        train(sides, prepared.describe(sides), place / "begun", device="cpu", progress=Stop())
    return place


def figures(out: str) -> object:
    """What a command with `--json` says that hangs on weights and rows, which no edited file may change."""
    value = json.loads(out, parse_constant=str)
    if isinstance(value, list):
        return [(one["label"], one["probabilities"]) for one in value]
    return {name: value[name] for name in ("loss", "items", "accuracy", "uar", "confusion") if name in value}


def fault(code: int | None, out: str, err: str) -> str:
    """Say what is wrong with how a command ended; empty if nothing is."""
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    if code is None:
        return "traceback"
    if code not in (0, 1, 2, 4) or len(errors) != bool(code):
        return "not one line"
    if steers(out) or steers(err):
        return "steers the terminal"
    if code == 0 and ("NaN" in out or "Infinity" in out):
        return "no number"
    return ""


@pytest.mark.timeout(7200)  # it is bounded by its number of folders
def test_every_command_on_a_tampered_run_folder_ends_in_its_result_or_a_line(sound, tmp_path):
    chance = random.Random(12)
    failures = []
    words = {"store": sound / "store", "sound": sound / "run", "clip": sound / "tiny" / file_name(1)}
    expected = {
        command: figures(called(*(word.format(run=sound / "run", **words) for word in command))[1])
        for command in COMMANDS["run"]
        if "--json" in command and command[0] != "compare"
    }

    for number in range(FOLDERS):
        kind = chance.choice(["run", "run", "run", *COMMANDS])
        place = shutil.copytree(sound / kind, tmp_path / "run")
        deeds = tamper(chance, place)
        for command in COMMANDS[kind]:
            code, out, err = called(*(word.format(run=place, **words) for word in command))
            wrong = fault(code, out, err)
            sealed_anew = any("model.safetensors" in deed for deed in deeds)  # other weights, which say other things
            if not wrong and code == 0 and command in expected and not sealed_anew:
                wrong = "" if figures(out) == expected[command] else "another result"
            if wrong:
                failures.append((number, kind, deeds, command, wrong, code, out[-300:], err[-500:]))
        shutil.rmtree(place)

    for failure in failures:
        sys.stderr.write(f"{failure!a}\n")
    assert failures == []
