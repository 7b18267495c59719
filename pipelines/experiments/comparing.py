"""Runs on the same items: compared, or put together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.figures.estimates import Estimates
    from models.figures.predictions import Predictions


def compare(
    first: str | Path,
    second: str | Path,
    *others: str | Path,
    side: str = "test",
    unit: str = "auto",
    permutations: int = 10_000,
    seed: int = 0,
    page: str | Path | None = None,
) -> dict[str, Any]:
    """Test whether runs differ, by exchanging their predictions for the same items.

    Parameters
    ----------
    first, second, *others : str or Path
        A run folder, a folder with the folds of a cross-validation or with several seeds, or a CSV file that
        `evaluate` wrote.
    side : str
        `validation` or `test`; a CSV file has only one.
    unit, permutations, seed
        As `models.figures.comparison.compare` takes them.
    page : str or Path, optional
        Also write the comparison as an HTML file, with the differences drawn and the settings that differ.

    Returns
    -------
    dict
        `runs`, `side` and, of two runs, what `models.figures.comparison.compare` returns: differences with intervals
        and p-values; of dimensions what `compare_estimates` in `models.figures.estimate_comparison` returns.
        Of more than two, `pairs`: the same of each pair, with corrected p-values.
    """
    from featurestore.files import write_atomically
    from models.figures.comparison import compare_pairs
    from models.figures.estimate_comparison import compare_estimated_pairs

    names = [str(name) for name in (first, second, *others)]
    how: dict[str, Any] = {"unit": unit, "permutations": permutations, "seed": seed}
    if _all_estimate(names, side):
        _refuse_page(page)
        pairs = compare_estimated_pairs([_estimates(name, side) for name in names], names, **how)
        return _compared(names, side, pairs)
    runs = [_predictions(name, side) for name in names]
    pairs = compare_pairs(runs, names, **how)
    if page is not None:
        from models.reports.comparing import render_comparison

        write_atomically(Path(page), render_comparison(names, side, runs, pairs).encode())
    return _compared(names, side, pairs)


def _compared(names: list[str], side: str, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was found for each of several pairs, or for the only one."""
    if len(names) > 2:
        return {"runs": names, "side": side, "pairs": pairs}
    for left in ("first_run", "second_run"):
        del pairs[0][left]
    for measure in (*pairs[0].values(), *pairs[0].get("dimensions", {}).values()):
        if isinstance(measure, dict):
            measure.pop("p_holm", None)  # of one pair, the p-value itself
    return {"runs": names, "side": side, **pairs[0]}


def ensemble(
    members: Iterable[str | Path],
    *,
    side: str = "test",
    out: str | Path | None = None,
    page: str | Path | None = None,
) -> dict[str, Any]:
    """Let several runs answer for the same items together, by the mean of their class probabilities or estimates.

    Parameters
    ----------
    members : iterable of str or Path
        What `compare` takes; every seed of a folder is a member. Folds of a cross-validation are pooled first.
    side : str
        `validation` or `test`; a CSV file has only one.
    out : str or Path, optional
        Also write the predictions as a CSV file, which `compare` takes.
    page : str or Path, optional
        Also write an HTML file about the ensemble.

    Returns
    -------
    dict
        `members` (their names and metrics), `side`, and what `evaluate` returns about a side.

    Raises
    ------
    RunError
        If there are fewer than two members, or they did not label the same items.
    """
    from featurestore.files import write_atomically
    from models.evaluation import Evaluation
    from models.figures import metrics
    from models.figures.comparison import ensemble
    from models.runs.records import write_predictions

    names = [str(name) for name in members]
    if _all_estimate(names, side):
        _refuse_page(page)
        return _ensemble_of_estimates(names, side, out)
    found = [(name, one) for name in names for one in _predictions(name, side)]
    together = ensemble([one for _, one in found], [name for name, _ in found])
    if out is not None:
        write_predictions(Path(out), together)
    alone = [{"run": name, **metrics.tracked(one.confusion, None)} for name, one in found]
    figures = Evaluation(None, together).summary()
    if page is not None:
        from models.reports.comparing import render_ensemble

        write_atomically(Path(page), render_ensemble(alone, side, figures, together).encode())
    return {"members": alone, "side": side, **figures}


def _ensemble_of_estimates(members: list[str], side: str, out: str | Path | None) -> dict[str, Any]:
    """Return what `ensemble` does of runs that estimate dimensions."""
    from models.figures import concordance
    from models.figures.estimates import ensemble
    from models.runs.records import write_predictions

    found = [(name, one) for name in members for one in _estimates(name, side)]
    together = ensemble([one for _, one in found], [name for name, _ in found])
    if out is not None:
        write_predictions(Path(out), together)
    alone = [{"run": name, "ccc": concordance.figures(one)["ccc"]} for name, one in found]
    return {"members": alone, "side": side, **concordance.summary(together)}


def _all_estimate(names: list[str], side: str) -> bool:
    """Tell whether all runs or CSV files are about dimensions; `RunError` if only some are."""
    from models.errors import RunError
    from models.runs.folders import RunFolder
    from models.runs.records import holds_estimates, predictions_name

    of_dimensions = []
    for name in names:
        file = Path(name) if Path(name).is_file() else RunFolder.of(name).runs()[0] / predictions_name(side)
        of_dimensions.append(file.is_file() and holds_estimates(file))
    if any(of_dimensions) and not all(of_dimensions):
        one, other = names[of_dimensions.index(True)], names[of_dimensions.index(False)]
        raise RunError(f"{one} estimates dimensions and {other} tells classes apart: they have no measure in common.")
    return any(of_dimensions)


def _refuse_page(page: str | Path | None) -> None:
    """Refuse a page about runs that estimate dimensions."""
    from featurestore.errors import SpecError

    if page is not None:
        raise SpecError("there is no such page for runs that estimate dimensions: leave out 'page'.")


def _estimates(name: str, side: str) -> list[Estimates]:
    """Return the estimates of a run folder, one for each seed, or those of a CSV file."""
    from models.runs.folders import RunFolder
    from models.runs.records import read_estimates

    return [read_estimates(Path(name))] if Path(name).is_file() else RunFolder.of(name).estimates(side)


def _predictions(name: str, side: str) -> list[Predictions]:
    """Return the predictions of a run folder, one for each seed, or those of a CSV file."""
    from models.runs.folders import RunFolder
    from models.runs.records import read_predictions

    return [read_predictions(Path(name))] if Path(name).is_file() else RunFolder.of(name).predictions(side)
