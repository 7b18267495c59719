"""Dimensions from IEMOCAP's own files to a run folder: numbers, training, what a run records, and what is refused."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
import soundfile
from command_line import error_line, featurestore
from licensed_corpora import put
from spoken_copies import RATE, iemocap

import featurestore as library
from featurestore import open_store
from featurestore.dimensions import find_dimension, numbers_of, with_numbers
from featurestore.errors import FeatureStoreError, SpecError, UnknownNameError
from models.figures import concordance
from models.runs.records import read_estimates, read_predictions, read_sides
from models.training_spec import TrainingSpec

NAMES = ("valence", "arousal", "dominance")
TURN = re.compile(r"(\[[^]]*\]\t)(\w+)(\t\w+\t)\[[^]]*\]")
SMALL = ("width=8", "attention=4", "batch_norm=moving", "learning_rate=0.01", "precision=float32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of IEMOCAP whose loudness is its arousal, built, with a run; `truth.json` has what was written."""
    folder, truth = tmp_path_factory.mktemp("dimensions"), {}
    source, random = iemocap(folder / "source"), np.random.default_rng(3)

    def rated(turn):
        """Give a turn ratings, and its recording the loudness of its arousal."""
        values = random.uniform(1.5, 4.5, 3).round(4)
        truth[f"{turn[2]}.wav"] = values.tolist()
        (file,) = (one for one in source.rglob(f"{turn[2]}.wav") if not one.name.startswith("._"))
        soundfile.write(file, soundfile.read(file)[0] * 10 ** ((values[1] - 5) / 2), RATE, subtype="PCM_16")
        return f"{turn[1]}{turn[2]}{turn[3]}[{values[0]:.4f}, {values[1]:.4f}, {values[2]:.4f}]"

    for file in sorted(source.rglob("EmoEvaluation/Ses*.txt")):
        put(file, TURN.sub(rated, file.read_text()))
    (folder / "truth.json").write_text(json.dumps(truth))
    store = open_store(folder / "store")
    library.build("iemocap", source=source, features="keren", store=store, jobs=1)
    how = {"model": "tdnn", "epochs": 2, "settings": SMALL, "device": "cpu"}
    library.train("iemocap", store=store, folder=folder / "run", target=",".join(NAMES), split="loso/Ses01F", **how)
    return folder


def test_numbers_are_those_of_the_label_files_under_both_names_of_a_dimension(place):
    view, truth = open_store(place / "store").view("iemocap"), json.loads((place / "truth.json").read_text())

    for column, name in enumerate(NAMES):
        assert view.numbers(name).tolist() == [truth[path][column] for path in view.paths]
    assert view.numbers("activation").tolist() == view.numbers("arousal").tolist()
    scale = find_dimension(view.table, "arousal")
    assert (scale.field, scale.low, scale.high) == ("activation", 1, 5)
    assert numbers_of(view.table, "start").max() == 6.2901  # any field of numbers will do
    with pytest.raises(UnknownNameError, match="did you mean 'dominance'"):
        view.numbers("dominanc")
    with pytest.raises(SpecError, match=r"emotion of '.*' is '.*', which is no number"):
        view.numbers("emotion")


def test_a_run_estimates_in_the_unit_of_the_corpus_and_its_figures_follow_from_its_table(place):
    summary, truth = (
        json.loads((place / "run/summary.json").read_text()),
        json.loads((place / "truth.json").read_text()),
    )
    config = json.loads((place / "run/config.json").read_text())
    rows = list(csv.DictReader((place / "run/predictions-test.csv").read_text().splitlines()))

    assert [float(row[name]) for row in rows for name in NAMES] == [x for row in rows for x in truth[row["path"]]]
    for name in NAMES:
        x, y = (np.array([float(row[key]) for row in rows]) for key in (name, f"estimated({name})"))
        lin = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert summary["test"]["dimensions"][name]["ccc"] == pytest.approx(lin)
        assert summary["test"]["dimensions"][name]["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
    mean = np.mean([one["ccc"] for one in summary["test"]["dimensions"].values()])
    assert summary["result"]["test"] == pytest.approx({"loss": 1 - mean, "ccc": mean})
    assert config["classes"] == []
    trained = [truth[path] for path in read_sides(place / "run")["train"]]
    for column, name in enumerate(NAMES):
        values = np.array(trained)[:, column]
        assert config["dimensions"][name] == pytest.approx({"mean": values.mean(), "deviation": values.std()})
    names = {path.name for path in (place / "run").iterdir()}
    assert {"estimates-test.svg", "estimates-validation.png", "training.png", "model.safetensors"} <= names


def test_evaluation_gives_the_figures_of_the_training_again_and_a_page_shows_them(place):
    store, run = open_store(place / "store"), place / "run"
    found = library.evaluate(run, store=store, device="cpu", predictions=place / "again.csv")
    summary = json.loads((run / "summary.json").read_text())["test"]
    page = (place / "run.html", library.report(run, out=place / "run.html", store=store))[0].read_text()

    assert found["ccc"] == pytest.approx(summary["ccc"], abs=1e-6)
    again = concordance.figures(read_estimates(place / "again.csv"))
    assert again["ccc"] == pytest.approx(found["ccc"])
    assert f"{summary['ccc']:.3f}" in page
    assert "We minimised 1 - CCC of each batch" in page
    assert "accuracy" not in page
    assert "UAR" not in page
    everyone = library.evaluate(run, store=store, device="cpu", side="all")
    assert everyone["items"] == 80
    assert everyone["interval"]["arousal"][0] < everyone["dimensions"]["arousal"]["ccc"]


def test_folds_are_pooled_compared_and_averaged(place):
    store, tested = open_store(place / "store"), place / "folds"
    how = {
        "model": "tdnn",
        "split": "group-3fold",
        "epochs": 1,
        "settings": SMALL,
        "device": "cpu",
        "target": "arousal",
    }
    found = library.crossval("iemocap", store=store, folder=tested, **how)
    library.crossval("iemocap", store=store, folder=place / "other", seed=1, **how)

    assert found["pooled"]["items"] == sum(fold["items"] for fold in map(_test_side, tested.glob("fold-*"))) == 80
    assert found["pooled"]["dimensions"].keys() == {"arousal"}
    low, high = found["interval"]["ccc"]
    assert low < found["pooled"]["ccc"] < high
    assert found["mean"].keys() == {"ccc"}
    compared = library.compare(tested, place / "other")
    assert compared["unit"] == "speakers"
    assert compared["ccc"] == compared["dimensions"]["arousal"]
    both = library.ensemble([tested, place / "other"], out=place / "both.csv")
    assert both["ccc"] == pytest.approx(concordance.figures(read_estimates(place / "both.csv"))["ccc"])
    assert "pooled" in (place / "f.html", library.report(tested, out=place / "f.html", store=store))[0].read_text()


def _test_side(folder):
    return json.loads((folder / "summary.json").read_text())["test"]


def test_values_of_files_are_printed_and_written(place, tmp_path):
    sound = next(one for one in sorted((place / "source").rglob("Ses01F*_F000.wav")) if not one.name.startswith("._"))
    said = featurestore("predict", place / "run", sound, "--out", tmp_path / "x.csv", store=place / "store")
    (row,) = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())

    assert said.returncode == 0, said.stderr
    assert re.search(r"valence -?\d\.\d{3}  arousal -?\d\.\d{3}  dominance -?\d\.\d{3}", said.stdout)
    kept = read_estimates(place / "run/predictions-test.csv")
    expected = kept.estimated[kept.paths.index(sound.name)]
    assert [float(row[name]) for name in NAMES] == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"class_weights": "balanced"}, "class_weights is about labels"),
        ({"label_smoothing": 0.1}, "label_smoothing is about labels"),
        ({"balance": True}, "balance is about labels"),
        ({"repeat": {"anger": 2}}, "repeat is about labels"),
        ({"monitor": "uar"}, "uar cannot be monitored for the target valence: use ccc or loss"),
        ({"batch_size": 1}, "needs a batch_size of 2 or more"),
        ({"target": "valence,,arousal"}, "must name each dimension once"),
        ({"target": "label", "monitor": "ccc"}, "ccc cannot be monitored for the target label"),
    ],
)
def test_settings_of_classes_are_refused_for_dimensions(settings, said):
    with pytest.raises(SpecError, match=said):
        TrainingSpec.from_dict({"target": "valence", **settings})


def test_what_is_about_classes_is_refused_by_name(place, tmp_path):
    run, store = place / "run", open_store(place / "store")
    target = ["target=valence"]
    with pytest.raises(FeatureStoreError, match="holds estimates of dimensions, and no classes"):
        read_predictions(run / "predictions-test.csv")
    for refused, said in (
        (lambda: library.evaluate(run, store=store, vote=True), "copies vote for a label"),
        (lambda: library.curve("iemocap", store=store, model="tdnn", settings=target), "curve is about labels"),
        (lambda: library.report(run, figures=tmp_path, store=store), "estimates dimensions"),
        (lambda: library.train("iemocap", store=store, model="keren-standard", target="valence"), "probabilities"),
        (lambda: library.train("iemocap", store=store, model="tdnn", target="txt"), "field of numbers"),
        (lambda: library.compare(run, run, page=tmp_path / "x.html"), "no such page"),
    ):
        with pytest.raises(FeatureStoreError, match=said):
            refused()
    exported = featurestore("export", run, "--to", "torchscript", "--out", tmp_path / "x.pt", store=place / "store")
    assert "estimates valence, arousal, dominance" in error_line(exported)


def test_utterances_without_a_number_are_left_out_and_one_outside_its_scale_is_named(place):
    table = open_store(place / "store").view("iemocap").table
    first, *others = table.utterances

    def rated(valence):
        """Return the table with another valence of its first utterance."""
        fields = tuple((name, valence if name == "valence" else value) for name, value in first.fields)
        return dataclasses.replace(table, utterances=[dataclasses.replace(first, fields=fields), *others])

    assert with_numbers(table, NAMES) is table.utterances
    assert with_numbers(rated("-"), NAMES).paths == table.utterances.paths[1:]
    with pytest.raises(SpecError, match=r"valence of '.*' is 7.5, outside its scale of 1 to 5"):
        with_numbers(rated("7.5"), ["valence"])
