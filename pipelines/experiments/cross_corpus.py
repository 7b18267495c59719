"""Cross-corpus results: trained on each of several datasets, tested on each, under the classes that they share."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from featurestore.corpus.types import Utterance
    from featurestore.errors import SplitError
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from pipelines.experiments.matrix_cells import Baselines, Networks
    from pipelines.experiments.prepare import Prepared

RECORD = "matrix.json"
COLUMNS = ("train", "test", "split", "items", "uar", "uar_low", "uar_high", "accuracy", "macro_f1", "chance", "none")


def matrix(
    datasets: Sequence[str],
    *,
    model: str | None = None,
    recipe: str | None = None,
    scheme: str = "emotions",
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
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Train on each dataset and test on each, under the classes that all of them have.

    Off the diagonal, all recordings of one dataset train and all of another test. On it, a dataset's own split decides.
    Nothing is chosen on a validation side off the diagonal, so settings that need one are refused.

    Parameters
    ----------
    datasets : sequence of str
        Two or more datasets of the store with the same features.
    model : str, optional
        A baseline (`svm-linear`, `svm-rbf`, `logistic`) on functionals of the clean rows, or a network; the recipe's,
        else `svm-linear`.
    recipe : str, optional
        Name or file of the recipe of a network.
    scheme : str
        Label scheme for any corpus, which gives equal emotions equal names; of its classes those count that all
        datasets have.
    split : str
        Of the diagonal: one split, or one with folds.
    normalisation : str, optional
        As of `baseline` or of a training; `speaker` sees the test speakers' features (transductive).
    regularisation : float, optional
        Of a baseline: `C`, chosen by inner folds over training speakers if it is not given.
    epochs, batch_size, seed, settings
        Of a network: what differs from the recipe, as `train` takes them.
    allow_leak : sequence of str
        Kinds of leak to accept, also between datasets.
    folder : str or Path, optional
        Where predictions, tables, figure and trained networks go; `runs/NAME-NUMBER` if there is none. A folder of the
        same matrix is continued.

    Returns
    -------
    dict
        `run`, `datasets`, `classes`, `scheme`, `split`, `model`, `normalisation`, `settings`, `leaks` (what each shares
        with any other, where that is allowed) and `cells`, a list with `train`, `test`, `split`, and the figures of the
        test items with `chance`, or `none`, the reason why a cell has no figures.

    Raises
    ------
    FeatureStoreError
        If datasets have other features, fewer than two common classes or, beyond `allow_leak`, shared audio, recordings
        or speakers; or if no cell can be computed.
    """
    from featurestore.errors import SpecError
    from featurestore.store import open_store
    from pipelines.experiments.baselines import prepared_baseline
    from pipelines.experiments.classifiers import (
        chosen_baseline,
        describe_baseline,
        describe_network,
        with_normalisation,
    )
    from pipelines.experiments.matrix_cells import Baselines, Networks
    from pipelines.experiments.prepare import prepare_rows
    from pipelines.experiments.settings import chosen_experiment, require_labels
    from pipelines.experiments.training import free_folder

    if len(datasets) < 2 or len(set(datasets)) < len(datasets):
        raise SpecError("a matrix needs two datasets or more, each named once.")
    store = open_store(store)
    views = common_views([store.view(name) for name in datasets], scheme)
    of_networks = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "settings": tuple(settings)}
    spec = chosen_baseline(model, recipe, normalisation, regularisation, of_networks)
    if spec is not None:
        views, described = [view.select(view.copies == 0) for view in views], describe_baseline(spec, views[0])
    else:
        changes = with_normalisation(of_networks, normalisation) | {"model": model, "split": split}
        changes |= {"allow_leak": tuple(allow_leak)}
        experiments = {view.name: chosen_experiment(store, view.name, recipe, **changes) for view in views}
        require_labels(experiments[views[0].name], "matrix")
        described = describe_network(experiments[views[0].name])
    leaks = {train.name: _leaks(train, views, allow_leak) for train in views}

    def on_own_sides(view: DatasetView) -> Prepared:
        """Return the rows of a dataset on all sides of its own split."""
        if spec is not None:
            return prepared_baseline(view, spec, split, allow_leak)
        mixed_in = view.augmentation.inputs if view.augmentation else ()
        return prepare_rows(experiments[view.name], view, every_fold=True, mixed_in=mixed_in)

    own_splits = _own_splits(views, on_own_sides)
    where = Path(folder or free_folder(f"matrix-{described['model']}"))
    record = {
        "datasets": [view.name for view in views],
        "classes": list(views[0].classes),
        "scheme": scheme,
        "split": split,
        **described,
        "leaks": leaks,
    }
    begin_folder(where, RECORD, {**record, "rows": [f"{view.digest}@{view.table_id}" for view in views]})
    if spec is not None:
        cells: Baselines | Networks = Baselines(views, spec, own_splits, listener.training(where.name))
    else:
        cells = Networks(views, experiments, own_splits, leaks, where, device, listener)
    result = {"run": str(where), **record, "cells": list(_tested(cells, where))}
    _write(where, result)
    return result


def common_views(views: Sequence[DatasetView], scheme: str) -> list[DatasetView]:
    """Return the rows of datasets under the classes of a scheme that all of them have.

    Raises
    ------
    SplitError
        If they have fewer than two classes in common.
    TrainingError
        If their features differ.
    """
    from featurestore.corpus.labels.schemes import find_scheme
    from featurestore.corpus.manifest import Scheme
    from featurestore.errors import SplitError
    from models.errors import TrainingError

    for view in views[1:]:
        if view.features != views[0].features:
            raise TrainingError(
                f"datasets {views[0].name} and {view.name} have other features ('featurestore why {views[0].name} "
                f"--against {view.name}' says which): build them alike."
            )
    renamed = [view.under_scheme(find_scheme(scheme)) for view in views]
    common = sorted(set.intersection(*(set(view.classes) for view in renamed)))
    if len(common) < 2:
        known = "; ".join(f"{view.name}: {', '.join(view.classes)[:200]}" for view in renamed)
        raise SplitError(f"the datasets have fewer than two classes in common under scheme {scheme!r} ({known}).")
    return [view.under_scheme(Scheme(scheme, keep=tuple(common))) for view in renamed]


def cross_leaks(train: DatasetView, test: DatasetView, allowed: Sequence[str] = ()) -> dict[str, Any]:
    """Return what two datasets share, as a run records it; `LeakError` if that is not allowed.

    Audio is compared by clean rows, so the same sound counts in any container. Speakers, paths and sentences are those
    of a corpus: only datasets of one corpus share them.
    """
    from featurestore.corpus.splits.leakage import check_leaks
    from featurestore.corpus.splits.types import Split

    sides = [list(_with_corpus(view)) for view in (train, test)]
    paths = [[one.path for one in side] for side in sides]
    mixed_in = train.augmentation.inputs if train.augmentation else ()
    found = check_leaks(
        Split(f"{train.name} on {test.name}", paths[0], (), paths[1]),
        [one for side in sides for one in side],
        allowed,
        sounds={**train.sounds, **test.sounds},
        mixed_in=mixed_in,
    )
    named = {kind: list(found.named(kind)) for kind, names in found.by_kind.items() if names}
    return {"declared": sorted(allowed), "found": named}


def _with_corpus(view: DatasetView) -> Iterator[Utterance]:
    """Yield a dataset's utterances, named so that those of other corpora differ; merged corpora name theirs already."""
    from featurestore.corpus.corpus_spec import prefixed
    from featurestore.datasets import corpora_of

    corpora = corpora_of(view.table.corpus)
    for one in view.table.utterances:
        yield one if len(corpora) > 1 else prefixed(corpora[0], one)


def _own_splits(
    views: Sequence[DatasetView], prepared: Callable[[DatasetView], Prepared]
) -> dict[str, Prepared | SplitError]:
    """Return the sides of each dataset's own split, or why it has none; `LeakError` if they leak."""
    from featurestore.errors import LeakError, SplitError

    found: dict[str, Prepared | SplitError] = {}
    for view in views:
        try:
            found[view.name] = prepared(view)
        except LeakError:
            raise
        except SplitError as error:
            found[view.name] = error
    return found


def _leaks(train: DatasetView, views: Sequence[DatasetView], allowed: Sequence[str]) -> dict[str, Any]:
    """Return what a training dataset shares with the others; `LeakError` if that is not allowed."""
    found: dict[str, list[str]] = {}
    for test in views:
        if test is not train:
            for kind, names in cross_leaks(train, test, allowed)["found"].items():
                found[kind] = sorted({*found.get(kind, ()), *names})
    return {"declared": sorted(allowed), "found": found}


def _tested(cells: Baselines | Networks, where: Path) -> Iterator[dict[str, Any]]:
    """Yield the figures of each cell, row by row; `TrainingError` if there are none at all."""
    from featurestore.errors import SplitError
    from models.errors import TrainingError
    from models.evaluation import Evaluation
    from models.figures.metrics import chance
    from models.runs.records import write_predictions

    reasons = []
    for train in cells.views:
        for test in cells.views:
            own = train is test
            names = {"train": train.name, "test": test.name, "split": "own" if own else "all"}
            try:
                found = cells.own(test) if own else cells.across(train, test)
            except (SplitError, TrainingError) as error:  # few speakers, say: the other cells are worth having
                reasons.append(str(error))
                yield {**names, "none": str(error)}
                continue
            write_predictions(where / f"{train.name}-on-{test.name}.csv", found)
            yield {**names, **Evaluation(None, found).summary(), "chance": chance(found.confusion, found.classes)}
    if len(reasons) == len(cells.views) ** 2:
        raise TrainingError(f"no cell of the matrix can be computed: {reasons[0]}")


def begin_folder(where: Path, record: str, settings: Mapping[str, Any]) -> None:
    """Make a folder whose file `record` says what it is for, or take one of the same settings to continue it.

    `RunError` if it holds anything else.
    """
    from models.errors import RunError
    from models.runs.checkpoint import read_json, write_json

    file = where / record
    if file.is_file():
        if read_json(file).get("begun") != settings:
            raise RunError(f"run folder {where} was begun with other data or settings: give another '--run'.")
    elif where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise RunError(f"run folder {where} exists and has no {record}: give another '--run'.")
    else:
        where.mkdir(parents=True, exist_ok=True)
        write_json(file, {"begun": settings})


def _write(where: Path, result: Mapping[str, Any]) -> None:
    """Write the result as JSON, as a table with a line for each cell, and as a figure."""
    from featurestore.files import write_atomically
    from models.reports.plots import matrix_figure, write_figure
    from models.runs.checkpoint import read_json, write_json

    lines = io.StringIO()
    writer = csv.DictWriter(lines, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for cell in result["cells"]:
        low, high = (cell.get("interval") or {}).get("uar") or ("", "")
        guessed = cell["chance"]["uar"] if "chance" in cell else ""
        writer.writerow({**cell, "uar_low": low, "uar_high": high, "chance": guessed})
    write_atomically(where / "matrix.csv", lines.getvalue().encode("utf-8", "surrogateescape"))
    names = result["datasets"]
    values = [[one.get("uar") for one in result["cells"] if one["train"] == name] for name in names]
    write_figure(matrix_figure(values, names, f"UAR (UA), {result['model']}"), where / "matrix")
    write_json(where / RECORD, {**read_json(where / RECORD), **result})
