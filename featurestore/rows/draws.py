"""Which perturbation a copy gets: a pure function of the augmentation spec, the recording's content and the copy.

There is no generator with a state that rows would have to be computed in the order of: each number is read from the
sha256 of its own name. So copy 7 of a recording is the same in every build, process and release of numpy.
"""

from __future__ import annotations

from typing import Any

from featurestore.errors import SpecError
from featurestore.perturbations import KINDS
from featurestore.rows.copies import CopyDraws
from featurestore.specs.augmentation import AugmentationSpec, Perturbation


def draw(augmentation: AugmentationSpec, content: str, copy: int, attempt: int = 0) -> Perturbation:
    """Return the parameters of one augmented copy; `SpecError` if `copy` is below 1: copy 0 is the clean row.

    `content` is the recording's content id. A later `attempt` has other values of what moves speech, for a copy that
    lost it.
    """
    if copy < 1:
        raise SpecError(f"copy {copy} has no perturbation: augmented copies count from 1, copy 0 is the clean row.")
    draws = CopyDraws(augmentation, content, copy, attempt)
    found: dict[str, Any] = {}
    for name, rule in augmentation.drawn.items():
        value = draws.value(name, rule, moves=KINDS[name].moves)
        if value is not None:
            found[name] = KINDS[name].nearest(value, min(rule.values), max(rule.values))
            found |= KINDS[name].drawn(draws)
    if augmentation.own:
        found["own"] = tuple(draws.custom_key(place) for place in range(len(augmentation.own)))
    return Perturbation(**found)
