"""Cross-validations that have ended, put beside a recipe's results as one row of them.

    python benchmarks/kept_crossvals.py best "both rows together" --together --baseline RUN FOLDER FOLDER ...

Each FOLDER is one of `featurestore crossval`, of one seed, and all have tested the same recordings. The row's figures
are those of all folds pooled, and of the folders together by their mean probabilities; `--together` keeps the latter
alone, for folders that are not seeds of one experiment. `docs/results.json` gets the lines; `results_page.py` writes
the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from models.figures.metrics import summary
from models.runs.folders import RunFolder
from models.runs.records import read_result
from models.runs.run import read_config
from pipelines.experiments.kept_results import keep_results
from pipelines.experiments.recipe import read_recipe
from pipelines.experiments.row_figures import Metric, answers_of, judged

RESULTS = Path(__file__).resolve().parent.parent / "docs/results.json"


def lines_of(recipe: str, row: str, folders: list[Path], baseline: Path | None, note: str) -> list[dict[str, Any]]:
    """Return the lines of a row, as `pipelines.experiments.row_figures.measured_lines` returns them."""
    runs = [run for folder in folders for run in RunFolder.of(folder).runs()]
    results, config, known = [read_result(run) for run in runs], read_config(runs[0]), read_recipe(recipe)
    protocol, _, _ = config.split.rpartition("/")
    described = {
        "row": row,
        "task": known.task(known.corpus, next(known.rows())),
        "published_corpus": None,
        "corpus": config.recipe["dataset"]["corpus"],
        "protocol": protocol,
        "dataset_digest": config.dataset["digest"],
        "device": results[0]["device"],
        "seconds": round(sum(result["seconds"] for result in results), 1),
        "clips_per_second": None,
        "note": note,
        "why": None,
        "published": None,
        "published_deviation": None,
        "runs": len(runs),
        "seeds": len(folders),
        "setting": "full",
    }
    lines = []
    for of in ("pooled", "ensemble") if len(folders) > 1 else ("pooled",):
        for measure in ("accuracy", "uar"):
            metric = Metric(of, 0, "test", measure)
            found = answers_of(folders, metric)
            values = [summary(one.confusion, one.classes)[measure] for one in found]
            spread = {"deviation": stdev(values), "deviation_over": "seeds"} if len(values) > 1 else {}
            figures = {"ours": fmean(values), "deviation": None, "deviation_over": None, **spread}
            lines.append({**described, "metric": f"{of} test {measure}", **figures, **judged(found, metric, baseline)})
    return lines


def main() -> None:
    """Keep the lines."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("recipe")
    words.add_argument("row")
    words.add_argument("folders", nargs="+", type=Path)
    words.add_argument("--baseline", type=Path, help="run folder of 'featurestore baseline' on the same recordings")
    words.add_argument("--note", default="", help="what a reader has to know about the row")
    words.add_argument("--together", action="store_true", help="only the figures of all folders together")
    given = words.parse_args()
    lines = lines_of(given.recipe, given.row, given.folders, given.baseline, given.note)
    if given.together:  # its members have their rows, with their cost
        lines = [{**line, "seconds": None} for line in lines if line["metric"].startswith("ensemble")]
    keep_results(RESULTS, given.recipe, lines)
    for line in lines:
        print(line["row"], line["metric"], f"{line['ours']:.4f}", line["baseline"] and line["baseline"]["p_value"])


if __name__ == "__main__":
    main()
