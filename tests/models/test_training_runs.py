"""Training from its settings to its run folder."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from featurestore.errors import SpecError, UnknownNameError
from models.batches.loader import Batch, Sides
from models.errors import RunError, TrainingError
from models.evaluation import evaluate_run
from models.execution import Execution, by_length
from models.networks import build_model
from models.optimisation.optimisers import make_optimiser
from models.runs.records import read_predictions
from models.runs.run import read_config, start_run
from models.training import configure, train, train_seeds
from models.training_spec import TrainingSpec


class Listener:
    """Progress that remembers what it heard."""

    def __init__(self):
        self.steps, self.epochs, self.stages = [], [], []

    def step(self, report):
        self.steps.append(report)

    def epoch(self, record):
        self.epochs.append(record)

    def stage(self, text):
        self.stages.append(text)


def test_a_training_says_what_came_of_it(finished):
    _, result, _ = finished

    assert set(result) == {
        "run", "model", "parameters", "epochs", "best_epoch", "train", "validation", "test",
        "seconds", "clips_per_second", "device",
    }  # fmt: skip
    assert result["parameters"] == 656_839 - 4 * 257
    assert all(set(result[side]) == {"loss", "accuracy", "uar"} for side in ("train", "validation", "test"))


def test_a_run_folder_holds_all_that_is_promised(finished):
    folder, result, run = finished
    names = {path.name for path in folder.iterdir()}

    assert names == {
        "config.json", "metrics.jsonl", "summary.json", "model.safetensors", "training.png", "training.svg",
        "confusion-test.png", "confusion-test.svg", "confusion-validation.png", "confusion-validation.svg",
        "predictions-test.csv", "predictions-validation.csv", "sides.csv",
    }  # fmt: skip
    assert run.config.dataset["digest"] == "0" * 64
    assert run.config.versions["torch"] == torch.__version__.split("+")[0] or "+" in run.config.versions["torch"]
    assert [record["epoch"] for record in run.history] == [1, 2]
    assert run.summary["result"] == result
    said, figures = read_predictions(folder / "predictions-test.csv"), run.summary["test"]
    assert figures["macro_f1"] == pytest.approx(f1_score(said.labels, said.predicted, average="macro"))
    assert figures["accuracy"] == result["test"]["accuracy"] == (said.labels == said.predicted).mean()


def test_a_loaded_run_evaluates_to_the_figures_that_it_wrote(finished, sides):
    _, result, run = finished
    evaluation = evaluate_run(run, sides.test, device="cpu")
    figures = evaluation.figures()

    assert figures["accuracy"] == result["test"]["accuracy"]
    assert figures["uar"] == result["test"]["uar"]
    assert figures["loss"] == pytest.approx(result["test"]["loss"], rel=1e-6)
    assert evaluation.confusion.sum() == 12


def test_progress_hears_of_steps_epochs_and_what_remains(sides, configured, tmp_path):
    listener = Listener()
    train(sides, configured(epochs=1), tmp_path / "run", device="cpu", progress=listener)

    assert [report.step for report in listener.steps] == [6]
    assert listener.steps[0].clips_per_second > 0
    assert listener.steps[0].seconds_left == 0
    assert [record["epoch"] for record in listener.epochs] == [1]
    assert len(listener.stages) == 3


def test_a_run_folder_that_exists_is_never_overwritten(finished, sides, configured):
    folder, _, _ = finished
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(RunError, match="exists: continue it with '--resume"):
        train(sides, configured(), folder, device="cpu")

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_resuming_a_finished_run_returns_its_result(finished, sides, configured):
    folder, result, _ = finished

    assert train(sides, configured(), folder, device="cpu", resume=True) == result


def test_resuming_with_other_settings_names_the_difference(finished, sides, configured):
    folder, _, _ = finished

    with pytest.raises(RunError, match=r"training\.learning_rate \(0\.002 then, 0\.01 now\)"):
        train(sides, configured(learning_rate=0.01), folder, device="cpu", resume=True)


def test_resuming_what_is_no_run_is_an_error(sides, configured, tmp_path):
    with pytest.raises(RunError, match="is no run folder"):
        train(sides, configured(), tmp_path, device="cpu", resume=True)


def test_seeds_give_runs_of_their_own(sides, configured, tmp_path):
    results = train_seeds(sides, configured(epochs=1), tmp_path, [0, 1], device="cpu")
    shutil.rmtree(tmp_path / "seed-1")
    (tmp_path / "seed-1").mkdir()  # as one leaves it that is killed before it says what it trains
    again = train_seeds(sides, configured(epochs=1), tmp_path, [0, 1], device="cpu", resume=True)

    assert results[0]["train"]["loss"] != results[1]["train"]["loss"]
    assert [result["run"] for result in results] == [str(tmp_path / "seed-0"), str(tmp_path / "seed-1")]
    assert [one["train"] for one in again] == [one["train"] for one in results]


def test_a_loss_that_is_not_finite_stops_with_advice(sides, configured, tmp_path):
    view = sides.train
    broken = dataclasses.replace(configured(), training=TrainingSpec(epochs=1, batch_size=8, normalisation="none"))
    rows = view.rows
    view.rows = [np.full_like(row, np.inf) for row in rows]
    try:
        with pytest.raises(TrainingError, match="Lower the learning rate"):
            train(sides, broken, tmp_path / "run", device="cpu")
    finally:
        view.rows = rows


def test_an_empty_training_side_is_an_error_before_anything_is_written(sides):
    empty = type(sides.train)([], [], classes=sides.train.classes)

    with pytest.raises(TrainingError, match="no rows"):
        configure(Sides(empty, sides.validation, sides.test), "mathworks-cnn-lstm", TrainingSpec(), split="x")


def test_l2_acts_on_weights_alone():
    model = build_model("mathworks-cnn-lstm", 3, 128)
    decayed, spared = make_optimiser(model, TrainingSpec()).param_groups

    assert decayed["weight_decay"] == 5e-4
    assert spared["weight_decay"] == 0
    assert {parameter.ndim for parameter in spared["params"]} == {1}
    assert len(decayed["params"]) == 4 + 2 + 1


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"learning_rat": 1.0}, UnknownNameError, "did you mean 'learning_rate'"),
        ({"padding": "both"}, UnknownNameError, "joined, left, right"),
        ({"epochs": 0}, SpecError, "at least 1"),
        ({"epochs": 1.5}, SpecError, "must be a whole number"),
        ({"balance": "yes"}, SpecError, "must be true or false"),
    ],
)
def test_a_wrong_training_setting_is_one_clear_error(fields, error, message):
    with pytest.raises(error, match=message):
        TrainingSpec.from_dict(fields)


def test_a_training_spec_survives_its_json_form():
    spec = TrainingSpec(epochs=9, balance=True, learning_rate=1)

    assert TrainingSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_are_computed_in_the_precision_that_is_asked_for_and_logits_are_float32(finished, sides, precision):
    _, _, run = finished
    execution = Execution.of(run.config.model, {}, TrainingSpec(precision=precision), "cpu")
    batch = Batch(
        torch.from_numpy(sides.test[0][0])[None],
        torch.tensor([len(sides.test[0][0])]),
        torch.tensor([0]),
        torch.tensor([0]),
    )

    computed = []
    watch = run.model.classify.register_forward_hook(lambda _module, _inputs, output: computed.append(output.dtype))
    with torch.no_grad():
        logits = execution.logits(run.model, batch.to(execution.device))
    watch.remove()

    assert computed == [getattr(torch, precision)]
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_inference_takes_every_row_shortest_first():
    order = by_length([50, 30, 40, 20], 3)

    assert order == [[3, 1, 2], [0]]


def test_torchs_own_generator_is_left_alone(sides, configured, tmp_path):
    torch.manual_seed(11)
    before = torch.get_rng_state()

    train(sides, configured(epochs=1), tmp_path / "run", device="cpu")

    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_goes_on_with_the_recordings_that_it_began_with_and_no_others(sides, configured, tmp_path):
    config = configured()
    start_run(tmp_path / "run", config, resume=False)
    (tmp_path / "run" / "checkpoint.safetensors").touch()
    swapped = Sides(sides.train, sides.validation, sides.validation)
    other = configure(swapped, config.model, config.training, split=config.split)
    other = dataclasses.replace(other, rows=config.rows)
    with pytest.raises(RunError, match=r"the recordings or labels of the test side"):
        start_run(tmp_path / "run", other, resume=True)

    assert not start_run(tmp_path / "run", configured(), resume=True)


def test_a_run_from_before_sides_were_noted_goes_on(configured, tmp_path):
    start_run(tmp_path / "run", dataclasses.replace(configured(), items={}), resume=False)
    (tmp_path / "run" / "checkpoint.safetensors").touch()

    assert not start_run(tmp_path / "run", configured(), resume=True)


def test_a_run_of_which_nothing_was_kept_is_in_nobodys_way(configured, tmp_path):
    start_run(tmp_path / "run", configured(), resume=False)

    assert not start_run(tmp_path / "run", configured(epochs=7), resume=False)
    assert read_config(tmp_path / "run").training.epochs == 7
