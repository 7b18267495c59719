"""What each part of the recipe `best` gives: trained without it, and tested against the whole.

    python benchmarks/best_parts.py --source download.zip --run runs/parts

Every part is one cross-validation of seed 0, leave one speaker out, in a folder of its own; those that have ended are
not trained again. `docs/results.json` gets the figures, `results_page.py` writes the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurestore import compare, crossval
from models.figures.comparison import holm
from models.runs.checkpoint import write_json
from pipelines.experiments.kept_results import kept_results

RESULTS = Path(__file__).resolve().parent.parent / "docs/results.json"
PARTS: Mapping[str, Mapping[str, Any]] = {
    "the whole": {},
    "clean recordings in place of copies": {"copies": 0, "settings": ["copies_per_epoch=0"]},
    "normalised by the training side": {"settings": ["normalisation=training"]},
    "normalised by the utterance": {"settings": ["normalisation=utterance"]},
    "no attention: mean and deviation": {"settings": ["attention=0"]},
    "no class weights, no label smoothing": {"settings": ["class_weights=none", "label_smoothing=0"]},
    "copies of other pitch alone": {"settings": ["vtlp_alpha=none"]},
    "copies of other vocal tracts alone": {"settings": ["semitones=none"]},
    "20 copies: every epoch hears new ones": {"copies": 20},
}
"""What differs from the recipe, by name."""


def main() -> None:
    """Train what is missing, and keep the figures."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--source", help="archive of Emo-DB")
    words.add_argument("--run", type=Path, required=True, help="folder of the cross-validations")
    words.add_argument("--only-ended", action="store_true", help="train nothing, and keep what there is")
    given = words.parse_args()
    folders = {name: given.run / name.replace(":", "").replace(",", "").replace(" ", "-") for name in PARTS}
    for name, differs in PARTS.items():
        if not given.only_ended:
            crossval(recipe="best", source=given.source, folder=folders[name], seed=0, **differs)
    whole, *others = [name for name in PARTS if name == "the whole" or (folders[name] / "crossval.json").is_file()]
    found = {name: compare(folders[name], folders[whole])["uar"] for name in others}
    corrected = holm([one["p_value"] for one in found.values()])
    rows = [
        {"part": name, "uar": one["first"], "whole": one["second"], "difference": one["difference"]}
        | {"interval": one["interval"], "p_value": one["p_value"], "p_holm": p_holm}
        for (name, one), p_holm in zip(found.items(), corrected, strict=True)
    ]
    document = kept_results(RESULTS)
    document["best"]["parts"] = rows
    write_json(RESULTS, document)
    for row in rows:
        print(f"{row['part']}: UAR {row['uar']:.4f}, {row['difference']:+.4f}, p {row['p_holm']:.4f} (Holm)")


if __name__ == "__main__":
    main()
