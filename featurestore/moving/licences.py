"""Whether a corpus's licence lets anybody pass its recordings on, by what its manifest says."""

from __future__ import annotations

import re

UNSTATED = "unknown"
"""The licence of a manifest that names none: recordings of the user's own."""
OPEN = re.compile(
    r"(CC0|CC BY|CC-BY|ODbL|ODC-By|PDDL|CDLA|GPL|LGPL|AGPL|MIT|BSD|Apache|public domain)\b(?!.*\bon request\b)",
    re.IGNORECASE,
)
"""How licences begin under which recordings may be passed on, some with conditions such as naming the authors."""
NO_DERIVATIVES = re.compile(r"\bBY(-NC)?-ND\b", re.IGNORECASE)
"""Licences under which recordings may be passed on, but nothing that was made from them."""


def may_pass_on(licence: str) -> bool:
    """Tell whether recordings may be passed on; of several corpora, whether those of all may.

    Examples
    --------
    >>> may_pass_on("CC BY 4.0"), may_pass_on("research only"), may_pass_on("a: CC0 1.0; b: EULA, on request")
    (True, False, False)
    """
    return all(part == UNSTATED or OPEN.match(part) for part in _parts(licence))


def forbids_derivatives(licence: str) -> bool:
    """Tell whether the licence of a corpus forbids passing on what was made from its recordings, such as features."""
    return any(NO_DERIVATIVES.search(part) for part in _parts(licence))


def _parts(licence: str) -> list[str]:
    """Return the licence of each corpus: those of several are written as `NAME: LICENCE; NAME: LICENCE`."""
    named = re.split(r"(?:^|; )[a-z0-9_]{1,40}: ", licence)
    return [part.strip() or UNSTATED for part in (named[1:] if len(named) > 1 else named)]
