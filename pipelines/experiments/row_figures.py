"""What a row of a published table gave: its figures with an interval, chance, and a baseline that it is tested against.

Whether a row is above its baseline by more than chance is tested by exchanging the answers of the two, see
`models.figures.comparison`. A table has many rows, of which some would be by luck: its p-values are corrected.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.experiments.prepare import Prepared, mean_figure

if TYPE_CHECKING:
    from models.figures.predictions import Predictions
    from pipelines.experiments.listener import Listener
    from pipelines.experiments.recipe import PublishedRow

BASELINE = "svm-linear"
TESTED = ("accuracy", "uar")
"""Measures that have an interval and a test."""


class Metric(NamedTuple):
    """A metric of a row, such as `test uar` or `fold 3 test uar`."""

    of: str
    """Empty: the mean over folds; `fold`: one of them; `pooled`: the answers of all folds counted together;
    `ensemble`: pooled too, where all seeds answer together by their mean probabilities."""
    fold: int
    """The first is 1; 0 for all."""
    side: str
    measure: str

    @classmethod
    def read(cls, text: str) -> Metric:
        """Read it as recipes write it."""
        *before, side, measure = text.split(" ")
        return cls(before[0] if before else "", int(before[1]) if before[1:] else 0, side, measure)


def measured_lines(
    row: PublishedRow,
    task: str,
    prepared: Prepared,
    trainings: Sequence[Sequence[dict[str, Any]]],
    folder: Path,
    baseline: Path | None,
) -> list[dict[str, Any]]:
    """Return a line for each result of a row: what was published, and what our runs gave.

    Parameters
    ----------
    task : str
        What our classes are. A published result stands beside ours only if it is of the same task.
    trainings : sequence of sequence of dict
        Results by seed, and by fold of a protocol with folds.
    folder : Path
        Holds the runs, `seed-0` and so on.
    baseline : Path, optional
        Run of a baseline on the same sides; without one, rows are not tested.

    Returns
    -------
    list of dict
        `row, metric, task, classes, published, published_deviation, published_corpus, ours, deviation, runs, seeds,
        corpus, protocol, allow_leak, dataset_digest, device, note`, and

        - `chance`: of accuracy, what always answering the most frequent class gives; of UAR, one over the classes;
        - `deviation_over`: `seeds` or `folds`, what the deviation is of;
        - `interval`: 95 %, over speakers, of all test items together; None where there are too few speakers;
        - `baseline`: `model`, `normalisation`, its `figure`, `difference` (ours minus its), the `p_value` of that over
          `exchanged` (speakers or items), and `p_holm` (Holm) over the rows of a table;
        - `confusion`: `classes` and `counts [true, predicted]`, the answers of all seeds and folds, or of the ensemble;
          None of a single fold;
        - `seconds` and `clips_per_second` of the trainings.
    """
    experiment = prepared.experiment
    on = experiment.dataset.corpus.partition("/")[0]
    by_fold = on == row.corpus and not experiment.split.first_folds
    beside = task == row.task if task or row.task else on == row.corpus
    described = {
        "row": row.name,
        "task": task,
        "published_corpus": row.corpus if row.published and beside else None,
        "corpus": experiment.dataset.corpus,
        "protocol": experiment.split.name,
        "allow_leak": list(experiment.split.allow_leak),
        "dataset_digest": prepared.view.digest,
        "device": trainings[0][0]["device"],
        "seconds": round(sum(result["seconds"] for results in trainings for result in results), 1),
        "clips_per_second": median(result["clips_per_second"] for results in trainings for result in results),
        "note": row.note,
        "why": None,
    }
    runs = [folder / f"seed-{seed}" for seed in range(len(trainings))]
    lines = []
    for metric in row.metrics:
        wanted = Metric.read(metric)
        if (wanted.fold and not by_fold) or (wanted.of == "ensemble" and len(runs) < 2):
            continue
        published, deviation = row.published.get(metric, (None, None)) if beside else (None, None)
        found = answers_of(runs, wanted)
        ours = _of_answers(found, wanted) if wanted.of in ("pooled", "ensemble") else _of_trainings(trainings, wanted)
        counts = {"runs": sum(1 if wanted.fold else len(results) for results in trainings), "seeds": len(trainings)}
        figures = {"published": published, "published_deviation": deviation, **ours, **counts}
        figures |= judged(found, wanted, baseline)
        lines.append({"row": row.name, "metric": metric, **described, **figures})
    return lines


def answers_of(runs: Sequence[Path], metric: Metric) -> list[Predictions]:
    """Return the predictions that a metric is judged by: those of each run, or of all together."""
    from models.figures.comparison import ensemble
    from models.runs.folders import RunFolder

    found = [one for run in runs for one in RunFolder.of(run).predictions(metric.side)]
    return [ensemble(found, list(map(str, runs)))] if metric.of == "ensemble" else found


def _of_answers(found: Sequence[Predictions], metric: Metric) -> dict[str, Any]:
    """Return the mean over seeds of a measure of all their answers, and its deviation."""
    from models.figures.metrics import summary

    return _mean_and_deviation([summary(one.confusion, one.classes)[metric.measure] for one in found], "seeds")


def _of_trainings(trainings: Sequence[Sequence[dict[str, Any]]], metric: Metric) -> dict[str, Any]:
    """Return the mean over seeds and folds; its deviation is that of seeds, or with one seed of folds."""
    name = f"{metric.side} {metric.measure}"
    chosen = [[results[metric.fold - 1]] if metric.fold else results for results in trainings]
    by_seed = [mean_figure(list(results), name) for results in chosen]
    by_fold = [mean_figure([result], name) for result in chosen[0]]
    several = len(by_seed) > 1
    spread = _mean_and_deviation(*((by_seed, "seeds") if several else (by_fold, "folds")))
    return {**spread, "ours": fmean(by_seed)}


def _mean_and_deviation(values: Sequence[float], over: str) -> dict[str, Any]:
    several = len(values) > 1
    deviation = stdev(values) if several else None
    return {"ours": fmean(values), "deviation": deviation, "deviation_over": over if several else None}


def judged(found: Sequence[Predictions], metric: Metric, baseline: Path | None) -> dict[str, Any]:
    """Return classes, chance, interval, the test against the baseline and the confusion, from all predictions."""
    import numpy as np

    from models.figures.intervals import intervals
    from models.figures.metrics import chance

    by_chance = chance(found[0].confusion, found[0].classes)
    counts = np.sum([one.confusion for one in found], axis=0)
    tested = metric.measure in TESTED and not metric.fold
    return {
        "classes": len(found[0].classes),
        "chance": by_chance.get(metric.measure),
        "interval": intervals(found)["interval"][metric.measure] if tested else None,
        "baseline": _against(found, baseline, metric.side, metric.measure) if tested and baseline else None,
        "confusion": {"classes": list(found[0].classes), "counts": counts.tolist()} if tested else None,
    }


def _against(found: Sequence[Predictions], baseline: Path, side: str, measure: str) -> dict[str, Any]:
    """Return the baseline's figure and the test of ours against it, recording by recording."""
    import numpy as np

    from models.figures.comparison import compare
    from models.runs.folders import RunFolder
    from models.runs.run import read_config

    opened = RunFolder.of(baseline)
    ours, theirs = (  # copies that voted, or a warped one that validates, stand for their recording
        [dataclasses.replace(one, copies=np.zeros_like(one.copies)) for one in runs]
        for runs in (found, opened.predictions(side))
    )
    result = compare(ours, theirs, names=("the row", f"its baseline {baseline}"))
    config = read_config(opened.runs()[0])
    return {
        "model": config.model,
        "normalisation": config.training.normalisation,
        "figure": result[measure]["second"],
        "difference": result[measure]["difference"],
        "p_value": result[measure]["p_value"],
        "p_holm": None,
        "exchanged": result["unit"],
    }


def row_names(lines: Sequence[Mapping[str, Any]], between: str = " ") -> list[str]:
    """Return the names of the rows of lines, with the corpus, protocol or setting that tells them apart."""
    wanted = [name for name in ("corpus", "protocol", "setting") if len({line[name] for line in lines}) > 1]
    told = [", ".join(str(line[name]).removeprefix(f"{line['corpus']}/") for name in wanted) for line in lines]
    return [line["row"] + (f"{between}({one})" if one else "") for line, one in zip(lines, told, strict=True)]


def corrected(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return lines whose p-values are corrected over the rows of one metric, corpus, protocol and setting."""
    from models.figures.comparison import holm

    lines, tables = list(lines), defaultdict[tuple[Any, ...], list[int]](list)
    for place, line in enumerate(lines):
        if line.get("baseline"):
            tables[tuple(line[name] for name in ("metric", "corpus", "protocol", "setting"))].append(place)
    for places in tables.values():
        found = holm([lines[place]["baseline"]["p_value"] for place in places])
        for place, value in zip(places, found, strict=True):
            lines[place] = {**lines[place], "baseline": {**lines[place]["baseline"], "p_holm": value}}
    return lines


def baseline_of(prepared: Prepared, folder: Path, listener: Listener) -> Path | None:
    """Return the run of a baseline on the clean rows of an experiment's sides; fitted unless `folder` holds it.

    It trains on the training side alone, as a network does, and normalises as it does where it can. None, with a
    notice, where none can be fitted, such as without known speakers to choose its regularisation by.
    """
    from featurestore.checksummed_json import digest
    from models.baselines.runs import SCOPES, Baseline, BaselineSpec, configure_baseline, write_baseline
    from models.errors import TrainingError
    from models.runs.folders import fold_folder

    experiment = prepared.experiment
    scope = experiment.training.get("normalisation", "training")
    spec = BaselineSpec(BASELINE, scope if scope in SCOPES and scope != "none" else "training")
    split = dataclasses.replace(experiment.split, clean_in_training=False, validation_copy=0)
    training = {"normalisation": spec.normalisation, "class_weights": "balanced"}
    own = dataclasses.replace(experiment, split=split, model=BASELINE, model_settings={}, training=training)
    clean = prepared.view.select(prepared.view.copies == 0)
    rows = dataclasses.replace(prepared, experiment=own, view=clean, voters=None)
    identity = digest([clean.digest, clean.table_id, own.to_dict()["split"], spec.normalisation])[:12]
    several, run = len(rows.splits) > 1, folder / identity
    runs = [fold_folder(run, number) if several else run for number in range(1, len(rows.splits) + 1)]
    if all((one / "summary.json").is_file() for one in runs):
        return run
    listener.notice(f"baseline: {BASELINE} on functionals, normalised by {spec.normalisation}")
    fitting = Baseline(clean, spec)
    try:
        for sides, one in zip(rows.all_sides, runs, strict=True):
            write_baseline(one, fitting.fit(sides), configure_baseline(sides, spec, **rows.origin(sides)))
    except TrainingError as error:
        listener.notice(f"no baseline stands beside these rows: {error}")
        return None
    return run
