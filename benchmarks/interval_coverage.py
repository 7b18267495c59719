"""How often the 95 % intervals of `models.figures.intervals` cover the truth, by simulation.

    python benchmarks/interval_coverage.py                 # the table of docs/training.md, two minutes
    python benchmarks/interval_coverage.py --trials 200    # a glance

Speakers, the classes of a speaker, and seeds differ in the log odds of being right. A speaker has 2 to 24 clips of each
of four classes, so sides are unbalanced. The truth is what endlessly many speakers and seeds would give. Three
worlds: `usual` (mean log odds 1, deviations of speakers 0.8, of their classes 0.5, of seeds 0.3), `easy` (mean 2.5,
accuracy about 0.9) and `seeds` (deviations of speakers 0.3 and 0.2, of seeds 0.6).
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit

from models.figures.intervals import intervals
from models.figures.metrics import MEASURES, measures
from models.figures.predictions import Predictions

CLASSES = 4
EFFECT = np.linspace(-0.6, 0.6, CLASSES)
"""Classes are easier and harder."""
WORLDS = {"usual": (1.0, 0.8, 0.5, 0.3), "easy": (2.5, 0.8, 0.5, 0.3), "seeds": (1.0, 0.3, 0.2, 0.6)}
"""Mean log odds; deviations of speakers, of the classes of a speaker, of seeds."""
SIDES = [(3, 1), (4, 1), (5, 1), (6, 1), (10, 1), (24, 1), (3, 3), (3, 5), (5, 3), (5, 5), (10, 3), (10, 10), (24, 5)]
"""Speakers and seeds of a test side."""


def simulated(generator, world, speakers, seeds):
    """Return the predictions of each seed on one side, with a seed effect only where there are several."""
    mean, of_speakers, of_classes, of_seeds = WORLDS[world]
    odds = mean + of_speakers * generator.standard_normal((1, speakers, 1)) + EFFECT
    odds = odds + of_classes * generator.standard_normal((1, speakers, CLASSES))
    odds = odds + (of_seeds if seeds > 1 else 0.0) * generator.standard_normal((seeds, 1, 1))
    counts = generator.integers(2, 25, (speakers, CLASSES)) // 2 * 2
    who, labels = (np.repeat(column.ravel(), counts.ravel()) for column in np.indices(counts.shape))
    right = generator.random((seeds, len(who))) < expit(odds)[:, who, labels]
    said = np.where(right, labels, (labels + 1) % CLASSES)
    items, none = tuple(map(str, range(len(who)))), np.zeros(len(who), int)
    names = tuple(f"s{speaker}" for speaker in who)
    return [
        Predictions(tuple("abcd"), items, none, names, items, labels, answers, np.eye(CLASSES)[answers])
        for answers in said
    ]


def truth(world, seeds):
    """Return accuracy, UAR and macro F1 over very many speakers, and seeds if those differ."""
    mean, of_speakers, of_classes, of_seeds = WORLDS[world]
    deviation = np.sqrt(of_speakers**2 + of_classes**2 + (of_seeds**2 if seeds > 1 else 0))
    grid, weights = np.polynomial.hermite_e.hermegauss(60)
    recall = np.array([weights @ expit(mean + deviation * grid + effect) for effect in EFFECT]) / weights.sum()
    confusion = np.diag(recall) + np.roll(np.diag(1 - recall), 1, axis=1)
    return measures(confusion)


def coverage(world, speakers, seeds, trials, start=0):
    """Return the share of intervals that cover the truth and their mean width, by measure, and how many there were."""
    generator, wanted = np.random.default_rng(start), truth(world, seeds)
    found = [intervals(simulated(generator, world, speakers, seeds))["interval"] for _ in range(trials)]
    bounds = {name: np.array([one[name] for one in found if one[name]]) for name in MEASURES}
    covers = {
        n: float(((b[:, 0] <= t) & (t <= b[:, 1])).mean()) for (n, b), t in zip(bounds.items(), wanted, strict=True)
    }
    return covers, {name: float(np.ptp(one, axis=1).mean()) for name, one in bounds.items()}, len(bounds["uar"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    print(
        "| speakers | seeds | " + " | ".join(f"{world}: accuracy, UAR" for world in WORLDS) + " | mean width, usual |"
    )
    print("|" + "---:|" * (3 + len(WORLDS)))
    for speakers, seeds in SIDES:
        cells, width = [], 0.0
        for world in WORLDS:
            covers, widths, _ = coverage(world, speakers, seeds, trials)
            cells.append(f"{covers['accuracy']:.3f}, {covers['uar']:.3f}")
            width = width or widths["uar"]
        print(f"| {speakers} | {seeds} | " + " | ".join(cells) + f" | {width:.2f} |", flush=True)


if __name__ == "__main__":
    main()
