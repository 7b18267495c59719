"""Published tables trained again: each row of a recipe, with several seeds or all folds, resumable at any point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import Prepared, mean_figure, prepare, train_prepared
from pipelines.experiments.settings import recipe_on

if TYPE_CHECKING:
    from featurestore.store import Store
    from pipelines.experiments.recipe import PublishedRow, Recipe


COMMITTED = Path(__file__).resolve().parents[1] / "recipes" / "results.json"
"""Results that were measured in full: in a checkout a link to `docs/results.json`, in an installation a file."""


def reproduce(
    recipe: str,
    *,
    store: Store | str | Path | None = None,
    corpus: str | None = None,
    source: str | Path | None = None,
    seeds: int = 1,
    full: bool = False,
    rows: Sequence[str] = (),
    keep: str | Path | None = None,
    folder: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    listener: Listener = SILENT,
) -> list[dict[str, Any]]:
    """Train the rows of a recipe's published table and return each published result next to ours.

    The same call resumes an interrupted one: trainings are in `folder/ROW/seed-N`, and those that have ended are read.

    Parameters
    ----------
    recipe : str
        Name or file of a recipe with `[[rows]]`.
    store : Store, str or Path, optional
        A store or where it is; the default one if there is none.
    corpus : str, optional
        Train on this corpus; each row's own if there is none.
    seeds, full, rows
        Trainings of each row; whether to train as published, for hours, and not in the recipe's reduced setting, whose
        figures mean nothing; the names of the rows to train, all if there are none.
    keep, folder : str or Path, optional
        A JSON file that gets the lines, beside the folder's `results.json`; and that folder.

    Returns
    -------
    list of dict
        A line for each published result: `row, metric, published, ours, deviation, runs, corpus, protocol` and more.
    """
    from featurestore.corpus.protocols import find_split
    from featurestore.store import open_store
    from pipelines.experiments.recipe import read_recipe

    known = recipe_on(read_recipe(recipe), corpus, listener)
    store, setting = open_store(store), "full" if full else "reduced"
    where = Path(folder or Path("runs") / "-".join(filter(None, ("reproduce", known.name, corpus, setting))))
    lines: list[dict[str, Any]] = []
    for row in _chosen_rows(known, corpus, rows, full):
        experiment = known.experiment(corpus or row.corpus, row, reduced=not full)
        every_fold = find_split(experiment.split.name).folds
        prepared = prepare(store, experiment, source=source, every_fold=every_fold, listener=listener)
        trainings = []
        for seed in range(seeds):
            run = where / re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-") / f"seed-{seed}"
            how: dict[str, Any] = {"seed": seed, "device": device, "jobs": jobs, "listener": listener}
            trainings.append(train_prepared(prepared, run, f"{row.name}, seed {seed}", **how))
        same_folds = experiment.dataset.corpus.partition("/")[0] == row.corpus and not experiment.split.first_folds
        metrics = [metric for metric in row.published if same_folds or not metric.startswith("fold ")]
        found = [{**_line(row, metric, trainings, prepared), "setting": setting} for metric in metrics]
        for file in (where / "results.json", *([keep] if keep else [])):
            keep_results(Path(file), known.name, found)
        lines += found
    return lines


def committed_results(recipe: str, corpus: str | None = None, listener: Listener = SILENT) -> list[dict[str, Any]]:
    """Return the lines of a recipe that are kept in the repository; `SpecError` if there are none."""
    from featurestore.errors import SpecError
    from pipelines.experiments.recipe import read_recipe

    name = recipe_on(read_recipe(recipe), corpus, listener).name
    lines = kept_results(COMMITTED).get(name, {}).get("rows", [])
    if not lines:
        raise SpecError(f"no results of recipe {name!r} are kept here yet: train it without --show.")
    return list(lines)


def _chosen_rows(recipe: Recipe, corpus: str | None, names: Sequence[str], full: bool) -> list[PublishedRow]:
    """Return the rows to train: those of the corpus if the table has any, else those of the recipe's own corpus."""
    from featurestore.errors import SpecError, UnknownNameError

    rows = list(recipe.rows())
    if not rows:
        raise SpecError(f"recipe {recipe.name!r} has no [[rows]] of a published table.")
    if corpus is not None:
        first: dict[str, PublishedRow] = {}
        for row in rows:  # one of each experiment: two tasks of the published corpus can be one on another
            if row.corpus == recipe.corpus:
                first.setdefault(str(recipe.experiment(corpus, row, reduced=not full).to_dict()), row)
        rows = [row for row in rows if row.corpus == corpus] or list(first.values())
    for name in names:
        if name not in {row.name for row in rows}:
            raise UnknownNameError("row", name, [row.name for row in rows])
    return [row for row in rows if not names or row.name in names]


def _line(row: PublishedRow, metric: str, trainings: list[list[dict[str, Any]]], prepared: Prepared) -> dict[str, Any]:
    """Return a published result next to ours; the deviation is that of seeds, or with one seed of folds."""
    measured = metric
    if metric.startswith("fold "):
        _, number, measured = metric.split(" ", 2)
        trainings = [[results[int(number) - 1]] for results in trainings]
    by_seed = [mean_figure(results, measured) for results in trainings]
    spread = by_seed if len(by_seed) > 1 else [mean_figure([result], measured) for result in trainings[0]]
    published, deviation = row.published[metric]
    return {
        "row": row.name,
        "metric": metric,
        "published": published,
        "published_deviation": deviation,
        "published_corpus": row.corpus,
        "ours": fmean(by_seed),
        "deviation": stdev(spread) if len(spread) > 1 else None,
        "runs": sum(map(len, trainings)),
        "corpus": prepared.experiment.dataset.corpus,
        "protocol": prepared.experiment.split.name,
        "dataset_digest": prepared.view.digest,
        "device": trainings[0][0]["device"],
    }


def kept_results(path: Path) -> dict[str, Any]:
    """Return the lines that a JSON file keeps, `{recipe: {"rows": [...]}}`; empty where there is no file yet."""
    from models.runs.checkpoint import read_json

    return dict(read_json(path)) if path.is_file() else {}


def keep_results(path: Path, name: str, lines: list[dict[str, Any]]) -> None:
    """Put lines of a recipe in the place of those of the same row, metric, corpus and setting."""
    from featurestore.typed_values import typed
    from models.errors import CheckpointError
    from models.runs.checkpoint import write_json

    document = kept_results(path)
    system = typed(document.setdefault(name, {}), dict, f"{path}: {name}", CheckpointError)
    rows = typed(system.get("rows", []), tuple[dict[str, Any], ...], f"{path}: rows of {name}", CheckpointError)
    new = {_place(line) for line in lines}
    system["rows"] = [*(line for line in rows if _place(line) not in new), *lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, document)


def _place(line: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(line.get(name)) for name in ("row", "metric", "corpus", "protocol", "setting"))
