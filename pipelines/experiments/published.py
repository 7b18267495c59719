"""Published tables trained again: each row of a recipe, with several seeds or all folds, resumable at any point."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import Prepared, mean_figure, prepare, train_prepared
from pipelines.experiments.settings import recipe_on

if TYPE_CHECKING:
    from featurestore.store import Store
    from pipelines.experiments.experiment import Experiment
    from pipelines.experiments.recipe import PublishedRow, Recipe


COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "results.json"
"""Results that were measured in full and are kept in the repository."""


def reproduce(
    recipe: str,
    *,
    store: Store | None = None,
    corpus: str | None = None,
    source: str | None = None,
    seeds: int = 1,
    full: bool = False,
    rows: tuple[str, ...] = (),
    keep: str | Path | None = None,
    folder: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    listener: Listener = SILENT,
) -> list[dict[str, Any]]:
    """Train the rows of a recipe's published table and return each published figure beside ours.

    The same call goes on where an interrupted one stopped.

    Parameters
    ----------
    recipe : str
        Name or file of a recipe with `[[rows]]`.
    corpus : str, optional
        Train on this corpus; each row's own if there is none.
    seeds : int
        Trainings of each row.
    full : bool
        Train as published, for hours; otherwise in the recipe's reduced setting, whose figures mean nothing.
    rows : tuple of str
        Only these rows; all if there are none.
    keep : str or Path, optional
        Put the lines into this JSON file as well as into the folder's `results.json`.
    folder : str or Path, optional
        Of all trainings; `runs/reproduce-RECIPE...` if there is none.

    Returns
    -------
    list of dict
        A line for each published figure: `row, metric, published, ours, deviation, runs, corpus, protocol` and more.
    """
    from featurestore.errors import UnknownNameError
    from featurestore.store import open_store
    from pipelines.experiments.recipe import read_recipe

    known = recipe_on(read_recipe(recipe), corpus, listener)
    setting = "full" if full else "reduced"
    where = Path(folder or Path("runs") / "-".join(filter(None, ("reproduce", known.name, corpus, setting))))
    reproduction = Reproduction(known, where, corpus, seeds, full)
    store = store or open_store()
    published = reproduction.rows()
    for name in rows:
        if name not in {row.name for row in published}:
            raise UnknownNameError("row", name, [row.name for row in published])
    lines = []
    for row in published:
        if not rows or row.name in rows:
            found = reproduction.train_row(store, row, source, device, jobs, listener)
            for file in (where / "results.json", *([keep] if keep else [])):
                KeptResults(Path(file)).keep(known.name, found)
            lines += found
    return lines


def committed_results(recipe: str, corpus: str | None = None, listener: Listener = SILENT) -> list[dict[str, Any]]:
    """Return the lines of a recipe that are kept in the repository; `SpecError` if there are none."""
    from featurestore.errors import SpecError
    from pipelines.experiments.recipe import read_recipe

    name = recipe_on(read_recipe(recipe), corpus, listener).name
    lines = KeptResults(COMMITTED).read().get(name, {}).get("rows", [])
    if not lines:
        raise SpecError(f"no results of recipe {name!r} are kept here yet: train it without --show.")
    return list(lines)


@dataclass(frozen=True)
class Reproduction:
    """A published table to be trained again.

    Trainings stand in `folder/ROW/...`; those that have ended are read, and one that was interrupted goes on.
    """

    recipe: Recipe
    folder: Path
    corpus: str | None = None
    """Train on this corpus in place of the published one; None takes each row's own."""
    seeds: int = 1
    full: bool = False
    """Train as published; otherwise in the recipe's reduced setting."""

    @property
    def setting(self) -> str:
        """`full`, as published, or `reduced`."""
        return "full" if self.full else "reduced"

    def rows(self) -> list[PublishedRow]:
        """Return the rows to train: those of the corpus if the table has any, else those of the recipe's own."""
        from featurestore.errors import SpecError

        rows = list(self.recipe.rows())
        if not rows:
            raise SpecError(f"recipe {self.recipe.name!r} has no [[rows]] of a published table.")
        if self.corpus is None:
            return rows
        published = [row for row in rows if row.corpus == self.corpus]
        return published or self._different([row for row in rows if row.corpus == self.recipe.corpus])

    def _different(self, rows: list[PublishedRow]) -> list[PublishedRow]:
        """Return the first row of each experiment: two tasks of the published corpus can be one on another."""
        first: dict[str, PublishedRow] = {}
        for row in rows:
            first.setdefault(str(self.experiment(row).to_dict()), row)
        return list(first.values())

    def experiment(self, row: PublishedRow) -> Experiment:
        """Return what a row trains."""
        return self.recipe.experiment(self.corpus or row.corpus, row, reduced=not self.full)

    def train_row(
        self,
        store: Store,
        row: PublishedRow,
        source: str | None = None,
        device: str = "auto",
        jobs: int = 1,
        listener: Listener = SILENT,
    ) -> list[dict[str, Any]]:
        """Train a row and return its lines: one for each published figure."""
        from featurestore.corpus.splits.protocols import find_split

        experiment = self.experiment(row)
        every_fold = find_split(experiment.split.name).folds
        prepared = prepare(store, experiment, source=source, every_fold=every_fold, listener=listener)
        trainings = [
            train_prepared(
                prepared,
                self.folder / folder_name(row.name) / f"seed-{seed}",
                f"{row.name}, seed {seed}",
                seed=seed,
                device=device,
                jobs=jobs,
                listener=listener,
            )
            for seed in range(self.seeds)
        ]
        return [_line(row, metric, trainings, prepared, self.setting) for metric in _asked(row, experiment)]


def _asked(row: PublishedRow, experiment: Experiment) -> list[str]:
    """Return a row's metrics; those of single folds only where the folds are the published ones."""
    same = experiment.dataset.corpus.partition("/")[0] == row.corpus and not experiment.split.first_folds
    return [metric for metric in row.published if same or not metric.startswith("fold ")]


def folder_name(name: str) -> str:
    """Return what the folder of a row is called: its name in small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _line(
    row: PublishedRow, metric: str, trainings: list[list[dict[str, Any]]], prepared: Prepared, setting: str
) -> dict[str, Any]:
    """Return a published figure beside ours; the deviation is that of seeds, or of folds where there is one seed."""
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
        "setting": setting,
    }


class KeptResults:
    """The lines of a reproduction in a JSON file, by row and metric; each row is written when it has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """Return the whole document; empty where there is no file yet."""
        from models.runs.checkpoint import read_json

        return dict(read_json(self.path)) if self.path.is_file() else {}

    def keep(self, name: str, lines: list[dict[str, Any]]) -> None:
        """Put lines in the place of those of the same row, metric, corpus and setting."""
        from featurestore.typed_values import typed
        from models.errors import CheckpointError
        from models.runs.checkpoint import write_json

        document = self.read()
        system = typed(document.setdefault(name, {}), dict, f"{self.path}: {name}", CheckpointError)
        rows = typed(
            system.get("rows", []), tuple[dict[str, Any], ...], f"{self.path}: rows of {name}", CheckpointError
        )
        new = {_place(line): line for line in lines}
        old = [line for line in rows if _place(line) not in new]
        system["rows"] = [*old, *lines]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, document)


def _place(line: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(line.get(name)) for name in ("row", "metric", "corpus", "protocol", "setting"))
