"""The parts of a report's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from featurestore.corpus.splits.leakage import REFUSED_KINDS
from featurestore.pages.template import render
from models.figures import metrics
from models.figures.intervals import intervals_in_words

PER_CLASS = ("precision", "recall", "f1", "support")


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole page: one file that loads nothing."""
    return render("run.html", title=title, body="\n".join(parts))


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, of a class of the style sheet or of none."""
    return f"<p class='{kind}'>{escape(text)}</p>" if kind else f"<p>{escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], kind: str = "") -> str:
    """Return a table of figures; one of `words` if its columns have no names. A tuple is a list of lines.

    `kind` is a class of the style sheet in place of those.
    """

    def cell(value: Any) -> str:  # noqa: ANN401 (text, a number or lines)
        """Return a value as HTML."""
        if isinstance(value, tuple):
            lines = (f"<b>{escape(line)}</b>" if isinstance(line, Changed) else escape(line) for line in value)
            return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
        return escape(str(value))

    top = "".join(f"<th>{escape(name)}</th>" for name in head) if any(head) else ""
    lines = "".join(
        f"<tr><th>{escape(str(row[0]))}</th>" + "".join(f"<td>{cell(value)}</td>" for value in row[1:]) + "</tr>"
        for row in rows
    )
    named = kind or ("" if any(head) else "words")
    shown = f" class='{named}'" if named else ""
    return f"<div class='wide'><table{shown}><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def drawing(svgs: str | Sequence[str], caption: str) -> str:
    """Return a figure with its caption; of several drawings, those that have no room beside others go below them."""
    svg = svgs if isinstance(svgs, str) else f"<div class='beside'>{''.join(svgs)}</div>"
    return f"<figure class='plot'>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def number(value: float | None) -> str:
    """Return a value as text, with as many digits as intervals have; a dash where there is none."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def measure_table(figures: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return accuracy, UAR and macro F1 with their intervals, and how those were found.

    Parameters
    ----------
    figures : mapping
        By measure.
    found : mapping
        `interval` by measure and `interval_over`, or nothing.
    """
    rows = []
    for name, shown in metrics.DISPLAY.items():
        bounds = (found.get("interval") or {}).get(name)
        rows.append((shown, number(figures[name]), f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "–"))
    over = found.get("interval_over")
    note = "No intervals: the run was made before predictions were kept. 'featurestore evaluate' finds them."
    if over:
        note = f"95 % intervals {intervals_in_words(over)}." if "covers" in over else "Intervals by an earlier method."
    return table(("", "value", "95 % interval"), rows) + paragraph(note, "note")


def class_table(figures: Mapping[str, Any]) -> str:
    """Return precision, recall, F1 and support of each class, and their averages."""
    averages = {"macro avg": figures["macro_avg"], "weighted avg": figures["weighted_avg"]}
    rows = [
        (name, *(number(values[column]) for column in PER_CLASS))
        for name, values in {**figures["per_class"], **averages}.items()
    ]
    return table(("class", *PER_CLASS), rows)


def leak_verdict(leaks: Mapping[str, Any]) -> str:
    """Return a paragraph on what sides share, and what of that was declared; shared sentences alone are no leak."""
    found = {kind: names for kind, names in (leaks.get("found") or {}).items() if names}
    refused = "; ".join(f"{kind}: {_names(names)}" for kind, names in found.items() if kind in REFUSED_KINDS)
    if refused:
        declared = ", ".join(leaks.get("declared") or []) or "none"
        verdict = f"Leaks between sides: {refused}. Declared by the recipe or the user: {declared}."
    else:
        verdict = "No leak between sides was found." if "found" in leaks else "Leaks between sides were not looked for."
    shared = "; ".join(f"{kind}: {_names(names)}" for kind, names in found.items() if kind not in REFUSED_KINDS)
    sound = not refused and "found" in leaks
    return paragraph(
        f"{verdict} Not counted as a leak, but shared: {shared}." if shared else verdict, "sound" if sound else "leak"
    )


def _names(names: Any) -> str:  # noqa: ANN401 (a list of names or a count)
    if not isinstance(names, (list, tuple)):
        return str(names)
    return ", ".join(map(str, names[:12])) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def settings(values: Mapping[str, Any], within: str = "") -> tuple[str, ...]:
    """Return named values as lines `name = value`, with dots in the names of those inside tables.

    Examples
    --------
    >>> settings({"seed": 0, "snr_db": {"per": "row", "uniform": [-20.0, 40.0]}, "high_hz": None})
    ('seed = 0', 'snr_db.per = row', 'snr_db.uniform = -20.0, 40.0', 'high_hz = none')
    """
    lines: list[str] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += settings(value, f"{within}{name}.")
        else:
            lines.append(f"{within}{name} = {_plain_value(value)}")
    return tuple(lines)


class Changed(str):
    """A line about a setting that differs from the default."""

    __slots__ = ()


def beside_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Return named values as `settings` does; those that differ say the default too, and are `Changed`.

    Examples
    --------
    >>> beside_defaults({"epochs": 3, "l2": 0.05}, {"epochs": 3, "l2": 5e-4})
    ('epochs = 3', 'l2 = 0.05 (default 0.0005)')
    """
    lines: list[str] = []
    for name, value in values.items():
        usual = _plain_value(defaults[name]) if name in defaults else "none"
        same = name in defaults and (value == defaults[name] or _plain_value(value) == usual)
        lines += (line if same else Changed(f"{line} (default {usual})") for line in settings({name: value}))
    return tuple(lines)


def _plain_value(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """Write a value without the signs of a programming language."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        return "; ".join(settings(value)) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain_value, value)) or "none"
    return str(value) or "none"
