"""The CCC by its formula and by known values, as a loss, with its interval, and in the test between two runs."""

import dataclasses
from itertools import product

import numpy as np
import pytest
import torch

from models.errors import RunError
from models.figures import concordance
from models.figures.estimate_comparison import compare_estimated_pairs, compare_estimates
from models.figures.estimates import Estimates, ensemble, pooled
from models.figures.running_metrics import RunningConcordance
from models.optimisation.losses import ConcordanceLoss

RANDOM = np.random.default_rng(5)
TRUTH = RANDOM.uniform(1, 5, 60)


def lin(x, y):
    """Lin's formula, written out."""
    return 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def ccc(x, y):
    return float(concordance.measures(concordance.moments(x, y).sum(axis=0))[0])


def estimates(noise, seed=0, speakers=8, dimensions=("valence", "arousal")):
    """Sixty items of some speakers, estimated with so much noise of which each speaker has a share."""
    random, shape = np.random.default_rng(seed), (len(TRUTH), len(dimensions))
    truth = np.random.default_rng(1).uniform(1, 5, shape)
    names = [f"s{place % speakers}" for place in range(len(truth))]
    own = random.normal(0, noise, (speakers, len(dimensions)))[np.arange(len(truth)) % speakers]
    return Estimates(
        dimensions,
        tuple(f"{place:02}.wav" for place in range(len(truth))),
        np.zeros(len(truth), np.int64),
        tuple(names),
        tuple(f"{place:064x}" for place in range(len(truth))),
        truth,
        truth + own + random.normal(0, noise, shape),
    )


def test_the_ccc_is_that_of_its_formula_and_of_known_values():
    noisy = TRUTH + RANDOM.normal(0, 1, 60)
    variance = TRUTH.var()

    assert ccc(TRUTH, noisy) == pytest.approx(lin(TRUTH, noisy), rel=1e-12)
    assert ccc(TRUTH, TRUTH) == pytest.approx(1)
    assert ccc(TRUTH, TRUTH + 0.5) == pytest.approx(2 * variance / (2 * variance + 0.25))
    assert ccc(TRUTH, 2 * TRUTH) < 1  # a correlation would not see it
    assert ccc(TRUTH, 2 * TRUTH.mean() - TRUTH) == pytest.approx(-1)
    assert ccc(10 * TRUTH + 3, 10 * noisy + 3) == pytest.approx(ccc(TRUTH, noisy))  # both in another unit
    assert ccc(TRUTH, np.full(60, 3.0)) == 0
    assert np.isnan(ccc(np.ones(3), np.ones(3)))


def test_figures_give_correlation_and_error_beside_the_ccc():
    found = estimates(0.7)
    figures = concordance.figures(found)

    for place, name in enumerate(found.dimensions):
        truth, said = found.truth[:, place], found.estimated[:, place]
        one = figures["dimensions"][name]
        assert one["ccc"] == pytest.approx(lin(truth, said))
        assert one["pearson"] == pytest.approx(np.corrcoef(truth, said)[0, 1])
        assert one["rmse"] == pytest.approx(np.sqrt(np.mean((truth - said) ** 2)))
    assert figures["ccc"] == pytest.approx(np.mean([one["ccc"] for one in figures["dimensions"].values()]))


def test_the_loss_is_one_minus_the_mean_ccc_and_its_gradient_that_of_differences():
    outputs = torch.from_numpy(RANDOM.normal(0, 1, (7, 3))).requires_grad_()
    truth = torch.from_numpy(RANDOM.normal(0, 1, (7, 3)))
    found = ConcordanceLoss()(outputs, truth)
    pairs = zip(truth.numpy().T, outputs.detach().numpy().T, strict=True)

    assert float(found.plain) == pytest.approx(1 - np.mean([lin(*pair) for pair in pairs]), abs=1e-6)
    (gradient,) = torch.autograd.grad(found.objective, outputs)
    step = 1e-4
    for row, column in product(range(7), range(3)):
        ends = []
        for sign in (1, -1):
            moved = outputs.detach().clone()
            moved[row, column] += sign * step
            ends.append(1 - np.mean([lin(*pair) for pair in zip(truth.numpy().T, moved.numpy().T, strict=True)]))
        assert float(gradient[row, column]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


def test_the_loss_reads_nothing_from_the_device_and_has_a_value_where_nothing_varies():
    meta = ConcordanceLoss()(torch.zeros(4, 2, device="meta"), torch.zeros(4, 2, device="meta"))
    constant = ConcordanceLoss()(torch.ones(4, 2), torch.ones(4, 2))

    assert {value.device.type for value in meta} == {"meta"}
    assert float(constant.objective) == 1


def test_sums_over_batches_give_the_ccc_of_all_rows_together():
    found, running = estimates(0.5), RunningConcordance(2, torch.device("cpu"))
    for part in (slice(0, 13), slice(13, 60)):
        running.add(torch.from_numpy(found.estimated[part]), torch.from_numpy(found.truth[part]))
    figures = running.figures()

    assert figures["ccc"] == pytest.approx(concordance.figures(found)["ccc"])
    assert figures["loss"] == pytest.approx(1 - figures["ccc"])
    running.add(torch.full((1, 2), float("nan")), torch.zeros(1, 2))
    assert not np.isfinite(running.figures()["loss"])
    assert running.cleared().figures() == {"loss": None, "ccc": None}


def test_an_interval_is_the_jackknife_over_speakers_on_the_scale_of_z():
    found = estimates(0.8)
    names = sorted(set(found.speakers))
    valence, said = found.truth[:, 0], found.estimated[:, 0]
    without = np.array([lin(valence[keep], said[keep]) for keep in (np.array(found.speakers) != one for one in names)])
    error = np.sqrt(7 / 8 * ((without - without.mean()) ** 2).sum())
    value, student = lin(valence, said), 2.364624  # the 97.5 % quantile with 7 degrees of freedom
    z, half = np.arctanh(value), student * error / (1 - value**2)

    report = concordance.intervals([found])
    assert report["interval"]["valence"] == pytest.approx([np.tanh(z - half), np.tanh(z + half)], rel=1e-5)
    assert report["interval_over"]["count"] == 8
    few = concordance.intervals([estimates(0.8, speakers=2)])
    assert few["interval"] == {"ccc": None, "valence": None, "arousal": None}
    assert few["interval_over"]["none"] == {"ccc": "only 2 speakers where 3 are needed"}


def test_a_test_between_two_runs_counts_what_exchanges_of_speakers_give():
    ours, theirs = estimates(0.3, seed=2), estimates(0.9, seed=3)
    found = compare_estimates([ours], [theirs])
    speakers, names = np.array(ours.speakers), sorted(set(ours.speakers))

    differences = []
    for flips in product((False, True), repeat=8):
        swapped = np.isin(speakers, [name for name, flip in zip(names, flips, strict=True) if flip])
        one = np.where(swapped[:, None], theirs.estimated, ours.estimated)
        other = np.where(swapped[:, None], ours.estimated, theirs.estimated)
        differences.append(
            np.mean([lin(ours.truth[:, k], one[:, k]) - lin(ours.truth[:, k], other[:, k]) for k in (0, 1)])
        )
    assert found["ccc"]["difference"] == pytest.approx(differences[0])
    assert found["ccc"]["p_value"] == pytest.approx(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12))
    assert (found["permutations"], found["exact"], found["unit"]) == (256, True, "speakers")
    assert compare_estimates([ours], [ours])["ccc"]["p_value"] == 1
    low, high = found["ccc"]["interval"]
    assert low < found["ccc"]["difference"] < high


def test_drawn_exchanges_of_items_agree_with_counted_ones_and_pairs_are_corrected():
    ours, theirs, third = (estimates(noise, seed=4, speakers=2) for noise in (0.5, 0.6, 0.9))
    pairs = compare_estimated_pairs([[ours], [theirs], [third]], ["a", "b", "c"], permutations=2000)

    assert [pair["unit"] for pair in pairs] == ["items"] * 3
    for pair in pairs:
        assert 0 < pair["ccc"]["p_value"] <= pair["ccc"]["p_holm"] <= 1
        assert pair["dimensions"]["arousal"]["p_holm"] >= pair["dimensions"]["arousal"]["p_value"]
    assert pairs[1]["ccc"]["p_value"] < 0.05  # of 0.5 and 0.9


def test_runs_of_other_items_dimensions_or_numbers_of_seeds_are_not_compared():
    ours, named = estimates(0.5), ("a", "b")
    other = dataclasses.replace(ours, dimensions=("valence", "dominance"))
    moved = dataclasses.replace(ours, truth=ours.truth + 1)

    for runs, message in (
        (([ours], [other]), "a estimates valence, arousal, and b valence, dominance"),
        (([ours], [moved]), "not tested on the same items and numbers"),
        (([ours], [ours, ours]), "exchanged seed by seed"),
    ):
        with pytest.raises(RunError, match=message):
            compare_estimates(*runs, names=named)


def test_an_ensemble_is_the_mean_in_any_order_of_items_and_folds_are_pooled():
    ours, theirs = estimates(0.5, seed=6), estimates(0.5, seed=7)
    back = range(len(ours) - 1, -1, -1)
    reverse = dataclasses.replace(
        theirs,
        **{name: tuple(getattr(theirs, name)[place] for place in back) for name in ("paths", "speakers", "contents")},
        **{name: getattr(theirs, name)[list(back)] for name in ("copies", "truth", "estimated")},
    )
    together = ensemble([ours, reverse], ["a", "b"])

    assert together.estimated == pytest.approx((ours.estimated + theirs.estimated) / 2)
    with pytest.raises(RunError, match="two members or more"):
        ensemble([ours], ["a"])
    both = pooled([ours, theirs])
    assert len(both) == 120
    assert both.estimated[60:] == pytest.approx(theirs.estimated)
