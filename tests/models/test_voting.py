"""Majority votes over copies, and the file that keeps predictions."""

from itertools import permutations

import numpy as np
import pytest
from array_view import ArrayView
from said import said

from models.errors import CheckpointError, TrainingError
from models.evaluation import evaluate_run
from models.figures.predictions import vote, voted
from models.runs.records import read_predictions, write_predictions


def test_the_class_that_most_copies_name_wins_over_a_louder_one():
    outcome = vote(["u", "u", "u"], np.array([[0.52, 0.48], [0.52, 0.48], [0.0, 1.0]]))

    assert outcome.predicted.tolist() == [0]
    assert outcome.counts.tolist() == [[2, 1]]
    assert outcome.ties == 0


def test_a_tie_is_broken_by_mean_probability_among_the_classes_that_tie():
    shares = np.array([[0.5, 0.1, 0.4], [0.5, 0.1, 0.4], [0.0001, 0.6, 0.3999], [0.0001, 0.6, 0.3999]])
    outcome = vote(["u"] * 4, shares)

    assert outcome.probabilities[0].argmax() == 2  # the likeliest class on average, which nobody named
    assert outcome.predicted.tolist() == [1]
    assert outcome.ties == 1


@pytest.mark.parametrize("seed", range(3))
def test_votes_are_those_of_counting_by_hand_in_any_order(seed):
    generator = np.random.default_rng(seed)
    paths, logits = [f"u{number}" for number in np.repeat(range(20), 11)], generator.normal(0, 1, (220, 4))
    order = generator.permutation(220)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    outcome = vote([paths[row] for row in order], shares[order])

    for path, winner in zip(outcome.paths, outcome.predicted, strict=True):
        rows = [row for row, name in enumerate(paths) if name == path]
        counts = np.bincount(logits[rows].argmax(axis=1), minlength=4)
        tied = [name for name in range(4) if counts[name] == counts.max()]
        assert winner == max(tied, key=lambda name: shares[rows][:, name].mean())


def test_a_tie_of_votes_and_of_probabilities_goes_to_the_lowest_class_in_any_order():
    parts = (0.61, 0.28, 1 - 0.61 - 0.28)  # added up in floating point, the order tells in the last bit
    shares = np.array([[0.0, *row] for row in permutations(parts)])  # each of the last three classes has each twice

    outcomes = [vote(["u"] * 6, shares[list(order)]) for order in permutations(range(6))]

    for outcome in outcomes:
        assert outcome.counts.tolist() == [[0, 2, 2, 2]]
        assert outcome.predicted.tolist() == [1]
        assert len(set(outcome.probabilities[0, 1:])) == 1


def test_a_vote_needs_copies_of_one_label():
    with pytest.raises(TrainingError, match="needs several copies"):
        voted(said([0, 1], [0, 1]))
    with pytest.raises(TrainingError, match="different labels"):
        voted(said([0, 1], [0, 1], paths=["same.wav", "same.wav"]))


def test_evaluating_with_a_vote_gives_one_answer_for_each_recording(finished):
    _, _, run = finished
    view = ArrayView(["calm", "loud", "sharp"] * 4, [40] * 12, seed=3, classes=("calm", "loud", "sharp"))
    view.paths = tuple(f"{row % 3}.wav" for row in range(12))
    view.contents = tuple(f"{row % 3}" for row in range(12))
    view.copies = np.repeat(np.arange(1, 5, dtype=np.int32), 3)

    figures = evaluate_run(run, view, device="cpu", vote=True).summary()

    assert figures["items"] == 3
    assert figures["vote"]["copies"] == 4
    assert sum(map(sum, figures["confusion"])) == 3


def test_labels_and_features_that_a_run_does_not_know_are_one_clear_line(finished):
    _, _, run = finished
    strange = ArrayView(["calm", "bored"], [40, 40])
    narrow = ArrayView(["calm", "loud"], [40, 40], bands=64)

    with pytest.raises(TrainingError, match=r"does not know \(bored\); its classes are calm, loud, sharp"):
        evaluate_run(run, strange, device="cpu")
    with pytest.raises(TrainingError, match="mels 64 in place of 128"):
        evaluate_run(run, narrow, device="cpu")


def test_predictions_survive_their_file(tmp_path):
    names = ("happy, or not", 'the "angry"', "c")
    before = said([0, 1, 2], [0, 0, 1], classes=names, speakers=["x", None, "ü"], paths=["a,b.wav", "ü.wav", "c\n.wav"])
    write_predictions(tmp_path / "predictions.csv", before)
    after = read_predictions(tmp_path / "predictions.csv")

    assert after.items == before.items
    assert after.classes == names
    assert after.speakers == before.speakers
    assert (after.confusion == before.confusion).all()
    assert after.probabilities == pytest.approx(before.probabilities, abs=1e-6)


def test_no_predictions_survive_their_file_too(tmp_path):
    write_predictions(tmp_path / "none.csv", said([], []))

    assert len(read_predictions(tmp_path / "none.csv")) == 0
    assert read_predictions(tmp_path / "none.csv").classes == ("a", "b", "c")


@pytest.mark.parametrize(
    "text",
    ["", "path,copy\n", "path,copy,speaker,label,predicted,content,p(a)\nx,0,s,a,b,c,1\n",
     "path,copy,speaker,label,predicted,content,p(a)\nx,0,s,a\n",
     "path,copy,speaker,label,predicted,content,p(a)\nx,zero,s,a,a,c,1\n"],
)  # fmt: skip
def test_what_is_no_table_of_predictions_is_one_clear_line(tmp_path, text):
    (tmp_path / "broken.csv").write_text(text)

    with pytest.raises(CheckpointError, match=r"broken\.csv: no readable table of predictions"):
        read_predictions(tmp_path / "broken.csv")
