"""The page of results, from what was measured.

    python benchmarks/results_page.py [RESULTS.json ...]

`docs/results.md` is `benchmarks/results_notes.md` with tables in the place of its marks, `{{ table RECIPE }}`,
`{{ seeds RECIPE }}` and `{{ parts RECIPE }}`, written from `docs/results.json`, which `featurestore reproduce NAME
--full --keep docs/results.json` adds to; files that are given, such as `results.json` of its run folders, are added
first. The notes hold no figure that the tables have. `results_pictures.py` draws the pictures.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from results_pictures import drawn_confusions, drawn_rows, write_pictures

from featurestore.errors import SpecError
from models.runs.checkpoint import write_atomically
from pipelines.experiments.kept_results import committed_results, keep_results, kept_results
from pipelines.experiments.published import chosen_rows
from pipelines.experiments.recipe import Recipe, read_recipe
from pipelines.experiments.row_figures import Metric

HERE = Path(__file__).resolve().parent
NOTES, RESULTS, PAGE = HERE / "results_notes.md", HERE.parent / "docs/results.json", HERE.parent / "docs/results.md"
MARK = re.compile(r"^\{\{ (table|seeds|parts) (\w+) \}\}$", re.MULTILINE)
COLUMNS = ("row", "metric", "published", "ours", "95 %", "chance", "baseline", "p", "runs")


def results_page(notes: str, results: Path) -> str:
    """Return the page; `SpecError` if a mark names a recipe without results."""
    written = {"table": table, "seeds": seeds, "parts": parts}
    return MARK.sub(lambda mark: written[mark[1]](mark[2], results), notes)


def table(recipe: str, results: Path) -> str:
    """Return what was measured beside what is published, how it came about, what was not measured, and departures."""
    known, lines = read_recipe(recipe), committed_results(recipe, file=results)
    measured = [line for line in lines if line["runs"]]
    written = []
    for where, rows in _by_place(measured).items():
        written += [f"Measured on {where}:", grid(COLUMNS, map(_cells, rows))]
    notes = {line["row"]: line["note"] for line in measured if line["note"]}
    written += ["\n".join(f"- {row}: {note}." for row, note in notes.items())] if notes else []
    if drawn_rows(lines):
        written.append(_picture(f"{recipe}", "Our figures, intervals, published figures, baselines and chance"))
    if drawn_confusions(lines):
        written.append(_picture(f"{recipe}-confusions", "What each class was labelled as, in percent"))
    written += [
        *(_run_by(one, known) for one in _trainings(measured, known)),
        *_not_measured(line for line in lines if line["why"]),
    ]
    if known.departures:
        ours = "To be known of it:\n"
        head = (
            ours
            if known.document["source"] == "this project"
            else "Where this departs from the source, or the source leaves it open:\n"
        )
        written.append("\n".join([head, *(f"- {text}" for text in known.departures)]))
    return "\n\n".join(written)


def parts(recipe: str, results: Path) -> str:
    """Return what each part of a recipe gives, as `best_parts.py` measured it."""
    found = kept_results(results)[recipe]["parts"]
    cells = [
        (
            *(one["part"], f"{one['uar']:.4f}", f"{one['difference']:+.4f}"),
            *("{:+.3f} to {:+.3f}".format(*one["interval"]), f"{one['p_holm']:.4f}"),
        )
        for one in found
    ]
    table = grid(("changed", "UAR", "difference", "95 %", "p"), cells)
    return f"{table}\n\n{_picture(f'{recipe}-parts', 'The difference in UAR that each part makes')}"


def _picture(name: str, said: str) -> str:
    return f"![{said}](pictures/results/{name}.svg)"


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows))


def _by_place(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return lines by what they were measured on, in words."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        protocol = str(line["protocol"]).removeprefix(f"{line['corpus']}/")
        reduced = ", REDUCED" if line["setting"] == "reduced" else ""
        found.setdefault(f"`{line['corpus']}`, split `{protocol}`{reduced}", []).append(line)
    return found


def _cells(line: Mapping[str, Any]) -> list[str]:
    interval, baseline = line["interval"], line["baseline"] or {}
    return [
        *(line["row"], line["metric"].replace("uar", "UAR")),
        _figure(line["published"], line["published_deviation"]),
        _figure(line["ours"], line["deviation"]),
        f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "",
        *(_figure(line["chance"], digits=3), _figure(baseline.get("figure"))),
        *(_figure(baseline.get("p_holm")), str(line["runs"] or "")),
    ]


def _figure(value: float | None, deviation: float | None = None, digits: int = 4) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}" + (f" +- {deviation:.4f}" if deviation is not None else "")


def _not_measured(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return, for each reason why published results have none of ours beside them, the reason and a table of them."""
    reasons: dict[str, dict[str, dict[str, str]]] = {}
    for line in lines:
        metric = Metric.read(line["metric"])
        row = f"{line['row']}, fold {metric.fold}" if metric.fold else line["row"]
        column = f"{metric.side} {metric.measure.replace('uar', 'UAR')}"
        rows = reasons.setdefault(f"`{line['corpus']}`: {line['why'].rstrip('.')}", {})
        rows.setdefault(row, {})[column] = _figure(line["published"], line["published_deviation"])
    parts = []
    for reason, rows in reasons.items():
        columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
        table = grid(
            ["published", *columns], ([row, *(cells.get(one, "") for one in columns)] for row, cells in rows.items())
        )
        parts += [f"Published, and not measured here on {reason}.", table]
    return parts


def _trainings(lines: Iterable[Mapping[str, Any]], known: Recipe) -> list[list[Mapping[str, Any]]]:
    """Return the lines of each command: of one corpus, protocol, setting, number of seeds and dataset; a line a row."""
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    names = {row.name for row in known.rows()}
    for line in lines:
        if line["seconds"] is not None and line["row"] in names:  # others were measured before cost was kept
            place = (
                *(line[name] for name in ("corpus", "protocol", "setting", "seeds", "dataset_digest")),
                line["device"],
            )
            found.setdefault(place, {}).setdefault(line["row"], line)
    return [list(rows.values()) for rows in found.values()]


def _run_by(lines: Sequence[Mapping[str, Any]], known: Recipe) -> str:
    """Return the command that measured these rows, on what, and what it cost."""
    line, corpus = lines[0], str(lines[0]["corpus"]).partition("/")[0]
    rows = {row.name: row for row, _, _ in chosen_rows(known, corpus)}
    words = ["featurestore", "reproduce", known.name, "--corpus", corpus]
    if line["protocol"] != known.experiment(corpus, rows.get(line["row"])).split.name:
        words += ["--split", line["protocol"], *(f"--allow-leak {kind}" for kind in line.get("allow_leak", ()))]
    words += [f'--row "{one["row"]}"' for one in lines] if {one["row"] for one in lines} != rows.keys() else []
    words += ["--full"] if line["setting"] == "full" else []
    seconds = sum(one["seconds"] for one in lines)
    task = f" ({line['task']})" if line["task"] else ""
    over = f" `+-` of ours is over {line['deviation_over']}." if line["deviation_over"] else ""
    return (
        f"`{' '.join(words)} --seeds {line['seeds']}`: {line['classes']} classes{task}; {line['device']}, "
        f"{seconds / 60:,.0f} minutes in training, on a machine that others used; dataset digest "
        f"`{line['dataset_digest'][:12]}`.{over}"
    )


def seeds(recipe: str, results: Path) -> str:
    """Return a table of the single trainings that are kept in full, and their mean and deviation."""
    details = kept_results(results)[recipe]["details"]
    columns = [(side, measure) for side in ("validation", "test") for measure in ("accuracy", "uar")]
    rows = [[f"seed {run['seed']}", *(_figure(run[side][name]) for side, name in columns)] for run in details["runs"]]
    spread = [details["statistics"][f"{side}_{name}"] for side, name in columns]
    rows.append(["mean and deviation", *(_figure(one["mean"], one["deviation"]) for one in spread)])
    heads = [f"{side} {'UAR' if name == 'uar' else name}" for side, name in columns]
    cost = (run["seconds"] for run in details["runs"])
    told = f"{details['runs'][0]['device']}; {min(cost := list(cost)):,.0f} to {max(cost):,.0f} s a run."
    return f"{grid(['run', *heads], rows)}\n\n`{details['command']}`. {told}"


def main() -> None:
    """Write the page and its pictures."""
    if not NOTES.is_file():
        raise SpecError(f"{NOTES} is missing: the page is written in a checkout.")
    for file in sys.argv[1:]:
        for recipe, kept in kept_results(Path(file)).items():
            keep_results(RESULTS, recipe, kept.get("rows", []))
    for recipe, kept in kept_results(RESULTS).items():
        if "rows" in kept:
            write_pictures(recipe, committed_results(recipe, file=RESULTS), kept.get("parts", ()))
    write_atomically(PAGE, results_page(NOTES.read_text(encoding="utf-8"), RESULTS).encode())


if __name__ == "__main__":
    main()
