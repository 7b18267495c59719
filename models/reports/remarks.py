"""Remarks on a result: what chance reaches, that a model has collapsed, and how often its test side was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from featurestore.typed_values import typed
from models.errors import CheckpointError
from models.figures import metrics
from models.reports.parts import number, paragraph


def remarks(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield what there is to say about the `confusion` of `classes`, as HTML."""
    found = metrics.chance(np.array(figures["confusion"], np.int64), figures["classes"])
    if found["uar"] is not None:
        constant = f"always {found['majority']}: accuracy (WA) {number(found['accuracy'])}"
        yield paragraph(f"Chance: UAR (UA) {number(found['uar'])}; {constant}.", "note")
    remark = collapsed(figures["confusion"], figures["classes"])
    if remark:
        yield paragraph(remark, "leak")


def tested_often(runs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how often the test side had been looked at when runs ended, by their summaries, as HTML."""
    often = max((typed(run.get("tested_before", 0), int, "tested_before", CheckpointError) for run in runs), default=0)
    if often:
        counted = "1 run" if often == 1 else f"{often:,} runs"
        yield paragraph(
            f"Tested on the same recordings before, beside this one: {counted}. The best of many is better than it "
            "will be elsewhere.",
            "note",
        )


def collapsed(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """Say so if nearly all answers are one class: 95 % of at least ten; nothing otherwise."""
    answers = [sum(row[place] for row in confusion) for place in range(len(classes))]
    most, items = max(answers, default=0), sum(answers)
    if items < 10 or most < 0.95 * items or len(classes) < 2:
        return ""
    return (
        f"The model has collapsed: {most} of {items} answers are {classes[answers.index(most)]}. Its accuracy is that "
        "of a constant answer; look at the learning rate, the normalisation and the curves."
    )
