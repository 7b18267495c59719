"""Baselines: functionals as defined, scaling by scope, and a regularisation that no test row has a say in."""

from __future__ import annotations

import numpy as np
import pytest
from array_view import ArrayView

from featurestore.errors import SpecError, UnknownNameError
from models.baselines.classifiers import GRIDS, Rows, choose
from models.baselines.functionals import FUNCTIONALS, functionals, of_each_utterance, view_functionals
from models.baselines.runs import SCOPES, Baseline, BaselineSpec, configure_baseline, write_baseline
from models.batches.loader import Sides
from models.errors import RunError, TrainingError
from models.runs.records import read_predictions
from models.runs.run import load_baseline, load_run, read_config

CLASSES = ("calm", "loud", "sharp")
SPEAKERS = ("ann", "bob", "cat", "dan", "eve")
BANDS = 4


def said(speakers=SPEAKERS, each=9, *, spread=0.0, seed=0, label=None):
    """Clips of speakers whose levels are `spread` apart; a class raises one band of each clip by two."""
    generator = np.random.default_rng(seed)
    spoken = [speaker for speaker in speakers for _ in range(each)]
    labels = [CLASSES[row % 3] if label is None else label for row in range(len(spoken))]
    view = ArrayView(labels, generator.integers(12, 30, len(spoken)), classes=CLASSES, bands=BANDS, dtype="float32")
    view.speakers = tuple(spoken)
    view.paths = tuple(f"{speaker}/{row:03d}.wav" for row, speaker in enumerate(spoken))
    levels = {speaker: spread * generator.standard_normal(BANDS) for speaker in SPEAKERS}
    for row, (speaker, name) in enumerate(zip(spoken, labels, strict=True)):
        frames = generator.normal(0, 1, (view.frames[row], BANDS)) + levels[speaker]
        frames[:, CLASSES.index(name)] += 2
        view.rows[row] = frames.astype(np.float32)
    return view


def taken(view, rows):
    """Some rows of a view."""
    found, rows = object.__new__(ArrayView), list(rows)
    found.__dict__.update(view.__dict__)
    for name in ("labels", "frames", "copies", "shards"):
        setattr(found, name, getattr(view, name)[rows])
    for name in ("paths", "contents", "speakers"):
        setattr(found, name, tuple(getattr(view, name)[row] for row in rows))
    found.rows = [view.rows[row] for row in rows]
    return found


def without(view, speaker):
    """All speakers but one train; that one tests."""
    train = [row for row, name in enumerate(view.speakers) if name != speaker]
    test = [row for row, name in enumerate(view.speakers) if name == speaker]
    return Sides(taken(view, train), taken(view, []), taken(view, test))


def fitted(view, speaker="eve", model="svm-linear", scope="training", regularisation=None):
    return Baseline(view, BaselineSpec(model, scope, regularisation)).fit(without(view, speaker))


def uar(fit):
    return fit.evaluations["test"].figures()["uar"]


def answers(fit):
    return fit.evaluations["test"].predictions.probabilities.tolist()


def test_a_rising_ramp_and_a_constant_have_the_functionals_of_a_ramp_and_a_constant():
    ramp, constant = np.arange(11.0), np.full(11, 3.0)

    found = dict(zip(FUNCTIONALS, functionals(np.stack([ramp, constant], axis=1)).T[0], strict=True))
    flat = dict(zip(FUNCTIONALS, functionals(np.stack([ramp, constant], axis=1)).T[1], strict=True))

    assert found == pytest.approx(
        {"mean": 5, "deviation": np.sqrt(10), "p20": 2, "p50": 5, "p80": 8, "slope": 1, "rising": 1, "falling": 0}
    )
    assert flat == {**dict.fromkeys(FUNCTIONALS, 0), "mean": 3, "p20": 3, "p50": 3, "p80": 3}
    assert functionals(np.array([[7.0]]))[:, 0].tolist() == [7, 0, 7, 7, 7, 0, 0, 0]


def test_functionals_of_a_normalised_clip_need_no_frames():
    view = said(spread=5.0)
    clips = [(row - row.mean(0)) / row.std(0) for row in (rows.astype(np.float64) for rows in view.rows)]

    found = of_each_utterance(view_functionals(view))

    np.testing.assert_allclose(found, np.stack([functionals(clip) for clip in clips]), atol=1e-6)


@pytest.mark.parametrize("model", GRIDS)
def test_classes_hidden_below_the_speakers_levels_are_found_by_scaling_each_speaker(model):
    view = said(spread=30.0)

    by_speaker = [uar(fitted(view, speaker, model, "speaker")) for speaker in SPEAKERS]
    by_training = [uar(fitted(view, speaker, model, "training")) for speaker in SPEAKERS]

    assert np.mean(by_speaker) > 0.95
    assert np.mean(by_training) < 0.75


@pytest.mark.parametrize(("model", "scope"), [(model, scope) for model in GRIDS for scope in SCOPES])
def test_other_labels_on_the_test_side_change_no_answer(model, scope):
    view = said(spread=1.0)
    other = taken(view, range(len(view)))
    tested = np.array([name == "eve" for name in view.speakers])
    other.labels = np.where(tested, np.roll(view.labels, 1), view.labels)

    first, second = (fitted(one, model=model, scope=scope) for one in (view, other))

    assert answers(first) == answers(second)
    assert first.choice == second.choice
    assert first.evaluations["test"].confusion.tolist() != second.evaluations["test"].confusion.tolist()


def test_only_scaling_by_speaker_looks_at_the_other_rows_of_the_test_side():
    view, louder = said(spread=1.0), said(spread=1.0)
    changed = max(row for row, name in enumerate(view.speakers) if name == "eve")
    louder.rows[changed] = louder.rows[changed] * 100

    for scope, same in (("training", True), ("utterance", True), ("none", True), ("speaker", False)):
        first, second = (answers(fitted(one, scope=scope))[:-1] for one in (view, louder))
        assert (first == second) is same, scope


def test_the_regularisation_is_the_same_without_a_test_side():
    view = said(spread=1.0)
    sides = without(view, "eve")
    alone = sides._replace(test=taken(view, []))

    found = [Baseline(view, BaselineSpec("svm-rbf", "training")).fit(one).choice for one in (sides, alone)]

    assert found[0] == found[1]


def test_inner_folds_leave_out_whole_speakers():
    """Each speaker has clips of one kind, twice with equal labels drawn at random: within a speaker they repeat."""
    generator = np.random.default_rng(1)
    speakers = tuple(np.repeat([f"s{number}" for number in range(20)], 2).tolist())
    values = np.repeat(generator.standard_normal((20, 30)), 2, axis=0)
    labels = np.repeat(np.arange(20) % 2, 2)
    own = Rows(values, labels, speakers)
    mixed = Rows(values, labels, tuple(f"s{row}" for row in range(40)))

    assert choose("svm-linear", own, 2, "training").inner_uar < 0.7
    assert choose("svm-linear", mixed, 2, "training").inner_uar > 0.9


def test_a_baseline_writes_the_same_files_again_but_for_its_time(tmp_path):
    view = said(spread=1.0)
    for name in ("one", "other"):
        spec = BaselineSpec("svm-rbf", "training")
        sides = without(view, "eve")
        config = configure_baseline(sides, spec, split="made-up", leaks={}, recipe={})
        write_baseline(tmp_path / name, Baseline(view, spec).fit(sides), config)

    configs = [{**read_config(tmp_path / name).to_dict(), "made": {}} for name in ("one", "other")]
    assert configs[0] == configs[1]
    for file in ("sides.csv", "predictions-test.csv", "predictions-validation.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()
    again = read_config(tmp_path / "one")
    assert again.id == config.id
    assert again.normalisation == {
        "kind": "training", "moments": "functional", "fitted_on": "the training side", "leakage": "none",
    }  # fmt: skip
    assert again.to_dict()["training"] == {"normalisation": "training", "class_weights": "balanced"}
    assert load_baseline(tmp_path / "one").summary["test"]["items"] == 9
    assert len(read_predictions(tmp_path / "one" / "predictions-test.csv")) == 9
    with pytest.raises(RunError, match="is a baseline"):
        load_run(tmp_path / "one")


def test_a_class_that_nobody_trains_is_never_answered():
    view = said()
    kept = [row for row, label in enumerate(view.labels) if label != "sharp" or view.speakers[row] == "eve"]

    found = fitted(taken(view, kept)).evaluations["test"]

    assert found.confusion[:, 2].tolist() == [0, 0, 0]
    assert found.confusion[2].sum() == 3
    assert np.isfinite(found.predictions.probabilities).all()


def test_what_cannot_be_fitted_or_chosen_is_refused_with_the_reason():
    nobody = said()
    nobody.speakers = (None,) * len(nobody)
    sides = Sides(nobody, taken(nobody, []), taken(nobody, range(3)))

    with pytest.raises(TrainingError, match="not known"):
        Baseline(nobody, BaselineSpec("logistic", "training")).fit(sides)
    with pytest.raises(TrainingError, match="does not say"):
        Baseline(nobody, BaselineSpec("logistic", "speaker"))
    with pytest.raises(TrainingError, match=r"one speaker only: give '--regularisation C'"):
        fitted(said(("ann", "eve")))
    assert fitted(said(("ann", "eve")), regularisation=0.1).choice.inner_uar is None
    with pytest.raises(TrainingError, match="single class"):
        fitted(said(label="calm"))
    with pytest.raises(UnknownNameError, match="svm-linear"):
        BaselineSpec("svm-liner", "training")
    with pytest.raises(UnknownNameError, match="normalisation"):
        BaselineSpec("logistic", "everything")
    with pytest.raises(SpecError, match="above 0"):
        BaselineSpec("logistic", "none", 0.0)


def test_rows_of_a_single_frame_are_classified_as_they_are():
    view = said()
    single = taken(view, range(len(view)))
    single.frames = np.ones(len(view), np.int32)
    single.rows = [row.mean(axis=0, keepdims=True) for row in view.rows]

    fit = fitted(single)

    np.testing.assert_array_equal(view_functionals(single)[:, 0], [row[0] for row in single.rows])
    assert configure_baseline(
        fit.sides, BaselineSpec("svm-linear", "training"), split="x", leaks={}, recipe={}
    ).settings["functionals"] == ["frame"]
    assert uar(fit) > 0.9
    with pytest.raises(TrainingError, match="single frame, which has no deviation"):
        fitted(single, scope="utterance")
