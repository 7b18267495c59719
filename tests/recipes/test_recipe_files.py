"""Recipes: every part of those that come with the package is usable, and the parts are put together as they say."""

from __future__ import annotations

import json

import pytest

from featurestore.corpus.corpus_spec import find_corpus_spec
from featurestore.corpus.protocols import find_split
from featurestore.errors import SpecError, UnknownNameError
from featurestore.store import open_store
from pipelines.experiments.published import chosen_rows
from pipelines.experiments.recipe import Experiment, Recipe, read_recipe, recipe_names
from pipelines.experiments.search import check_rule
from pipelines.experiments.settings import chosen_experiment

SYSTEMS = ("digits", "etienne", "keren", "mathworks", "zhao")
OWN = """
[dataset]
corpus = "demo"
copies = 3
[split]
name = "speakers"
[training]
epochs = 9
learning_rate = 0.1
[corpora.emodb]
split = { name = "mathworks" }
[reduced]
training = { epochs = 1 }
[[rows]]
name = "small"
split = { name = "shuffled" }
training = { learning_rate = 0.2 }
published = { "test uar" = [0.5, 0.01] }
[[rows]]
name = "elsewhere"
corpus = "emodb"
split = { name = "loso/03" }
published = { "test accuracy" = 0.6 }
"""


@pytest.fixture
def own(tmp_path) -> Recipe:
    (tmp_path / "own.toml").write_text(OWN)
    return read_recipe(str(tmp_path / "own.toml"))


def every_experiment(recipe: Recipe):
    """All experiments that a recipe can become."""
    for reduced in (False, True):
        for corpus in recipe.corpora:
            yield recipe.experiment(corpus, reduced=reduced)
            for row in recipe.rows():
                yield recipe.experiment(corpus, row, reduced=reduced)


def test_bands_of_agender_end_at_half_the_rate_of_its_recordings_with_and_without_a_row():
    recipe = read_recipe("keren")
    rows = [None, *(row for row in recipe.rows() if row.corpus == "agender")]
    found = [recipe.experiment("agender", row, reduced=reduced).specs()[0] for row in rows for reduced in (False, True)]

    log_mel = [one for one in found if one.kind == "logmel"]
    assert {(one.rate, one.high_hz, one.window_length, one.hop_length) for one in log_mel} == {(8_000, 4_000, 200, 80)}
    assert len(found) - len(log_mel) == 16  # openSMILE's descriptors, at the rate of the recording
    assert recipe.experiment("fau_aibo").specs()[0].high_hz == 8_000


def test_bands_of_digits_end_at_half_the_rate_of_the_recordings_of_fsdd():
    recipe = read_recipe("digits")

    for row in recipe.rows():
        assert recipe.experiment("fsdd", row).specs()[0].high_hz == 4_000
    assert recipe.experiment().specs()[0].high_hz is None


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_recipe_says_in_words_where_it_departs_from_its_source(name):
    recipe = read_recipe(name)

    assert len(recipe.departures) >= 4
    assert all(text.endswith(".") and "\n" not in text for text in recipe.departures)
    assert all(row.task for row in recipe.rows())
    assert not [row.name for row in recipe.rows() if "," in row.name]


def test_each_network_of_digits_is_trained_on_its_softmax_as_published_and_on_logits():
    recipe = read_recipe("digits")
    rows = {row.name: recipe.experiment(row=row).model_settings.get("softmax", False) for row in recipe.rows()}

    assert len(rows) == 6
    assert all(softmax is not name.endswith("on logits") for name, softmax in rows.items())


def test_networks_of_zhao_have_the_batch_norm_of_keras_in_every_row():
    recipe = read_recipe("zhao")

    for row in recipe.rows():
        experiment = recipe.experiment(row=row)
        assert experiment.model_settings == {"keras_batch_norm": True}
        assert experiment.training["batch_norm"] == "moving"
        assert experiment.training["patience"] == (0 if "without early stopping" in row.name else 8)


def test_rows_of_two_tables_that_are_one_experiment_share_their_runs():
    folders = {row.name: folder for row, _, folder in chosen_rows(read_recipe("keren"), None)}

    assert folders["table IV 2 classes cell last"] == folders["table I 2 classes CLSTM"]
    assert folders["table IV 5 classes cell last"] == folders["table I 5 classes CLSTM"]
    assert folders["table IV age cell max"] == folders["table III age log mel CLSTM"]
    assert folders["table IV gender cell max"] == folders["table II gender log mel CLSTM"]
    assert len(folders) - len(set(folders.values())) == 4


def test_no_published_figure_stands_beside_another_task():
    keren, digits = read_recipe("keren"), read_recipe("digits")
    on_emodb = [row for row, _, _ in chosen_rows(keren, "emodb")]

    assert len(on_emodb) == 10
    assert not any(row.published for row in on_emodb)
    assert {keren.task("emodb", row) for row in on_emodb} == {"seven emotions"}
    assert {digits.task("fsdd", row) for row in digits.rows()} == {row.task for row in digits.rows()}
    assert {keren.task("ravdess", row) for row in keren.rows()} == {""}  # nobody said what it would be


def test_validate_none_names_the_split_whose_validation_side_trains(tmp_path):
    store = open_store(tmp_path / "store")
    given = [("zhao", None), ("zhao", "loso"), ("best", None), ("zhao", "loso/03")]
    found = [chosen_experiment(store, None, recipe, split=split, validate="none") for recipe, split in given]

    assert [one.split.name for one in found] == [
        *("shuffled-no-validation", "loso-no-validation", "loso-no-validation", "loso/03-no-validation")
    ]
    with pytest.raises(UnknownNameError, match="'all'"):
        chosen_experiment(store, None, "zhao", validate="all")


def test_the_five_systems_are_recipes():
    assert set(SYSTEMS) <= set(recipe_names())


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_part_of_a_recipe_names_things_that_exist(name):
    from models.networks import model_card
    from models.training_spec import TrainingSpec

    for experiment in every_experiment(read_recipe(name)):
        card = model_card(experiment.model)
        features, _ = experiment.specs()

        assert set(experiment.model_settings) <= set(card.settings)
        assert TrainingSpec.from_dict(experiment.training).epochs >= 1
        assert find_split(experiment.split.name).name
        assert find_corpus_spec(experiment.dataset.corpus).name
        assert features.dtype in ("float16", "float32")
        assert (experiment.vote_spec() is None) == (not experiment.vote.policy)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_models_of_a_recipe_can_be_made_with_its_settings(name):
    from models.networks import build_model, model_card

    wanted = {(one.model, tuple(sorted(one.model_settings.items()))) for one in every_experiment(read_recipe(name))}

    for model, settings in wanted:
        assert build_model(model, 4, model_card(model).bands, seed=0, **dict(settings)).state_dict()


@pytest.mark.parametrize(
    ("name", "row", "metric", "published"),
    [
        ("mathworks", "CNN-LSTM", "test accuracy", (0.6329, None)),
        ("digits", "BaseModel", "test accuracy", (0.276, None)),
        ("digits", "ParallelNet", "validation accuracy", (0.8492, None)),
        ("etienne", "4 kHz", "test uar", (0.577, None)),
        ("etienne", "8 kHz oversampling VTLP", "fold 10 test uar", (0.442, None)),
        ("etienne", "batch norm in batches of 64", "test accuracy", (0.654, None)),
        ("zhao", "modified", "validation accuracy", (0.8, None)),
        ("zhao", "Korean modified", "validation accuracy", (0.49, None)),
        ("keren", "table I 5 classes extended CLSTM", "test uar", (0.3972, 0.002)),
        ("keren", "table II gender eGeMAPS CBLSTM", "test uar", (0.7823, 0.0049)),
        ("keren", "table III age log mel standard", "test uar", (0.4593, 0.0052)),
        ("keren", "table IV age cell mean", "test uar", (0.462, 0.0033)),
    ],
)
def test_a_recipe_prints_the_figures_of_its_source(name, row, metric, published):
    found = {one.name: one for one in read_recipe(name).rows()}

    assert found[row].published[metric] == published


def test_ten_published_folds_average_to_the_published_mean():
    rows = {row.name: row.published for row in read_recipe("etienne").rows()}
    figures = rows["8 kHz oversampling VTLP"]

    for measure in ("test accuracy", "test uar"):
        folds = [figures[f"fold {number} {measure}"][0] for number in range(1, 11)]
        assert sum(folds) / 10 == pytest.approx(figures[measure][0], abs=0.001)


def test_a_row_changes_what_it_names_and_keeps_the_rest(own):
    row = next(own.rows())
    experiment = own.experiment(row=row)

    assert experiment.split.name == "shuffled"
    assert experiment.training == {"epochs": 9, "learning_rate": 0.2}
    assert experiment.dataset.copies == 3


def test_the_reduced_setting_has_the_last_word(own):
    assert own.experiment(row=next(own.rows()), reduced=True).training == {"epochs": 1, "learning_rate": 0.2}


def test_a_corpus_that_a_row_was_not_published_for_decides_about_the_split(own):
    small, elsewhere = own.rows()

    assert own.experiment("emodb", small).split.name == "mathworks"
    assert own.experiment("emodb", small).dataset.corpus == "emodb"
    assert own.experiment("emodb", elsewhere).split.name == "loso/03"


def test_an_unknown_key_of_a_part_that_is_not_used_is_an_error_all_the_same(tmp_path):
    (tmp_path / "own.toml").write_text(OWN.replace("learning_rate = 0.2", "x = 1").replace("[reduced]", "[reducd]"))

    with pytest.raises(UnknownNameError, match=r"'reducd'.*did you mean 'reduced'"):
        read_recipe(str(tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('split = { name = "shuffled" }', 'split = { nam = "shuffled" }', "did you mean 'name'"),
        ('published = { "test accuracy" = 0.6 }', "", "published results"),
        ('split = { name = "mathworks" }', "task = 3", "task must be a string"),
        ('name = "small"', 'name = "small"\nmetrics = "test uar"', "metrics must be a list"),
        ('corpus = "demo"', "", "no \\[dataset\\] with a corpus"),
        ('split = { name = "mathworks" }', "copies = 3", "key of \\[corpora.emodb\\]"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path, old, new, said):
    (tmp_path / "own.toml").write_text(OWN.replace(old, new))

    with pytest.raises((SpecError, UnknownNameError), match=said):
        read_recipe(str(tmp_path / "own.toml"))


DEMO = '[dataset]\ncorpus = "demo"\ncopies = 2\n'
"""A recipe that can be read; the cases below put something before or behind it."""


@pytest.mark.parametrize(
    ("before", "behind", "said"),
    [
        ("training = 3", "", "training must be a table, not 3"),
        ('split = "x"', "", "split must be a table, not 'x'"),
        ("rows = 3", "", "rows must be a list, not 3"),
        ('rows = ["abc"]', "", "must be a table, not 'abc'"),
        ("rows = [[]]", "", "must be a table, not a list"),
        ("corpora = 3", "", "corpora must be a table"),
        ("tune = 3", "", "tune must be a table"),
        ("title = 3", "", "title must be a string"),
        ("departures = [3]", "", "departures: each value must be a string"),
        ("", "[corpora]\nemodb = 3", "corpora.emodb. must be a table"),
        ("", "[reduced]\ntraining = 3", "training must be a table"),
        ("", "[split]\nallow_leak = true", "allow_leak must be a list, not True"),
        ("", "[split]\nallow_leak = [1]", "allow_leak: each value must be a string"),
        ("", "[split]\nname = 3", "name must be a string"),
        ("", "policy = 3", "policy must be a string"),
        ("", "settings = [[[]]]", "settings: each value must be a string, not a list"),
        ("", 'side = "tain"', "train, validation or test"),
        ("", "[model]\nname = 3", "model must be a string"),
        ("", "[model]\nhidden = [1]", "hidden must be .*not a list"),
        ("", '[published]\nuar = "x"', "published.uar must be a number"),
        ("", "[published]\nuar = inf", "published.uar must be a number, not inf"),
        ("", '[[rows]]\nname = 3\npublished = { "test uar" = 1 }', "name must be a string"),
        ("", '[[rows]]\nname = "x"\npublished = { "test uar" = "y" }', "test uar must be a number"),
        ("", '[[rows]]\nname = "x"\npublished = { "test uar" = [1] }', "a number and its deviation"),
        ("", '[[rows]]\nname = "x"\npublished = 3', "published must be a table"),
        ("", "[split]\nvalidation_copy = 99", "validation_copy 99 needs .*copies from 99, not 2"),
        ("", "[split]\nvalidation_copy = -1", "must not be negative"),
        ("", 'side = "train"\n[split]\nvalidation_copy = 1', "no copy 1 validates"),
        ("", '[split]\nclean_in_training = "no"', "clean_in_training must be true or false, not 'no'"),
        ("", "[split]\nfirst_folds = -1", "must not be negative"),
        ("", '[vote]\npolicy = "mathworks"\ncopies = 1', "at least 2 copies"),
        (f"x = {'[' * 5000}{']' * 5000}", "", "nested too deep"),
        ("", f"x{'.x' * 100} = 1", "a key of more than 64 parts"),
        (f"x = {'9' * 5000}", "", "not valid TOML"),
    ],
)
def test_a_value_of_another_type_or_range_is_one_clear_line(tmp_path, before, behind, said):
    (tmp_path / "own.toml").write_text(f"{before}\n{DEMO}{behind}\n")

    with pytest.raises(SpecError, match=said) as refused:
        read_recipe(str(tmp_path / "own.toml"))

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("old", ['copies = "x"', "copies = 3.5", "copies = -1", "copies = true"])
def test_copies_are_a_whole_number(tmp_path, old):
    (tmp_path / "own.toml").write_text(DEMO.replace("copies = 2", old))

    with pytest.raises(SpecError, match="copies must"):
        read_recipe(str(tmp_path / "own.toml"))


def test_an_experiment_is_read_back_as_it_was_written(own):
    for experiment in every_experiment(own):
        assert Experiment.from_dict(json.loads(json.dumps(experiment.to_dict()))) == experiment


@pytest.mark.parametrize(
    "rule",
    [
        {"low": "a", "high": 1}, {"choices": []}, {"choices": 3}, {"choices": [[1]]}, {"low": 1, "high": float("inf")},
        {"low": 0, "high": 1.0, "log": True}, {"low": 1, "high": 9, "step": 0}, {"low": 1, "high": 9, "step": 0.5},
        {"low": 1, "high": 9, "log": 1}, {"low": 1, "high": 9, "log": True, "step": 2}, {"low": 2, "high": 1},
        {"low": 1}, {"choices": [1], "step": 1, "low": 1, "high": 2}, 3,
    ],
)  # fmt: skip
def test_a_rule_that_nothing_can_be_searched_by_is_one_clear_line(rule):
    with pytest.raises(SpecError, match=r"^\[tune\]: learning_rate[^\n]*$"):
        check_rule("learning_rate", rule)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_search_spaces_of_the_recipes_can_be_searched(name):
    space = read_recipe(name).space

    assert [check_rule(field, rule) for field, rule in space.items()] == [None] * len(space)
