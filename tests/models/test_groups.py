"""Recall by sex and by speaker, against scikit-learn and the closed formulas of their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import recall_score

from featurestore.corpus.speakers import sexes_of
from models.figures.groups import by_sex, by_speaker
from models.figures.intervals import intervals
from models.figures.predictions import Predictions

CLASSES = ("calm", "loud", "sharp")
SEXES = {"ann": "female", "bea": "female", "cat": "female", "dan": "male", "eli": "male", "fox": "male", "gus": "male"}


@pytest.fixture(scope="module")
def answers():
    """Clips of four men, three women and one person of unknown sex; women are understood better."""
    generator = np.random.default_rng(4)
    speakers = tuple(name for name in (*SEXES, "zoe") for _ in range(30))
    labels = generator.integers(0, 3, len(speakers))
    right = generator.random(len(speakers)) < [0.8 if SEXES.get(name) == "female" else 0.55 for name in speakers]
    predicted = np.where(right, labels, (labels + generator.integers(1, 3, len(speakers))) % 3)
    places = tuple(map(str, range(len(speakers))))
    shares = np.full((len(speakers), 3), 1 / 3)
    return Predictions(CLASSES, places, np.zeros(len(speakers), np.int64), speakers, places, labels, predicted, shares)


def of_speakers(answers, names):
    return answers.take([place for place, name in enumerate(answers.speakers) if name in names])


def of_sex(answers, sex):
    return of_speakers(answers, [name for name, value in SEXES.items() if value == sex])


def uar(part):
    return recall_score(part.labels, part.predicted, average="macro")


def test_figures_of_a_sex_are_those_of_scikit_learn_on_its_clips(answers):
    found = by_sex(answers, SEXES)

    assert list(found["sexes"]) == ["female", "male"]
    assert found["unknown"] == 30
    for sex, one in found["sexes"].items():
        part = of_sex(answers, sex)
        recalls = recall_score(part.labels, part.predicted, average=None)
        assert (one["speakers"], one["items"]) == (len(part) // 30, len(part))
        assert one["accuracy"]["value"] == pytest.approx((part.labels == part.predicted).mean())
        assert one["uar"]["value"] == pytest.approx(uar(part))
        assert [one["recall"][name]["value"] for name in CLASSES] == pytest.approx(recalls)
        assert one["uar"]["interval"] == intervals([part])["interval"]["uar"]


def test_the_interval_of_a_difference_adds_jackknife_variances_and_has_the_freedom_of_welch(answers):
    found = by_sex(answers, SEXES)["difference"]

    parts = []
    for sex in ("female", "male"):
        names = [name for name, value in SEXES.items() if value == sex]
        left_out = [uar(of_speakers(answers, [one for one in names if one != name])) for name in names]
        count = len(names)
        parts.append((uar(of_sex(answers, sex)), (count - 1) * np.var(left_out), count - 1))
    (female, one, few), (male, other, more) = parts
    half = t.ppf(0.975, (one + other) ** 2 / (one**2 / few + other**2 / more)) * np.sqrt(one + other)

    assert found["of"] == "female - male"
    assert found["uar"]["value"] == pytest.approx(female - male)
    assert found["uar"]["interval"] == pytest.approx([female - male - half, female - male + half])


def test_the_interval_of_a_speaker_is_that_of_wilson(answers):
    rows = by_speaker(answers, SEXES)

    assert [row["speaker"] for row in rows] == [*SEXES, "zoe"]
    for row in rows:
        part, z = of_speakers(answers, [row["speaker"]]), norm.ppf(0.975)
        share, count = (part.labels == part.predicted).mean(), len(part)
        middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
        assert row["interval"] == pytest.approx([middle - half, middle + half])
        assert row["uar"] == pytest.approx(uar(part))
        assert row["sex"] == SEXES.get(row["speaker"])


def test_two_speakers_of_a_sex_give_figures_and_the_reason_why_there_is_no_interval(answers):
    found = by_sex(of_speakers(answers, ["ann", "bea", "dan", "eli", "fox"]), SEXES)

    assert found["sexes"]["female"]["uar"]["interval"] is None
    assert "only 2 speakers" in found["sexes"]["female"]["uar"]["none"]
    assert "only 2 speakers" in found["difference"]["uar"]["none"]
    assert found["sexes"]["male"]["uar"]["interval"]


def test_where_no_sex_is_known_there_are_no_groups(answers):
    assert by_sex(answers, {}) == {"sexes": {}, "difference": None, "unknown": len(answers)}


def sexes(corpora, *recordings):
    return sexes_of(corpora, [name for name, _ in recordings], [tuple(fields.items()) for _, fields in recordings])


def test_the_sex_of_a_speaker_is_that_of_the_manifest_else_of_a_field_that_all_recordings_share():
    assert sexes(("emodb",), ("03", {}), ("08", {}), ("none", {})) == {"03": "male", "08": "female"}
    assert sexes(("emodb", "ravdess"), ("emodb/03", {}), ("ravdess/02", {})) == {
        "emodb/03": "male",
        "ravdess/02": "female",
    }
    mixed = [
        ("a", {"sex": "F"}),
        ("a", {"sex": "f"}),
        ("b", {"gender": "male"}),
        ("c", {"sex": "m"}),
        ("c", {"sex": "f"}),
    ]
    assert sexes(("mine",), *mixed) == {"a": "female", "b": "male"}
    assert sexes(("mine",), (None, {"sex": "F"})) == {}
