"""The history and the result of a run, read with care: its folder may be damaged, or edited by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurestore.checksummed_json import parsed
from featurestore.typed_values import typed
from models.errors import CheckpointError
from models.figures.metrics import TRACKED
from models.runs.checkpoint import read_json, regular


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read the epochs of `metrics.jsonl`, none if there is no such file; `CheckpointError` if a line is not one."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        return [check_epoch(parsed(line)) for line in regular(path).read_bytes().splitlines()]
    except (OSError, ValueError, RecursionError, CheckpointError) as error:
        raise CheckpointError(
            f"{path}: a line is not that of an epoch ({error!s:.200}). Restore or train again."
        ) from error


def check_epoch(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an epoch if it has the figures of both sides; `CheckpointError` otherwise."""
    typed(record.get("epoch"), int, "epoch", CheckpointError)
    for side in ("train", "validation"):
        figures = typed(record.get(side), dict, side, CheckpointError)
        for name in ("loss", *TRACKED):
            typed(figures.get(name), float | None, f"{name} of {side}", CheckpointError)
    return record


def read_result(folder: Path) -> dict[str, Any]:
    """Return the result of a finished run, which has the figures of its test side.

    Raises
    ------
    CheckpointError
        If `summary.json` cannot be read or has no result.
    """
    path = folder / "summary.json"
    result: dict[str, Any] = _part(read_json(path), "result", path)
    test = _part(result, "test", path)
    for name in TRACKED:
        if test.get(name, "") is not None:  # there was no test side
            typed(test.get(name), float, f"{path}: {name} of the test side", CheckpointError)
    return result


def read_side(folder: Path, side: str) -> dict[str, Any]:
    """Return the figures of a side of a finished run: `classes`, `confusion` and what follows from them.

    Raises
    ------
    CheckpointError
        If `summary.json` cannot be read or has no table of confusions of the side.
    """
    path = folder / "summary.json"
    figures = _part(read_json(path), side, path)
    classes = typed(figures.get("classes"), tuple[str, ...], f"{path}: classes", CheckpointError)
    confusion = typed(figures.get("confusion"), tuple[tuple[int, ...], ...], f"{path}: confusion", CheckpointError)
    if {len(classes)} != {len(confusion), *map(len, confusion)}:
        raise CheckpointError(f"{path}: the confusions of the {side} side do not fit its classes. Train again.")
    return figures


def _part(document: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = typed(document.get(name), dict, f"{path}: {name}", CheckpointError)
    return found
