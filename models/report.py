"""A run as one page: a single HTML file without scripts or references, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoint import write_atomically
from models.plots import confusion_figure, figure_svg, training_figure
from models.report_style import STYLE
from models.runs import Run

CONDITIONS = ("seed", "epochs", "batch_size", "learning_rate", "l2", "padding", "bucket_batches", "batch_norm", "keep")


def write_report(run: Run, out: Path) -> Path:
    """Write the report of a run; return its path.

    Everything that is text is escaped: labels and names come from corpora, not from us.
    """
    write_atomically(out, render_report(run).encode())
    return out


def render_report(run: Run) -> str:
    """Return the report of a run as HTML."""
    title = f"{run.config.model} on {run.config.dataset['name']}"
    parts = (
        f"<h1>{escape(title)}</h1>",
        f"<p class='lead'>{_sentence(run)}</p>",
        _table(("", "loss", "accuracy (WA)", "UAR (UA)", "macro F1"), _side_rows(run)),
        f"<p class='leak'>{_leaks(run.config.leaks)}</p>",
        "<h2>Training</h2>",
        _figure(figure_svg(training_figure(run.history)), "Training; pale: single batches"),
        *(_side(run, side) for side in ("test", "validation") if run.config.rows.get(side)),
        "<h2>How it was made</h2>",
        _table(("", ""), _conditions(run)),
    )
    body = "\n".join(parts)
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>{STYLE}"
    head += f"<title>{escape(title)}</title>"
    return f"<!doctype html>\n<html lang='en'>\n<head>{head}</head>\n<body><main>\n{body}\n</main></body>\n</html>\n"


def _sentence(run: Run) -> str:
    figures = run.summary["test"]
    rows = run.config.rows.get("test", 0)
    if not rows:
        return "There is no test side."
    right = sum(figures["confusion"][i][i] for i in range(len(run.config.classes)))
    return escape(f"{right} of {rows} test clips labelled right: accuracy {_number(figures['accuracy'])}, ") + escape(
        f"unweighted average recall {_number(figures['uar'])}. Split: {run.config.split or 'not named'}."
    )


def _side_rows(run: Run) -> Iterable[tuple[Any, ...]]:
    for side in ("train", "validation", "test"):
        figures = run.summary["result"][side]
        macro_f1 = run.summary.get(side, {}).get("macro_f1")
        yield side, *(_number(figures[name]) for name in ("loss", "accuracy", "uar")), _number(macro_f1)


def _leaks(leaks: Mapping[str, Any]) -> str:
    found: Mapping[str, Any] = leaks.get("found") or {}
    declared = ", ".join(leaks.get("declared") or []) or "none"
    kinds = "; ".join(f"{kind}: {_names(names)}" for kind, names in found.items() if names)
    verdict = f"Leaks between sides: {kinds}." if kinds else "No leak between sides was reported."
    return escape(f"{verdict} Declared by the recipe or the user: {declared}.")


def _names(names: Any) -> str:  # noqa: ANN401 (a list of names or a count)
    if not isinstance(names, (list, tuple)):
        return str(names)
    return ", ".join(map(str, names[:12])) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _side(run: Run, side: str) -> str:
    figures = run.summary[side]
    confusion = np.array(figures["confusion"], dtype=np.int64)
    columns = ("precision", "recall", "f1", "support")
    rows = [(name, *(_number(values[column]) for column in columns)) for name, values in figures["per_class"].items()]
    drawing = figure_svg(confusion_figure(confusion, run.config.classes))
    caption = f"Confusion on the {side} side: counts, shaded by the share of each true class"
    return f"<h2>{side.capitalize()} side</h2>" + _table(("class", *columns), rows) + _figure(drawing, caption)


def _conditions(run: Run) -> list[tuple[str, Any]]:
    result, dataset = run.summary["result"], run.config.dataset
    training = run.config.training.to_dict()
    return [
        ("dataset", f"{dataset['name']}, digest {dataset['digest']}"),
        ("rows", ", ".join(f"{side} {count}" for side, count in run.config.rows.items())),
        ("features", _settings(dataset["features"])),
        ("augmentation", _settings(dataset["augmentation"] or {}) or "none"),
        ("model", f"{run.config.model}, {result['parameters']:,} parameters. {_settings(run.config.settings)}"),
        ("training", ", ".join(f"{name} {training[name]}" for name in CONDITIONS)),
        ("epochs", f"{result['epochs']}, best on validation: {result['best_epoch']}"),
        ("time", f"{result['seconds']:.0f} s, {result['clips_per_second']:.0f} clips/s on {result['device']}"),
        ("versions", _settings(run.config.versions)),
        ("weights", f"sha256 {run.summary['model_sha256']}"),
    ]


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head) if any(head) else ""
    lines = "".join(
        f"<tr><th>{escape(str(row[0]))}</th>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    kind = " class='words'" if not any(head) else ""
    return f"<div class='wide'><table{kind}><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
