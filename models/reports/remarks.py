"""Remarks on a result: what answers that hear nothing reach, and that a model has collapsed to one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

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
