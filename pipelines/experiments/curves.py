"""Learning curves: what more training speakers, or more copies of each recording, are worth."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from featurestore.corpus.splits.types import Split
    from featurestore.store import Store
    from models.baselines.runs import BaselineSpec
    from models.figures.predictions import Predictions
    from pipelines.experiments.prepare import Prepared

OVER = ("speakers", "copies")
RECORD = "curve.json"
COLUMNS = ("value", "draws", "rows", "uar", "uar_low", "uar_high", "uar_deviation", "accuracy", "accuracy_deviation")
Tested = Callable[["Prepared", int, int], "Predictions"]
"""The predictions for all test items, from sides, a value of the curve and a seed."""


def curve(
    dataset: str,
    *,
    over: str = "speakers",
    values: Sequence[int] = (),
    draws: int = 3,
    model: str | None = None,
    recipe: str | None = None,
    split: str = "loso",
    normalisation: str | None = None,
    regularisation: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    settings: Sequence[str] = (),
    allow_leak: Sequence[str] = (),
    store: Store | str | Path | None = None,
    folder: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Train with ever more speakers, or ever more copies of each recording, and test on the same items each time.

    The rows are those of the dataset; none are computed. Speakers are drawn at random from each training side, and a
    draw of more speakers holds all of the same draw of fewer; of copies the first ones train.

    Parameters
    ----------
    dataset : str
        A dataset of the store.
    over : str
        `speakers` or `copies`; copies need a network, since baselines see clean rows alone.
    values : sequence of int
        Numbers of speakers or copies (0 is the clean rows); doubled from 2 or 1 to the most that there are if there
        are none.
    draws : int
        Trainings at each value, each with other speakers and another seed; from three up, intervals cover both.
    model : str, optional
        A baseline (`svm-linear`, `svm-rbf`, `logistic`) or a network; the recipe's, else `svm-linear`.
    recipe : str, optional
        Name or file of the recipe of a network.
    split : str
        One split, or one with folds, which are pooled. For a baseline its validation side trains.
    normalisation, regularisation
        As of `matrix`.
    epochs, batch_size, settings
        Of a network: what differs from the recipe, as `train` takes them.
    seed : int, optional
        Of the first draw; 0 if it is not given.
    allow_leak : sequence of str
        Kinds of leak to accept.
    folder : str or Path, optional
        Where table, figure and trained networks go; `runs/NAME-NUMBER` if there is none. A folder of the same curve is
        continued.
    jobs : int
        Folds of a network trained at a time.

    Returns
    -------
    dict
        `run`, `dataset`, `over`, `split`, `model`, `normalisation` and `points`, a list with `value`, `rows` (of the
        largest training side), `runs` (`seed`, `accuracy` and `uar` of each draw), `mean` and `deviation` of these,
        `interval` and `interval_over`.

    Raises
    ------
    FeatureStoreError
        If there are fewer speakers or copies than a value asks for, or the folder holds something else.
    """
    from featurestore.errors import SpecError, UnknownNameError
    from featurestore.store import open_store
    from pipelines.experiments.baselines import prepared_baseline
    from pipelines.experiments.classifiers import (
        chosen_baseline,
        describe_baseline,
        describe_network,
        with_normalisation,
    )
    from pipelines.experiments.cross_corpus import begin_folder
    from pipelines.experiments.prepare import prepare
    from pipelines.experiments.settings import chosen_experiment, require_labels
    from pipelines.experiments.training import free_folder

    if over not in OVER:
        raise UnknownNameError("axis of a learning curve", over, OVER)
    if draws < 1:
        raise SpecError(f"a learning curve needs one draw or more, not {draws}.")
    store = open_store(store)
    of_networks = {"epochs": epochs, "batch_size": batch_size, "settings": tuple(settings)}
    spec = chosen_baseline(model, recipe, normalisation, regularisation, of_networks)
    if spec is not None:
        if over == "copies":
            raise SpecError(f"a curve over copies needs a network, since {spec.model} sees clean rows alone: name one.")
        prepared = prepared_baseline(store.view(dataset), spec, split, allow_leak)
        described = describe_baseline(spec, prepared.view)
    else:
        changes = with_normalisation(of_networks, normalisation) | {"model": model, "split": split}
        experiment = chosen_experiment(store, dataset, recipe, **changes, allow_leak=tuple(allow_leak))
        require_labels(experiment, "curve")
        prepared = prepare(store, experiment, dataset=dataset, every_fold=True, listener=listener)
        described = describe_network(experiment)
    wanted = _values(prepared, over, values)
    where = Path(folder or free_folder(f"{prepared.view.name}-{described['model']}-{over}"))
    record = {"dataset": prepared.view.name, "over": over, "split": split, **described}
    begun = {**record, "seed": seed or 0, "rows": f"{prepared.view.digest}@{prepared.view.table_id}"}
    begin_folder(where, RECORD, begun)
    if spec is not None:
        tested = _fitted(prepared, spec, listener.training(where.name).stage)
    else:
        tested = _trained(where, over, {"device": device, "jobs": jobs, "listener": listener})
    seeds = range(seed or 0, (seed or 0) + draws)
    points = [_point(prepared, over, value, seeds, tested) for value in wanted]
    result = {"run": str(where), **record, "points": points}
    _write(where, result)
    return result


def fewer_speakers(split: Split, speaker_of: Mapping[str, str | None], count: int, seed: int) -> Split:
    """Return a split whose training side has `count` of its speakers, drawn at random; more hold all of fewer.

    `SplitError` if it has fewer, or it is not known of all recordings who speaks.
    """
    import numpy as np

    from featurestore.corpus.splits.types import SIDE_BITS, Split
    from featurestore.errors import SplitError

    speakers = _speakers(split, speaker_of)
    if not 1 <= count <= len(speakers):
        raise SplitError(
            f"the training side of split {split.name!r} has {len(speakers)} speakers, and {count} are asked for."
        )
    order = np.random.default_rng(seed).permutation(len(speakers))
    chosen = {speakers[place] for place in order[:count]}
    left_out = np.array([speaker_of[path] not in chosen for path in split.paths], bool)
    bits = np.where(left_out, split.side_bits & ~np.uint8(SIDE_BITS["train"]), split.side_bits)
    return Split.of_bits(split.name, split.paths, bits.astype(np.uint8))


def _speakers(split: Split, speaker_of: Mapping[str, str | None]) -> list[str]:
    from featurestore.errors import SplitError

    found = {speaker_of[path] for path in split.train}
    if None in found:
        raise SplitError(f"who speaks is not known for all of the training side of split {split.name!r}.")
    return sorted(speaker for speaker in found if speaker is not None)


def _speaker_of(prepared: Prepared) -> dict[str, str | None]:
    utterances = prepared.view.table.utterances
    return dict(zip(utterances.paths, utterances.speakers, strict=True))


def _values(prepared: Prepared, over: str, values: Sequence[int]) -> list[int]:
    """Return the values of a curve, sorted; `SplitError` or `SpecError` if there are fewer speakers or copies."""
    from featurestore.errors import SpecError

    if over == "copies":
        most, least = int(prepared.view.copies.max(initial=0)), 0
    else:
        speaker_of = _speaker_of(prepared)
        most, least = min(len(_speakers(split, speaker_of)) for split in prepared.splits), 1
    doubled = [least + 1 << power for power in range(most.bit_length()) if least + 1 << power < most]
    where = " in each fold" if over == "speakers" else ""
    wanted = sorted({*values} or {*([0] if over == "copies" else []), *doubled, most})
    if wanted[0] < least or wanted[-1] > most:
        raise SpecError(
            f"dataset {prepared.view.name} has {most} {over} to train on{where}: values "
            f"must lie within {least} and {most}, not {', '.join(map(str, wanted))}."
        )
    return wanted


def _restricted(prepared: Prepared, over: str, value: int, seed: int) -> Prepared:
    """Return the same sides with fewer training speakers or copies."""
    if over == "copies":
        view = prepared.view
        return dataclasses.replace(prepared, view=view.select(view.copies <= value))
    speaker_of = _speaker_of(prepared)
    splits = tuple(fewer_speakers(split, speaker_of, value, seed) for split in prepared.splits)
    return dataclasses.replace(prepared, splits=splits)


def _point(prepared: Prepared, over: str, value: int, seeds: Sequence[int], tested: Tested) -> dict[str, Any]:
    """Train at one value, once for each seed, and put the results together."""
    from models.figures.intervals import intervals
    from models.figures.metrics import mean_and_deviation, tracked

    runs, found, rows = [], [], 0
    for seed in seeds:
        sides = _restricted(prepared, over, value, seed)
        rows = max(rows, *(len(one.train) for one in sides.all_sides))
        runs.append(tested(sides, value, seed))
        figures = tracked(runs[-1].confusion, None)
        found.append({"seed": seed, "accuracy": figures["accuracy"], "uar": figures["uar"]})
    return {"value": value, "rows": rows, "runs": found, **mean_and_deviation(found), **intervals(runs)}


def _fitted(prepared: Prepared, spec: BaselineSpec, stage: Callable[[str], None]) -> Tested:
    """Return what fits a baseline; the functionals of all rows are computed once."""
    from models.baselines.runs import Baseline
    from models.figures.predictions import pooled

    fitting = Baseline(prepared.view, spec)

    def tested(sides: Prepared, value: int, seed: int) -> Predictions:
        """Fit on each training side; return the predictions for the test items of all."""
        stage(f"{value} speakers, draw {seed}")
        return pooled([fitting.fit(one).evaluations["test"].predictions for one in sides.all_sides])

    return tested


def _trained(where: Path, over: str, how: Mapping[str, Any]) -> Tested:
    """Return what trains a network into a folder for each value and seed, or continues."""
    from models.runs.folders import RunFolder
    from pipelines.experiments.prepare import train_prepared

    def tested(sides: Prepared, value: int, seed: int) -> Predictions:
        """Train on each training side; return the predictions for the test items of all."""
        run = where / f"{over}-{value:03d}" / f"seed-{seed}"
        train_prepared(sides, run, f"{value} {over}, seed {seed}", seed=seed, **how)
        return RunFolder.of(run).predictions("test")[0]

    return tested


def _lines(points: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for point in points:
        low, high = point["interval"]["uar"] or ("", "")
        yield {
            "value": point["value"],
            "draws": len(point["runs"]),
            "rows": point["rows"],
            **point["mean"],
            "uar_low": low,
            "uar_high": high,
            **{f"{name}_deviation": deviation for name, deviation in point["deviation"].items()},
        }


def _write(where: Path, result: Mapping[str, Any]) -> None:
    """Write the result as JSON, as a table with a line for each value, and as a figure."""
    from featurestore.files import write_atomically
    from models.reports.plots import curve_figure, write_figure
    from models.runs.checkpoint import read_json, write_json

    points, text = result["points"], io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(points))
    write_atomically(where / "curve.csv", text.getvalue().encode())
    drawn = curve_figure(
        [point["value"] for point in points],
        [point["mean"]["uar"] for point in points],
        [point["interval"]["uar"] for point in points],
        f"training {result['over']}",
    )
    write_figure(drawn, where / "curve")
    write_json(where / RECORD, {**read_json(where / RECORD), **result})
