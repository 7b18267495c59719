"""Published tables trained again: each row of a recipe, with several seeds or all folds, resumable at any point."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.kept_results import keep_results
from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import prepare, train_prepared
from pipelines.experiments.settings import recipe_on, require_labels

if TYPE_CHECKING:
    from featurestore.store import Store
    from pipelines.experiments.prepare import Prepared
    from pipelines.experiments.recipe import Experiment, PublishedRow, Recipe


def reproduce(
    recipe: str,
    *,
    store: Store | str | Path | None = None,
    corpus: str | None = None,
    source: str | Path | None = None,
    seeds: int = 1,
    full: bool = False,
    rows: Sequence[str] = (),
    split: str | None = None,
    allow_leak: Sequence[str] = (),
    plan: bool = False,
    keep: str | Path | None = None,
    folder: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    listener: Listener = SILENT,
) -> list[dict[str, Any]]:
    """Train the rows of a recipe's published table and return each published result next to ours.

    The same call resumes an interrupted one: trainings are in `folder/ROW/seed-N`, and those that have ended are read.
    Rows that are the same experiment are trained once, in the folder of the first of them. A baseline (functionals and
    a linear SVM, `models.baselines`) is fitted on the same sides, and every row is tested against it.

    Parameters
    ----------
    recipe : str
        Name or file of a recipe with `[[rows]]`.
    store : Store, str or Path, optional
        A store or where it is; the default one if there is none.
    corpus : str, optional
        Train on this corpus; each row's own if there is none.
    seeds, full, rows
        Trainings of each row; whether to train as published, for hours, and not in the recipe's reduced setting of few
        epochs, whose results are to be read against chance; the names of the rows to train, all if there are none.
    split, allow_leak : str, sequence of str, optional
        Another split or protocol, beside whose figures no published one stands; kinds of leak to accept, and on the
        recipe's own split those that it declares.
    plan : bool
        Train nothing, and return what would be trained, see `pipelines.experiments.planning.planned`.
    keep, folder : str or Path, optional
        A JSON file that gets the lines, beside the folder's `results.json`; and that folder.

    Returns
    -------
    list of dict
        A line for each result, as `pipelines.experiments.row_figures.measured_lines` returns it.
    """
    from featurestore.corpus.protocols import find_split
    from featurestore.store import open_store
    from pipelines.experiments.planning import planned
    from pipelines.experiments.recipe import read_recipe
    from pipelines.experiments.row_figures import baseline_of, corrected, measured_lines

    known = recipe_on(read_recipe(recipe), corpus, listener)
    store, setting = open_store(store), "full" if full else "reduced"
    names = ("reproduce", known.name, corpus, split and re.sub(r"\W+", "-", split), setting)
    where = Path(folder or Path("runs") / "-".join(filter(None, names)))
    chosen = chosen_rows(known, corpus, rows, full=full, split=split, allow_leak=allow_leak)
    if plan:
        asked: dict[str, Any] = {"seeds": seeds, "jobs": jobs, "device": device, "listener": listener}
        return planned(store, chosen, known, where, source=source, **asked)
    lines: list[dict[str, Any]] = []
    for row, experiment, name in chosen:
        every_fold = find_split(experiment.split.name).folds
        prepared = prepare(store, experiment, source=source, every_fold=every_fold, listener=listener)
        row = _on_sides_that_are(row, prepared)
        trainings = []
        for seed in range(seeds):
            how: dict[str, Any] = {"seed": seed, "device": device, "jobs": jobs, "listener": listener}
            run = where / name / f"seed-{seed}"
            trainings.append(train_prepared(prepared, run, f"{row.name}, seed {seed}", **how))
        baseline = baseline_of(prepared, where / "baselines", listener)
        task = "" if split and "split" in row.changes else known.task(corpus or row.corpus, row)
        found = measured_lines(row, task, prepared, trainings, where / name, baseline)
        lines = corrected([*lines, *({**line, "setting": setting} for line in found)])
        for file in (where / "results.json", *([keep] if keep else [])):
            keep_results(Path(file), known.name, lines)
    return lines


def chosen_rows(
    recipe: Recipe,
    corpus: str | None,
    names: Sequence[str] = (),
    *,
    full: bool = True,
    split: str | None = None,
    allow_leak: Sequence[str] = (),
) -> list[tuple[PublishedRow, Experiment, str]]:
    """Return the rows to train with their experiments and the names of their folders, which equal experiments share.

    Rows are those of the corpus if the table has any; else those of the recipe's own corpus, one of each experiment,
    since two tasks of the published corpus can be one on another. Without a corpus, all that were published,
    or all of a table of our own.
    """
    from featurestore.errors import SpecError, UnknownNameError

    rows = list(recipe.rows())
    if not rows:
        raise SpecError(f"recipe {recipe.name!r} has no [[rows]] of a published table.")
    own = [row for row in rows if row.corpus == corpus]
    if corpus is None:
        wanted = [row for row in rows if row.published] or rows
    else:
        wanted = own or [row for row in rows if row.corpus == recipe.corpus]
    found, folders = [], dict[str, str]()
    for row in wanted:
        experiment = recipe.experiment(corpus or row.corpus, row, reduced=not full)
        require_labels(experiment, "reproduce")
        row, experiment = _on_split(row, experiment, split, allow_leak)
        same, name = str(experiment.to_dict()), re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")
        if same not in folders or corpus is None or own:
            found.append((row, experiment, folders.setdefault(same, name)))
    for name in names:
        if name not in {row.name for row, _, _ in found}:
            raise UnknownNameError("row", name, [row.name for row, _, _ in found])
    return [one for one in found if not names or one[0].name in names]


def _on_split(
    row: PublishedRow, experiment: Experiment, split: str | None, allow_leak: Sequence[str]
) -> tuple[PublishedRow, Experiment]:
    """Return a row and its experiment on another split; what the recipe publishes and declares is of its own."""
    from featurestore.corpus.protocols import find_split
    from featurestore.errors import SpecError

    own, name = experiment.split, split or experiment.split.name
    leaks = {*allow_leak, *(own.allow_leak if name == own.name else ())}
    if name != own.name:
        if experiment.dataset.side and find_split(name).folds:
            raise SpecError(
                f"only the {experiment.dataset.side} side of row {row.name!r} has copies, and {name!r} has a side for "
                "each fold. Choose a split without folds."
            )
        metrics = tuple(metric for metric in row.metrics if not metric.startswith("fold "))
        row = dataclasses.replace(row, published={}, metrics=metrics)
    return row, dataclasses.replace(
        experiment, split=dataclasses.replace(own, name=name, allow_leak=tuple(sorted(leaks)))
    )


def _on_sides_that_are(row: PublishedRow, prepared: Prepared) -> PublishedRow:
    """Return a row without the metrics of a side that is empty; `SpecError` if none is left."""
    from featurestore.errors import SpecError
    from pipelines.experiments.row_figures import Metric

    sides = {side for one in prepared.splits for side, paths in one.members.items() if paths}
    metrics = tuple(metric for metric in row.metrics if Metric.read(metric).side in sides)
    if not metrics:
        raise SpecError(
            f"row {row.name!r} has {', '.join(row.metrics)}, and split {prepared.experiment.split.name!r} has no such "
            "side. Choose another split."
        )
    return dataclasses.replace(row, metrics=metrics)
