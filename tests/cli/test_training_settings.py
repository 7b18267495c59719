"""Training fields from the command line, and those of a run that goes on."""

import json

import pytest

from featurestore.errors import FeatureStoreError, SpecError
from models.runs.run import RunConfig
from models.training_spec import TrainingSpec
from pipelines.experiments.recipe import DatasetChoice, Experiment
from pipelines.experiments.settings import with_settings
from pipelines.experiments.training import recorded_run

EXPERIMENT = Experiment("made-up", DatasetChoice("demo"), training={"epochs": 4})


def test_what_is_done_to_rows_can_be_set_from_the_command_line():
    given = ("normalisation=none", "repeat.happy=2", "repeat.sad=3", "copies_per_epoch=1", "spec_augment_time=20")
    given += ("spec_augment_time_share=0.5", "residence=none")

    training = with_settings(EXPERIMENT, given).training

    assert training == {
        "epochs": 4, "normalisation": "none", "repeat": {"happy": 2, "sad": 3}, "copies_per_epoch": 1,
        "spec_augment_time": 20, "spec_augment_time_share": 0.5, "residence": "none",
    }  # fmt: skip
    assert json.loads(json.dumps(TrainingSpec.from_dict(training).to_dict()))["repeat"] == {"happy": 2, "sad": 3}


WRONG = """class_weights.angry=nan class_weights.angry=inf clip_norm=nan clip_norm=inf adam_beta2=nan adam_eps=inf
l2=inf least_rate=inf momentum=nan checkpoint_minutes=nan spec_augment_time=99999999999999999999 epochs=9999999999
copies_per_epoch=99999999999999999999 seed=99999999999999999999999 repeat.happy=99999999999999999999 modules=3"""


@pytest.mark.parametrize("wrong", WRONG.split())
def test_a_number_that_nothing_can_reckon_with_is_one_clear_line(wrong):
    with pytest.raises(SpecError, match=r"training: .*(number|must be a table)") as refused:
        with_settings(EXPERIMENT, (wrong,))

    assert "\n" not in str(refused.value)


def test_a_field_of_a_module_that_was_no_table_is_one_clear_line():
    with pytest.raises(FeatureStoreError, match=r"modules|recurrent"):
        with_settings(EXPERIMENT, ("modules.recurrent=3", "modules.recurrent.learning_rate=0.1"))


@pytest.mark.parametrize("wrong", ["normalisation=speakers", "repeat=2", "repeat.happy=much", "copies_per_epoch=none"])
def test_a_setting_of_the_rows_that_makes_no_sense_is_one_clear_line(wrong):
    with pytest.raises(FeatureStoreError, match=wrong.partition("=")[0].partition(".")[0]) as refused:
        with_settings(EXPERIMENT, (wrong,))

    assert "\n" not in str(refused.value)


def test_a_run_that_began_before_normalisation_goes_on_without_it(tmp_path):
    before = TrainingSpec(epochs=4, shuffle="global", normalisation="none")
    recipe = json.loads(json.dumps(EXPERIMENT.to_dict()))
    dataset = {"name": "made-up", "digest": "0" * 64, "features": {}}
    config = RunConfig("mathworks-cnn-lstm", {}, before, ("a", "b"), 128, dataset, recipe=recipe)
    document = json.loads(json.dumps(config.to_dict()))
    del document["normalisation"], document["training"]["normalisation"], document["training"]["repeat"]
    (tmp_path / "config.json").write_text(json.dumps(document))

    experiment = recorded_run(tmp_path).experiment

    assert "normalisation" not in EXPERIMENT.training
    assert TrainingSpec.from_dict(experiment.training).decisive() == before.decisive()
