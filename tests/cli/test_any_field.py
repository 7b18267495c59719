"""Any field of a recipe can be changed from the command line, and a recipe can train on rows that stand."""

import dataclasses

import pytest
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import SpecError, UnknownNameError
from featurestore.store import open_store
from pipelines.experiments.recipe import read_recipe
from pipelines.experiments.settings import chosen_experiment, with_settings

MATHWORKS = read_recipe("mathworks").experiment()
PADDED = dataclasses.replace(MATHWORKS, training={"padding": "left"})


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("dataset.copies=2", "dataset.copies", 2),
        ("dataset.side=", "dataset.side", ""),
        ("dataset.features=mathworks", "dataset.features", "mathworks"),
        ("split.name=loso/03", "split.name", "loso/03"),
        ("split.allow_leak=speaker, audio", "split.allow_leak", ("speaker", "audio")),
        ("split.clean_in_training=true", "split.clean_in_training", True),
        ("model.name=zhao-2d", "model", "zhao-2d"),
        ("model.plain_padding=true", "model_settings", {"plain_padding": True}),
        ("plain_padding=true", "model_settings", {"plain_padding": True}),
        ("features.dtype=float32", "dataset.settings", ("features.dtype=float32",)),
        ("policy.snr_db.probability=0.5", "dataset.settings", ("policy.snr_db.probability=0.5",)),
    ],
)
def test_a_setting_changes_the_field_that_its_key_names_and_no_other(setting, path, value):
    changed = with_settings(PADDED, (setting,))
    found = changed
    for name in path.split("."):
        found = getattr(found, name)

    assert found == value
    before, after = PADDED.to_dict(), changed.to_dict()
    assert [name for name in after if after[name] != before[name]] in ([path.partition(".")[0]], [])


def test_a_field_of_the_training_may_name_its_table():
    assert with_settings(MATHWORKS, ("training.epochs=1",)) == with_settings(MATHWORKS, ("epochs=1",))


def test_rows_are_what_the_settings_of_features_and_policy_say():
    features, augmentation = with_settings(MATHWORKS, ("features.mels=64", "policy.snr_db=-5,20")).specs()

    assert features.mels == 64
    assert augmentation.snr_db.uniform == (-5.0, 20.0)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("dataset.copy=2", "did you mean 'dataset.copies'"),
        ("datset.copies=2", "did you mean 'dataset.copies'"),
        ("epoch=2", "did you mean 'epochs'"),
        ("dataset.settings=mels=2", "unknown field 'dataset.settings'"),
        ("model.hidden=2", "unknown field 'model.hidden'"),
    ],
)
def test_a_field_that_no_table_has_is_named(setting, told):
    with pytest.raises(UnknownNameError, match=told):
        with_settings(MATHWORKS, (setting,))


@pytest.mark.parametrize(
    "setting", ["dataset.copies=many", "dataset.copies=-1", "split.seed=x", "dataset.side=left", "x"]
)
def test_a_value_that_does_not_fit_is_told_with_its_setting(setting):
    with pytest.raises(SpecError, match=rf"--set .*{setting}"):
        with_settings(MATHWORKS, (setting,))


def test_augment_replaces_the_copies_of_a_recipe(tmp_path):
    experiment = chosen_experiment(open_store(tmp_path), None, "mathworks", None, copies=2, epochs=1)

    assert (experiment.dataset.copies, experiment.training["epochs"]) == (2, 1)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A store with 30 tones and one augmented copy of each."""
    folder = tmp_path_factory.mktemp("rows")
    store = open_store(folder / "store")
    build_here(store, write_corpus(folder / "tiny", range(1, 31)), recipe(1, mels=26))
    return store


def test_of_a_recipe_on_a_dataset_everything_is_taken_but_the_rows(built):
    experiment = chosen_experiment(built, "tiny", "keren", None, epochs=2, split="shuffled")
    told = read_recipe("keren").experiment()

    assert (experiment.model, experiment.model_settings) == (told.model, told.model_settings)
    assert experiment.training == {**told.training, "epochs": 2}
    assert (experiment.dataset.corpus, experiment.dataset.copies, experiment.dataset.settings) == ("tiny", 1, ())
    assert experiment.published == {}  # its figures are of other rows


@pytest.mark.parametrize("setting", ["dataset.copies=3", "features.mels=64", "dataset.features=zhao"])
def test_the_rows_of_a_dataset_that_stands_are_settled(built, setting):
    with pytest.raises(SpecError, match=rf"--set {setting}: .*'tiny' are fixed"):
        chosen_experiment(built, "tiny", "keren", None, settings=(setting,))


def test_a_recipe_that_votes_by_copies_is_refused_on_rows_without_them(built):
    with pytest.raises(SpecError, match=r"'etienne'.*vote.*'tiny' does not hold"):
        chosen_experiment(built, "tiny", "etienne", None)
