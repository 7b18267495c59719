"""The paired permutation test: against a plain one, by its size, and by what it refuses."""

import itertools

import numpy as np
import pytest
from browser import opened
from said import said, simulated

from models.errors import RunError
from models.figures.comparison import compare, compare_pairs, holm, sign_flip_test
from models.reports.comparing import render_comparison

LABELS = [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]


def mean_recall(answers):
    """Return the UAR on LABELS."""
    right = answers == np.array(LABELS)
    return np.mean([right[:3].mean(), right[3:5].mean(), right[5:].mean()])


def test_p_values_are_those_of_exchanging_answers_in_every_way():
    first, second = said(LABELS, [0, 0, 1, 1, 1, 2, 2, 2, 2, 0]), said(LABELS, [0, 1, 1, 2, 0, 2, 2, 0, 2, 0])
    found = compare([first], [second])

    answers = np.stack([first.predicted, second.predicted])
    gaps = {"accuracy": [], "uar": []}
    for swaps in itertools.product([0, 1], repeat=len(LABELS)):
        one, other = (answers[[swap ^ row for swap in swaps], range(len(LABELS))] for row in (0, 1))
        gaps["accuracy"].append(np.mean(one == LABELS) - np.mean(other == LABELS))
        gaps["uar"].append(mean_recall(one) - mean_recall(other))
    for name, values in gaps.items():
        assert found[name]["difference"] == pytest.approx(values[0])
        as_large = np.mean(np.abs(values) >= abs(values[0]) - 1e-12)
        assert found[name]["p_value"] == pytest.approx(as_large)
    assert found["exact"]
    assert found["unit"] == "items"
    assert found["ignores_speakers"]


def test_drawn_exchanges_agree_with_all_of_them():
    sums = np.random.default_rng(0).normal(0.3, 1.0, (13, 2))
    exact, counted = sign_flip_test(sums)
    padded = np.concatenate([sums, np.full((1, 2), 1e-7)])
    drawn, drawn_counted = sign_flip_test(padded, permutations=20_000)

    assert (counted, drawn_counted) == (True, False)
    assert drawn == pytest.approx(exact, abs=0.015)


def test_equal_models_are_called_different_as_rarely_as_the_level_says():
    generator, rejected, trials = np.random.default_rng(2), 0, 120
    for _ in range(trials):
        labels = generator.integers(0, 3, 60)
        both = [said(labels, np.where(generator.random(60) < 0.6, labels, (labels + 1) % 3)) for _ in range(2)]
        rejected += compare([both[0]], [both[1]], unit="items", permutations=200)["uar"]["p_value"] <= 0.05

    assert rejected / trials <= 0.11  # 5 % and three standard errors


def test_a_clear_difference_is_found_and_its_interval_leaves_out_zero():
    good = simulated(np.random.default_rng(4), speakers=10, items=30, share=0.9, deviation=0.02)
    poor = said(good.labels, np.where(np.arange(300) % 3 == 0, (good.labels + 1) % 3, good.predicted),
                speakers=good.speakers)  # fmt: skip
    found = compare([good], [poor])

    assert found["unit"] == "speakers"
    assert found["clusters"] == 10
    assert found["accuracy"]["p_value"] == pytest.approx(2 / 2**10)
    assert found["accuracy"]["interval"][0] > 0


def test_items_of_a_speaker_are_exchanged_together():
    speakers = [f"s{number}" for number in range(6) for _ in range(20)]
    labels = [0, 1] * 60
    better = said(labels, labels, speakers=speakers, classes=("a", "b"))
    worse = said(labels, [0] * 120, speakers=speakers, classes=("a", "b"))

    assert compare([better], [worse])["accuracy"]["p_value"] == pytest.approx(2 / 2**6)
    assert compare([better], [worse], unit="items")["accuracy"]["p_value"] < 0.001


def test_seeds_are_averaged_before_they_are_compared():
    first = [said(LABELS, LABELS), said(LABELS, [2] * 10)]
    second = [said(LABELS, [2] * 10)]
    found = compare(first, second)

    assert found["accuracy"]["first"] == pytest.approx(0.75)
    assert found["accuracy"]["difference"] == pytest.approx(0.25)


def test_a_run_does_not_differ_from_itself_in_another_order():
    one = simulated(np.random.default_rng(6), speakers=7, items=5)
    found = compare([one], [one.take(list(reversed(range(len(one)))))])

    assert found["uar"] == {
        "first": found["uar"]["second"], "second": found["uar"]["first"], "difference": 0.0,
        "interval": None, "p_value": 1.0,
    }  # fmt: skip
    assert "the same whichever speaker" in found["interval_over"]["none"]["uar"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (said(LABELS[:8], LABELS[:8]), "2 of 10 are only in the first, 0 of 8 only in the second, such as '0008.wav'"),
        (said([1, *LABELS[1:]], LABELS), "'0000.wav' is labelled a in one and b in the other"),
        (said(LABELS, LABELS, copies=[1] * 10), "of different copies or recordings"),
        (said(LABELS, LABELS, classes=("a", "b", "d")), "have different classes"),
        (said(LABELS, LABELS, classes=("b", "a", "c")), "number their classes differently"),
    ],
)
def test_runs_on_other_items_are_refused_and_the_difference_is_told(other, message):
    with pytest.raises(RunError, match=message):
        compare([said(LABELS, LABELS)], [other], names=("runs/one", "runs/other"))


def test_speakers_that_are_unknown_cannot_be_exchanged():
    unknown = said(LABELS, LABELS, speakers=[None] * 10)

    with pytest.raises(RunError, match="10 items have no speaker"):
        compare([unknown], [unknown], unit="speakers")


def test_a_difference_has_the_interval_of_its_speakers_whatever_the_test_exchanges():
    good = simulated(np.random.default_rng(4), speakers=5, items=30, share=0.8)
    poor = said(good.labels, np.where(np.arange(150) % 3 == 0, (good.labels + 1) % 3, good.predicted),
                speakers=good.speakers)  # fmt: skip
    by_items, by_speakers = (compare([good], [poor], unit=unit) for unit in ("items", "speakers"))

    assert by_items["accuracy"]["interval"] == by_speakers["accuracy"]["interval"]
    assert (by_items["ignores_speakers"], by_speakers["ignores_speakers"]) == (True, False)


def test_intervals_of_differences_cover_the_true_difference():
    generator, trials, covered = np.random.default_rng(12), 200, 0
    for _ in range(trials):
        one = simulated(generator, speakers=4, items=30, share=0.7)
        gain = np.clip(0.5 + 0.2 * generator.standard_normal(4), 0, 1)  # of what is wrong, so much is put right
        mended = generator.random(120) < np.repeat(gain, 30)
        other = said(one.labels, np.where(mended, one.labels, one.predicted), speakers=one.speakers)
        bounds = compare([other], [one], permutations=10)["accuracy"]["interval"]
        covered += bounds is not None and bounds[0] <= 0.15 <= bounds[1]

    assert covered / trials >= 0.90


def test_p_values_are_corrected_step_by_step():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


def three_runs():
    """Make two runs that are alike, and one that is worse."""
    one = simulated(np.random.default_rng(4), 8, 12, share=0.8)
    worse = np.where(np.arange(len(one)) % 3, one.predicted, (one.labels + 1) % 3)
    return [[one], [one], [said(one.labels, worse, speakers=one.speakers)]]


def test_every_pair_of_runs_is_compared_and_corrected_for_all_of_them():
    runs = three_runs()
    found = compare_pairs(runs, ["a", "b", "c"])

    assert [(pair["first_run"], pair["second_run"]) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = compare(runs[0], runs[2])
    assert found[1]["uar"]["difference"] == alone["uar"]["difference"] == found[2]["uar"]["difference"]
    for measure in ("accuracy", "uar"):
        plain = [pair[measure]["p_value"] for pair in found]
        assert plain[1] == alone[measure]["p_value"]
        assert [pair[measure]["p_holm"] for pair in found] == holm(plain)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_is_a_page_that_fits_a_phone(tmp_path, scheme):
    names, runs = ["<a>", "b", "c"], three_runs()
    for name in names:
        (tmp_path / name).write_text("")
    places = [str(tmp_path / name) for name in names]
    page = tmp_path / "page.html"
    page.write_text(render_comparison(places, "test", runs, compare_pairs(runs, places)))

    assert "<a>" not in page.read_text()
    with opened(page, viewport={"width": 390, "height": 800}, color_scheme=scheme) as tab:
        assert tab.locator(".differences tbody tr").count() == 6
        axis = tab.locator(".zero").first.bounding_box()
        dot = tab.locator(".zero .dot").first.bounding_box()
        assert dot["x"] + dot["width"] / 2 == pytest.approx(axis["x"] + axis["width"] / 2, abs=1)  # a and b are equal
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
