"""The page of a dataset or a run, as `featurestore report` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from featurestore.store import Store
    from models.reports.items import Sounds


def report(
    what: str | Path,
    *,
    out: str | Path | None = None,
    baseline: str | Path | None = None,
    examples: int = 8,
    audio: bool | None = None,
    quality: bool = False,
    folds: bool = False,
    figures: str | Path | None = None,
    jobs: int | None = None,
    store: Store | None = None,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Write the page of a dataset, of a run, or of a folder of folds or seeds: one HTML file that needs no other.

    Parameters
    ----------
    what : str or path
        A run folder, else the name of a dataset in the store.
    out : str or path, optional
        The file; by default `report.html` in the run folder, or `DATASET.html` here.
    baseline : str or path, optional
        Run folder of a baseline on the same test items, with which a run's page compares it.
    examples : int
        Recordings that can be looked at and listened to: of a dataset with their copies, of a run its worst mistakes;
        so can one of each cell of a run's confusion matrix.
    audio : bool, optional
        Whether their sound is part of the page; by default where the licence lets recordings be passed on.
    quality : bool
        Decode every recording of the dataset and list what deserves a look.
    folds : bool
        Also write the page of each fold or seed of a run's folder, which the page of all links to.
    figures : str or path, optional
        A folder into which every figure of a run is written as well: PNG, SVG, PDF, and its numbers as CSV.
    jobs : int, optional
        Processes that decode for `quality`.
    store : Store, optional
        Of the dataset; the default store if there is none.
    listener : Listener
        Is told the size before the page is written.

    Returns
    -------
    dict
        `path`; for a dataset `bytes`, and with `figures` their paths.

    Raises
    ------
    RunError, CheckpointError
        If the run cannot be read.
    FeatureStoreError
        If there is neither such a run nor such a dataset.
    """
    from featurestore.errors import SpecError
    from featurestore.files import write_atomically
    from featurestore.store import open_store
    from pipelines.dataset_page import dataset_page

    folder, opened = Path(what), store or open_store()
    if _holds_run(folder) or (folder.exists() and str(what) not in opened.names()):
        return _report_run(folder, out, baseline, folds, figures, _sounds(folder, opened, examples, audio))
    for name, given in (("baseline", baseline), ("figures", figures), ("folds", folds)):
        if given:
            raise SpecError(f"{name!r} is for the page of a run, and {str(what)!r} is a dataset: give its run folder.")
    text = dataset_page(opened, str(what), shown=examples, audio=audio, quality=quality, jobs=jobs).encode()
    path = Path(out) if out else Path(f"{what}.html")
    listener.notice(f"{path}: {len(text) / 1e6:.1f} MB, {examples} examples")  # before a disk is filled
    write_atomically(path, text)
    return {"path": str(path), "bytes": len(text)}


def _holds_run(folder: Path) -> bool:
    """Tell a run folder, or one of folds or seeds, from the name of a dataset; without torch, which takes seconds."""
    parts = (folder, *folder.glob("fold-*"), *folder.glob("seed-*"))
    return len(folder.parts) > 1 or any((one / "config.json").is_file() for one in parts)


def _report_run(
    folder: Path,
    out: str | Path | None,
    baseline: str | Path | None,
    folds: bool,
    figures: str | Path | None,
    sounds: Sounds | None,
) -> dict[str, Any]:
    from models.reports.figure_files import write_figures
    from models.reports.report import write_report

    against = Path(baseline) if baseline else None
    path = write_report(folder, Path(out) if out else None, baseline=against, sounds=sounds, folds=folds)
    if figures is None:
        return {"path": str(path)}
    return {"path": str(path), "figures": [str(one) for one in write_figures(folder, Path(figures))]}


def _sounds(folder: Path, store: Store, examples: int, audio: bool | None) -> Sounds | None:
    """Return the dataset of a run, if the store has it and examples are wanted."""
    from featurestore.errors import FeatureStoreError
    from featurestore.moving.licences import forbids_derivatives, may_pass_on
    from models.reports.items import Sounds
    from models.runs.folders import RunFolder
    from models.runs.run import read_config

    try:
        dataset = read_config(RunFolder.of(folder).runs()[0]).dataset
        table = f"@{dataset['table']}" if dataset.get("table") else ""
        view = store.view(f"{dataset['digest']}{table}")
    except FeatureStoreError:  # the page says that the dataset is not at hand; what is wrong with a run is found below
        return None
    licence = view.table.licence
    heard = may_pass_on(licence) and not forbids_derivatives(licence) if audio is None else audio
    return Sounds(view, examples, heard) if examples else None
