"""The folds of a cross-validation, or the runs of several seeds, as one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import RunError
from models.figures import metrics
from models.figures.intervals import intervals
from models.figures.metrics import spread
from models.reports.parts import (
    class_table,
    confusion_drawing,
    leak_verdict,
    measure_table,
    number,
    page,
    paragraph,
    shared_conditions,
    table,
)
from models.runs.folders import RunFolder, pooled_summary
from models.runs.records import read_result
from models.runs.run import RunConfig, read_config

WORDS = {"fold": "folds", "seed": "seeds"}


def render_folder(folder: RunFolder) -> str:
    """Return the report of a folder of folds or seeds as HTML; runs that have not ended are named and left out.

    Raises
    ------
    RunError
        If none has ended.
    """
    runs = folder.runs()
    ended = [run for run in runs if (run / "summary.json").is_file()]
    if not ended:
        raise RunError(f"none of the {len(runs)} runs in {folder.path} is finished: resume them first.")
    config, word = read_config(ended[0]), WORDS[folder.kind]
    results = [read_result(run) for run in ended]
    together = spread([result["test"] for result in results])
    parts = (
        paragraph(_sentence(together, len(ended), word), "lead"),
        *_missing(folder.path, runs, ended),
        table(
            ("test side", *(metrics.DISPLAY[name] for name in metrics.TRACKED)),
            _rows(folder.path, ended, results, together),
        ),
        leak_verdict(_all_leaks([read_config(run) for run in ended])),
        *_items(folder, ended),
        "<h2>How they were made</h2>",
        paragraph(f"Settings of the first of the {word}.", "note"),
        table(("", ""), _conditions(config)),
    )
    return page(f"{config.model} on {config.dataset['name']}, {len(ended)} {word}", parts)


def _sentence(together: Mapping[str, Any], count: int, word: str) -> str:
    figures = ", ".join(
        f"{metrics.DISPLAY[name]} {mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")
        for (name, mean), deviation in zip(together["mean"].items(), together["deviation"].values(), strict=True)
    )
    return f"Mean and deviation over {count} {word}: {figures or 'no test items'}."


def _missing(folder: Path, runs: Sequence[Path], ended: Sequence[Path]) -> Iterable[str]:
    missing = ", ".join(str(run.relative_to(folder)) for run in runs if run not in ended)
    if missing:
        yield paragraph(f"Not finished, and not counted here: {missing}.", "leak")


def _rows(
    folder: Path, ended: Sequence[Path], results: Sequence[Mapping[str, Any]], together: Mapping[str, Any]
) -> Iterable[tuple[Any, ...]]:
    for run, result in zip(ended, results, strict=True):
        yield str(run.relative_to(folder)), *(number(result["test"][name]) for name in metrics.TRACKED)
    yield "mean", *(number(together["mean"].get(name)) for name in metrics.TRACKED)
    yield "deviation", *(number(together["deviation"].get(name)) for name in metrics.TRACKED)


def _all_leaks(configs: Sequence[RunConfig]) -> dict[str, Any]:
    """Put the leaks of all runs together."""
    found: dict[str, dict[str, None]] = {}
    for config in configs:
        for kind, names in (config.leaks.get("found") or {}).items():
            listed = names if isinstance(names, (list, tuple)) else [names]
            found.setdefault(kind, {}).update(dict.fromkeys(map(str, listed)))
    declared = sorted({kind for config in configs for kind in config.leaks.get("declared") or []})
    looked = all("found" in config.leaks for config in configs)
    return {"declared": declared, **({"found": {kind: list(names) for kind, names in found.items()}} if looked else {})}


def _items(folder: RunFolder, ended: Sequence[Path]) -> Iterable[str]:
    """Describe the test items: of all folds put together, or of all seeds, which have the same."""
    summary = pooled_summary(ended)
    found: Mapping[str, Any] = summary
    if folder.kind == "fold":
        heading, note = "All test items together", "The folds' test items, pooled."
    else:
        heading, note = (
            "Test side, all seeds",
            "Counts are summed over seeds; intervals are those of the mean over seeds.",
        )
        found = _mean_intervals(folder)
    if summary["items"]:
        yield f"<h2>{heading}</h2>" + paragraph(note)
        yield measure_table(summary, found)
        yield class_table(summary)
        yield confusion_drawing(summary, "the test side")


def _mean_intervals(folder: RunFolder) -> Mapping[str, Any]:
    try:
        runs = folder.predictions("test")
        return intervals(runs) if len({tuple(run.items) for run in runs}) == 1 else {}
    except RunError:  # some runs have not ended, or are of before predictions were kept
        return {}


def _conditions(config: RunConfig) -> list[tuple[str, Any]]:
    rows = [pair for pair in shared_conditions(config) if pair[0] != "rows"]
    return [("model", config.model), ("split", config.split), *rows]
