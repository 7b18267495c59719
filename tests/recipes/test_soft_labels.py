"""Soft labels from IEMOCAP's own files to a run folder: shares of the raters' voices, training, and what is refused."""

import csv
import dataclasses
import json
import math
import os
import re
import signal
from collections import Counter
from fractions import Fraction

import command_line
import numpy as np
import pytest
import torch
from command_line import error_line, featurestore
from licensed_corpora import put
from spoken_copies import iemocap

import featurestore as library
from featurestore import open_store
from featurestore.corpus.manifest import Scheme
from featurestore.errors import FeatureStoreError, SpecError, SplitError
from featurestore.soft_labels import counting_votes, votes_scheme
from models.optimisation.distributed import Ranks
from models.optimisation.losses import make_loss
from models.runs.records import read_predictions
from models.runs.run import read_config
from models.training import train
from models.training_loop import SilentTraining
from models.training_spec import TrainingSpec
from models.training_state import CHECKPOINT
from pipelines.experiments.listener import Silent

CLASSES = ("anger", "happiness", "neutral", "sadness")
NAMES = {"ang": ("Anger",), "hap": ("Happiness", "Excited"), "neu": ("Neutral",), "sad": ("Sadness",)}
"""What raters call each class; IEMOCAP's files end each name in a semicolon."""
CLASS_OF = {
    "Anger": "anger",
    "Happiness": "happiness",
    "Excited": "happiness",
    "Neutral": "neutral",
    "Sadness": "sadness",
}
TURN = re.compile(r"(?<=\t)(Ses\w+)\t(\w+)\t\[.*?\n(?:C-E\d:.*\n)+")
SMALL = ("width=8", "attention=4", "batch_norm=moving", "learning_rate=0.01", "precision=float32", "batch_size=16")
HOW = {"model": "tdnn", "split": "loso/Ses01F", "epochs": 2, "settings": (*SMALL, "checkpoint_minutes=1e-9")}
OPTIONS = ("--model", "tdnn", "--epochs", 2, "--device", "cpu")
ONCE = ("--model", "tdnn", "--epochs", 1, "--device", "cpu")


def rated(turn, random):
    """Return a turn with the votes of three raters: the first two agree, the third may name two, or no class at all."""
    emotion = turn[2]
    agreed = [(str(random.choice(NAMES[emotion])),) for _ in range(2)]
    third = random.choice(["Frustration", *CLASS_OF], random.integers(1, 3), replace=False)
    votes = [*agreed, tuple(map(str, third))]
    if turn[1].endswith("F003") and "impro01" in turn[1]:  # level votes: the scheme does not decide
        votes = [("Sadness",), ("Anger",), ("Frustration",)]
    lines = "".join(
        f"C-E{2 + place}:\t{' '.join(f'{name};' for name in said)}\t()\n" for place, said in enumerate(votes)
    )
    return f"{turn[1]}\t{emotion}\t[2.5000, 2.5000, 2.0000]\n{lines}", votes


def shares_of(votes):
    """The share of the voices that each class got, exactly: a rater has one, shared by all that the rater named."""
    voices = Counter()
    for said in votes:
        for name in said:
            voices[CLASS_OF.get(name)] += Fraction(1, len(said))
    heard = sum(voices[name] for name in CLASSES)
    return [float(voices[name] / heard) for name in CLASSES]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of IEMOCAP in which raters disagree, built, with a run; `truth.json` has the shares of each turn."""
    folder, random, truth = tmp_path_factory.mktemp("soft"), np.random.default_rng(5), {}
    source = iemocap(folder / "source")

    def vote(turn):
        """Replace the votes of a turn."""
        text, votes = rated(turn, random)
        truth[f"{turn[1]}.wav"] = shares_of(votes)
        return text

    for file in sorted(source.rglob("EmoEvaluation/Ses*.txt")):
        put(file, TURN.sub(vote, file.read_text()))
    assert len(truth) == 80
    (folder / "truth.json").write_text(json.dumps(truth))
    library.build("iemocap/votes4", source=source, features="keren", store=folder / "store", jobs=1)
    settings = [word for setting in HOW["settings"] for word in ("--set", setting)]
    trained = featurestore(
        *("train", "iemocap-votes4", "--target", "votes", "--split", HOW["split"], "--run", folder / "run"),
        *OPTIONS,
        *settings,
        store=folder / "store",
    )
    assert trained.returncode == 0, trained.stderr
    return folder


def cross_entropy(folder, side):
    """The mean over a side's answers of the cross entropy with the shares that the label files say, written out."""
    truth = json.loads((folder / "truth.json").read_text())
    rows = list(csv.DictReader((folder / f"run/predictions-{side}.csv").read_text().splitlines()))
    return -math.fsum(
        truth[row["path"]][place] * math.log(float(row[f"p({name})"]))
        for row in rows
        for place, name in enumerate(CLASSES)
    ) / len(rows)


def test_the_shares_of_each_turn_are_those_of_its_raters_and_level_votes_take_no_part(place):
    truth = json.loads((place / "truth.json").read_text())
    view = open_store(place / "store").view("iemocap-votes4")
    counted = counting_votes(view, votes_scheme("loso", "iemocap/votes4"))

    assert view.classes == CLASSES
    assert len(view) == 75  # five of 80 are level
    assert counted.vote_shares(CLASSES) == pytest.approx(np.array([truth[path] for path in view.paths]), abs=1e-7)
    assert any(0 < share < 1 for path in view.paths for share in truth[path])
    rows = np.array([3, 9])
    assert counted.select(rows).vote_shares(CLASSES[::-1]).tolist() == counted.vote_shares(CLASSES)[rows, ::-1].tolist()


def test_a_run_minimises_the_cross_entropy_with_the_shares_and_is_judged_by_the_label(place):
    summary = json.loads((place / "run/summary.json").read_text())
    history = [json.loads(line) for line in (place / "run/metrics.jsonl").read_text().splitlines()]
    found = read_predictions(place / "run/predictions-test.csv")
    recalls = [np.mean(found.predicted[found.labels == label] == label) for label in range(4)]

    assert summary["result"]["test"]["loss"] == pytest.approx(cross_entropy(place, "test"), rel=1e-4)
    assert history[-1]["validation"]["loss"] == pytest.approx(cross_entropy(place, "validation"), rel=1e-4)
    assert summary["result"]["test"]["uar"] == pytest.approx(np.mean(recalls))
    assert summary["test"]["per_class"].keys() == set(CLASSES)
    labels = library.train("iemocap-votes4", store=place / "store", folder=place / "labels", device="cpu", **HOW)
    assert labels["test"]["loss"] != summary["result"]["test"]["loss"]
    assert library.compare(place / "run", place / "labels")["items"] == len(found.paths)
    described = [json.loads((place / run / "config.json").read_text()) for run in ("run", "labels")]
    differing = {name for name in described[0] if described[0][name] != described[1].get(name)}
    assert differing - {"made"} == {"training", "items", "recipe"}
    assert described[0].keys() == described[1].keys()


class Killed(Silent, SilentTraining):
    """Kills its process in the second epoch, behind the last checkpoint."""

    def training(self, title):
        return self

    def step(self, report):
        if report.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(place):
    library.train(
        "iemocap-votes4",
        store=place / "store",
        folder=place / "killed",
        target="votes",
        device="cpu",
        **HOW,
        listener=Killed(),
    )


def test_a_training_that_was_killed_ends_with_the_same_weights(place):
    with pytest.raises(EOFError):
        command_line.called(train_until_killed, place, folder=place)
    names = {path.name for path in (place / "killed").iterdir()}
    assert CHECKPOINT in names
    assert "summary.json" not in names
    resumed = featurestore("train", "--resume", place / "killed", "--device", "cpu", store=place / "store")

    assert resumed.returncode == 0, resumed.stderr
    for name in ("model.safetensors", "predictions-test.csv", "predictions-validation.csv"):
        assert (place / "killed" / name).read_bytes() == (place / "run" / name).read_bytes()


def test_folds_evaluation_answers_and_pages_are_those_of_any_classes(place):
    store, run = place / "store", place / "run"
    split = ("--split", "group-3fold", "--run", place / "folds", "--set", "width=8", "--set", "attention=4")
    folds = featurestore("crossval", "iemocap-votes4", "--target", "votes", *split, *ONCE, "--json", store=store)
    assert folds.returncode == 0, folds.stderr
    assert sum(map(sum, json.loads(folds.stdout)["pooled"]["confusion"])) == 75
    found = featurestore("evaluate", run, "--device", "cpu", "--json", store=store)
    assert found.returncode == 0, found.stderr
    summary = json.loads((run / "summary.json").read_text())
    assert json.loads(found.stdout)["loss"] == pytest.approx(summary["result"]["test"]["loss"], rel=1e-5)
    assert json.loads(found.stdout)["uar"] == pytest.approx(summary["test"]["uar"])
    sound = next(one for one in sorted((place / "source").rglob("Ses01F*_F000.wav")) if not one.name.startswith("._"))
    (answer,) = library.predict(run, sound, device="cpu")
    kept = read_predictions(run / "predictions-test.csv")
    expected = kept.probabilities[kept.paths.index(sound.name)]
    assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-3)
    page = featurestore("report", run, "--out", place / "run.html", store=store)
    assert page.returncode == 0, page.stderr
    assert "share of the raters&#x27; voices" in (place / "run.html").read_text()


def test_the_loss_of_a_batch_is_the_mean_cross_entropy_with_its_shares():
    logits = np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]], np.float32)
    targets = np.array([[0.5, 0.5, 0.0, 1], [0.0, 0.25, 0.75, 2]], np.float32)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    parameters, targets = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(targets)
    found = make_loss(TrainingSpec(target="votes"), CLASSES[:3], targets)(parameters, targets)
    found.objective.backward()
    shares = targets[:, :3].numpy()

    assert float(found.plain) == pytest.approx(-(shares * logs).sum(axis=1).mean())
    assert float(found.objective.detach()) == float(found.plain)
    assert parameters.grad.numpy() == pytest.approx((np.exp(logs) - shares) / 2, abs=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"class_weights": "balanced"}, {"label_smoothing": 0.1}, {"balance": True}, {"repeat": {"anger": 2}}],
)
def test_settings_of_labels_are_refused(settings):
    with pytest.raises(SpecError, match=f"{next(iter(settings))} is about labels, and the target is votes"):
        TrainingSpec.from_dict({"target": "votes", **settings})
    with pytest.raises(SpecError, match="ccc cannot be monitored for the target votes: use accuracy or uar or loss"):
        TrainingSpec.from_dict({"target": "votes", "monitor": "ccc"})


def test_what_was_not_tried_with_votes_is_refused_by_name(place):
    store, run = place / "store", place / "run"
    library.build("iemocap/4class", source=place / "source", features="keren", store=store, jobs=1)
    how = {"store": store, "model": "tdnn"}
    refused = featurestore("train", "iemocap-4class", "--target", "votes", "--model", "tdnn", store=store)
    assert refused.returncode == 1
    assert "labels of iemocap/4class under split" in error_line(refused)
    assert "are not made of raters' votes. Build it under a label scheme that counts them" in error_line(refused)
    for refuses, said in (
        (lambda: library.evaluate(run, store=store, dataset="iemocap-4class"), "are not made of raters' votes"),
        (lambda: library.evaluate(run, store=store, vote=True), "copies vote for a label"),
        (lambda: library.curve("iemocap-votes4", settings=["target=votes"], **how), "curve is about labels"),
        (lambda: train(None, read_config(run), place / "no", ranks=Ranks(0, 2)), "not been tried in several processes"),
    ):
        with pytest.raises(FeatureStoreError, match=said):
            refuses()


def test_votes_that_do_not_fit_the_labels_are_refused(place):
    view, scheme = open_store(place / "store").view("iemocap-votes4"), votes_scheme("loso", "iemocap/votes4")
    first, *others = view.table.utterances

    def changed(**parts):
        """Return the view with another first utterance."""
        found = view[:]
        found.table = dataclasses.replace(view.table, utterances=[dataclasses.replace(first, **parts), *others])
        return found

    with pytest.raises(SplitError, match=r"the label of '.*' is not what scheme 'votes4' makes of its votes"):
        counting_votes(changed(label="neutral" if first.label != "neutral" else "anger"), scheme)
    silent = tuple((name, "E1:bored*0" if name == "votes" else value) for name, value in first.fields)
    with pytest.raises(SplitError, match=r"no rater of '.*' named one of anger, happiness, neutral, sadness"):
        counting_votes(changed(fields=silent, label="neutral"), Scheme("weighted", votes="weighted", map=scheme.map))
    with pytest.raises(SpecError, match="its votes are not counted"):
        view.vote_shares(CLASSES)
