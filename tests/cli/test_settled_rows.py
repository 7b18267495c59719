"""A dataset that is built already: what of it can be chosen by a training, and what is refused before one begins."""

from __future__ import annotations

import dataclasses

import pytest
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import SpecError, SplitError
from featurestore.store import open_store
from pipelines.experiments.prepare import prepare
from pipelines.experiments.recipe import DatasetChoice
from pipelines.experiments.settings import chosen_experiment


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A store with a dataset of 30 tones, each with one augmented copy."""
    folder = tmp_path_factory.mktemp("settled")
    store = open_store(folder / "store")
    build_here(store, write_corpus(folder / "tiny", range(1, 31)), recipe(1, mels=26))
    return store


def chosen(built, *settings):
    return chosen_experiment(
        built, "tiny", None, None, model="keren-standard", split="shuffled", allow_leak=("speaker",), settings=settings
    )


@pytest.mark.parametrize("setting", ["mels=64", "snr_db=0,5", "dtype=float32"])
def test_rows_that_stand_cannot_have_other_features_or_another_policy(built, setting):
    with pytest.raises(SpecError, match=rf"--set {setting}: .*'tiny'.*Build another dataset.*or train with --recipe"):
        chosen(built, setting)


def test_the_training_and_the_model_of_rows_that_stand_can_be_set(built):
    experiment = chosen(built, "epochs=2", "layers=1")

    assert (experiment.training, experiment.model_settings) == ({"epochs": 2}, {"layers": 1})
    assert all(map(len, prepare(built, experiment, dataset="tiny").all_sides[0]))


def test_a_side_whose_copies_were_never_built_is_refused_before_a_training(built):
    experiment = chosen(built)
    experiment = dataclasses.replace(
        experiment,
        dataset=DatasetChoice("tiny", copies=2),
        split=dataclasses.replace(experiment.split, validation_copy=2),
    )

    with pytest.raises(SplitError, match=r"'tiny' has no rows of the .* recordings on the validation side"):
        _ = prepare(built, experiment, dataset="tiny").all_sides
