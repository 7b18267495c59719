"""Results of `reproduce` in a JSON file, `{recipe: {"rows": [...]}}`, and every published figure beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from pipelines.experiments.recipe import PublishedRow, Recipe

COMMITTED = Path(__file__).resolve().parents[1] / "recipes" / "results.json"
"""Results that come with the package: in a checkout a link to `docs/results.json`, in an installation a file."""

NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("row", "metric", "task", "corpus", "protocol", "dataset_digest", "device", "setting", "note"), ""),
    **dict.fromkeys(("classes", "chance", "published", "published_deviation", "published_corpus")),
    **dict.fromkeys(("ours", "deviation", "deviation_over", "interval", "baseline", "confusion")),
    **dict.fromkeys(("seconds", "clips_per_second", "why")),
    **dict.fromkeys(("runs", "seeds"), 0),
    "allow_leak": [],
}
"""A line of which nothing is known; earlier versions kept fewer of its values."""


def committed_results(
    recipe: str, corpus: str | None = None, listener: Listener = SILENT, file: Path = COMMITTED
) -> list[dict[str, Any]]:
    """Return every published result of a recipe beside what was measured, or beside why nothing was; then our own rows.

    Parameters
    ----------
    corpus : str, optional
        Only what was measured on this corpus.

    Raises
    ------
    SpecError
        If the recipe has no published table and nothing of it was measured.
    """
    from featurestore.errors import SpecError
    from pipelines.experiments.recipe import read_recipe
    from pipelines.experiments.row_figures import corrected
    from pipelines.experiments.settings import recipe_on

    known = recipe_on(read_recipe(recipe), corpus, listener)
    kept = kept_results(file).get(known.name, {}).get("rows", [])
    if corpus is not None:
        kept = [line for line in kept if str(line["corpus"]).partition("/")[0] == corpus]
    lines, used = [], set[int]()
    for row in known.rows():
        for metric in row.metrics:
            places = [place for place, line in enumerate(kept) if (line["row"], line["metric"]) == (row.name, metric)]
            used.update(places)
            lines += [{**NOTHING, "task": row.task, "note": row.note, **kept[place]} for place in places]
            beside = any(kept[place].get("published") is not None for place in places)
            if metric in row.published and not beside and corpus in (None, row.corpus):
                lines.append(unmeasured(known, row, metric))
    lines += [{**NOTHING, **line} for place, line in enumerate(kept) if place not in used]
    if not lines:
        raise SpecError(f"no results of recipe {known.name!r} are kept here yet: train it without --show.")
    return corrected(lines)


def unmeasured(recipe: Recipe, row: PublishedRow, metric: str) -> dict[str, Any]:
    """Return the line of a result that is not measured; `why` says what it lacks."""
    from featurestore.corpus.catalog import find_manifest

    published, deviation = row.published.get(metric, (None, None))
    manifest = find_manifest(row.corpus)
    return {
        **NOTHING,
        "row": row.name,
        "metric": metric,
        "task": row.task,
        "published": published,
        "published_deviation": deviation,
        "published_corpus": row.corpus,
        "corpus": row.corpus,
        "protocol": recipe.experiment(row=row).split.name,
        "note": row.note,
        "why": "not run yet" if manifest.downloadable else f"{manifest.title} is not at hand: {manifest.licence}",
    }


def kept_results(path: Path) -> dict[str, Any]:
    """Return what a JSON file keeps; empty where there is no file yet."""
    from models.runs.checkpoint import read_json

    return dict(read_json(path)) if path.is_file() else {}


def keep_results(path: Path, name: str, lines: list[dict[str, Any]]) -> None:
    """Put lines of a recipe in the place of those of the same row, corpus, protocol and setting."""
    from featurestore.typed_values import typed
    from models.errors import CheckpointError
    from models.runs.checkpoint import write_json
    from pipelines.experiments.row_figures import corrected

    document = kept_results(path)
    system = typed(document.setdefault(name, {}), dict, f"{path}: {name}", CheckpointError)
    rows = typed(system.get("rows", []), tuple[dict[str, Any], ...], f"{path}: rows of {name}", CheckpointError)
    new = {_place(line) for line in lines}
    system["rows"] = corrected([*(line for line in rows if _place(line) not in new), *lines])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, document)


def _place(line: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(line.get(name)) for name in ("row", "corpus", "protocol", "setting"))
