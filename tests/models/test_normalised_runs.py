"""Trainings that normalise, mask and take copies in turn: their runs, their resumption and what is made of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from model_cases import CASES, CLASSES
from small_training import StopIn
from spoken_rows import described, small_sides, spoken_view
from torch.nn import functional

from models import MODELS, build_model
from models.batches.loader import ViewDataset
from models.batches.normalisation import SCOPES, describe_normalisation, fit
from models.errors import CheckpointError, RunError
from models.evaluation import evaluate_run
from models.execution import Execution
from models.prediction import predict
from models.runs.checkpoint import read_json, read_tensors, write_json, write_tensors
from models.runs.run import load_run, read_config
from models.training import train
from models.training_spec import TrainingSpec

KINDS = list(SCOPES)
LATER = ("normalisation", "repeat", "copies", "spec_augment")
"""How the fields begin that came after the first runs."""


@pytest.fixture(scope="module")
def sides():
    return small_sides()


@pytest.fixture(scope="module")
def runs(sides, tmp_path_factory):
    """A finished run of each kind of normalisation."""
    folder = tmp_path_factory.mktemp("kinds")
    for kind in KINDS:
        train(sides, described(sides, normalisation=kind), folder / kind, device="cpu")
    return {kind: load_run(folder / kind) for kind in KINDS}


def weights(folder):
    return read_tensors(folder / "model.safetensors")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_says_what_it_was_normalised_on_and_what_of_the_test_side_it_saw(runs, kind):
    run = runs[kind]

    for told in (run.config.normalisation, run.summary["normalisation"]):
        assert told == describe_normalisation(run.config.training)
        assert set(told) == {"kind", "moments", "fitted_on", "leakage"}
    assert run.summary["normalisation"]["kind"] == kind
    assert (run.summary["normalisation"]["leakage"] == "none") == (kind in ("none", "training", "utterance"))


@pytest.mark.parametrize("kind", KINDS)
def test_fitted_statistics_travel_with_the_model(runs, sides, kind):
    run = runs[kind]
    fitted = fit(run.config.training, [ViewDataset(view, view.classes) for view in sides])

    assert (run.normalisation is None) == (kind == "none")
    if fitted is not None:
        assert torch.equal(run.normalisation.mean, fitted.mean)
        assert torch.equal(run.normalisation.deviation, fitted.deviation)
        assert run.normalisation.speakers == fitted.speakers
    figures = evaluate_run(run, sides.test, device="cpu").figures()
    assert figures["loss"] == pytest.approx(run.summary["result"]["test"]["loss"], rel=1e-6)
    assert figures["accuracy"] == run.summary["result"]["test"]["accuracy"]


def test_a_model_without_its_statistics_would_judge_otherwise(runs, sides):
    run = runs["training"]
    figures = evaluate_run(run, sides.test, device="cpu").figures()
    object.__setattr__(run, "normalisation", None)
    try:
        assert abs(evaluate_run(run, sides.test, device="cpu").loss - figures["loss"]) > 1e-3
    finally:
        object.__setattr__(run, "normalisation", load_run(run.folder).normalisation)


@pytest.mark.parametrize("kind", ["training", "utterance", "none"])
def test_predicting_a_clip_is_evaluating_it(runs, sides, kind):
    run = runs[kind]
    answers = predict(run, sides.test.rows, device="cpu")
    numbers = [run.config.classes.index(label) for label in sides.test.labels]
    shares = [list(a["probabilities"].values())[n] for a, n in zip(answers, numbers, strict=True)]

    assert -np.log(shares).mean() == pytest.approx(evaluate_run(run, sides.test, device="cpu").loss, rel=1e-5)
    assert all("normalised_as" not in answer for answer in answers)


def test_files_that_are_given_together_are_taken_as_one_unknown_speaker_and_the_answer_says_so(runs):
    view = spoken_view(6, seed=8, speakers=("eve",))
    together = predict(runs["speaker"], iter(view.rows), device="cpu")
    alone = predict(runs["speaker"], view.rows[:1], device="cpu")
    numbers = [runs["speaker"].config.classes.index(label) for label in view.labels]
    shares = [list(a["probabilities"].values())[n] for a, n in zip(together, numbers, strict=True)]

    assert {answer["normalised_as"] for answer in together} == {"one unknown speaker (clips measured together: 6)"}
    assert alone[0]["normalised_as"] == "one unknown speaker (clips measured together: 1)"
    assert alone[0]["probabilities"] != together[0]["probabilities"]
    assert -np.log(shares).mean() == pytest.approx(evaluate_run(runs["speaker"], view, device="cpu").loss, rel=1e-5)


def undated(folder):
    """Make a run look as it was written before its training could say how it normalises."""
    document = read_json(folder / "config.json")
    document.pop("normalisation", None)
    training = {name: value for name, value in document["training"].items() if not name.startswith(LATER)}
    write_json(folder / "config.json", {**document, "training": training})
    assert len(training) < len(document["training"])
    return folder


def test_a_run_from_before_normalisation_loads_and_evaluates_as_it_was(sides, runs, tmp_path):
    result = runs["none"].summary["result"]
    run = load_run(undated(Path(shutil.copytree(runs["none"].folder, tmp_path / "run"))))

    assert run.normalisation is None
    assert run.config.normalisation["kind"] == "none"
    assert evaluate_run(run, sides.test, device="cpu").loss == pytest.approx(result["test"]["loss"], rel=1e-6)


def test_a_run_from_before_normalisation_goes_on_without_it(sides, runs, tmp_path):
    config = described(sides, normalisation="none")
    with pytest.raises(InterruptedError):
        train(sides, config, tmp_path / "run", device="cpu", progress=StopIn(2))
    undated(tmp_path / "run")

    before = read_config(tmp_path / "run").training
    train(sides, described(sides, **before.to_dict()), tmp_path / "run", device="cpu", resume=True)

    found, expected = weights(tmp_path / "run"), weights(runs["none"].folder)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(RunError, match=r"differs in training\.normalisation"):
        train(sides, described(sides), tmp_path / "run", device="cpu", resume=True)


def test_statistics_of_another_kind_or_none_at_all_are_refused(runs, tmp_path):
    folder = runs["training"].folder
    tensors, metadata = read_tensors(folder / "model.safetensors")
    summary = read_json(folder / "summary.json")
    saved = {name: (folder / name).read_bytes() for name in ("model.safetensors", "summary.json")}
    described_otherwise = {**metadata, "normalisation": metadata["normalisation"].replace("training", "everything")}
    without = {name: value for name, value in metadata.items() if name != "normalisation"}
    try:
        for changed, message in ((described_otherwise, "normalised by everything"), (without, "statistics")):
            sha256 = write_tensors(folder / "model.safetensors", tensors, changed)
            write_json(folder / "summary.json", {**summary, "model_sha256": sha256})
            with pytest.raises(CheckpointError, match=message):
                load_run(folder)
    finally:
        for name, data in saved.items():
            (folder / name).write_bytes(data)


CHANGES = {
    "batch_size": 3,
    "normalisation": "speaker",
    "copies_per_epoch": 2,
    "repeat": {"loud": 2},
    "spec_augment_time": 6,
    "spec_augment_time_share": 0.5,
    "spec_augment_frequency": 4,
    "checkpoint_minutes": 1e-9,
}
"""Twelve utterances, four of them twice, two copies of each: eleven steps an epoch."""


def test_a_training_with_masks_and_copies_in_turn_goes_on_exactly_from_within_an_epoch(tmp_path):
    sides = small_sides(copies=3)
    train(sides, described(sides, **CHANGES), tmp_path / "whole", device="cpu")
    with pytest.raises(InterruptedError):
        train(sides, described(sides, **CHANGES), tmp_path / "run", device="cpu", progress=StopIn(2))
    counters = json.loads(read_tensors(tmp_path / "run" / "checkpoint.safetensors")[1]["counters"])

    train(sides, described(sides, **CHANGES), tmp_path / "run", device="cpu", resume=True)

    found, expected = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert (counters["epoch"], counters["step"]) == (2, 9)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_masks_change_the_training_and_not_the_statistics(sides, runs, tmp_path):
    train(sides, described(sides, spec_augment_frequency=8), tmp_path / "masked", device="cpu")
    plain, masked = weights(runs["training"].folder), weights(tmp_path / "masked")

    assert any(not torch.equal(plain[name], masked[name]) for name in plain)
    assert torch.equal(plain["normalisation.mean"], masked["normalisation.mean"])


def test_a_training_that_says_nothing_normalises_over_its_training_side():
    assert TrainingSpec().normalisation == "training"
    assert describe_normalisation(TrainingSpec()) == {
        "kind": "training", "moments": "band", "fitted_on": "the training side", "leakage": "none",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_takes_a_step_with_every_normalisation(name, kind):
    case = CASES[name]
    view = spoken_view(4, bands=case.bands, frames=(min(case.frames), max(case.frames) + 1))
    dataset = ViewDataset(view, view.classes)
    spec = TrainingSpec(normalisation=kind, precision="float32", padding="right")
    run = Execution.of(name, {}, spec, "cpu").normalising(fit(spec, [dataset]))
    model = build_model(name, CLASSES, case.bands, **case.settings).train()
    before = [values.detach().clone() for values in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    (batch,) = run.feed(dataset, [[0, 1, 2, 3]])
    loss = functional.cross_entropy(run.logits(model, batch), batch.labels)
    loss.backward()
    optimiser.step()

    assert loss.isfinite()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(values.isfinite().all() for values in model.parameters())
