"""Every rule that splits corpora: classes in files of this folder, which registers them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from featurestore.corpus.splits.types import WITHOUT_CORPUS, SplitRule
from featurestore.errors import UnknownNameError
from featurestore.registry import kinds_in

SPLITS: Mapping[str, SplitRule] = {rule.name: rule for rule in kinds_in(__name__, SplitRule)}
"""The rules by name; N is a number and FIELD a label field, as in `group-5fold` and `group-5fold-by-dialog`."""


def is_rule(name: str) -> bool:
    """Tell whether a name is a rule that fits any corpus."""
    return any(re.fullmatch(rule.pattern or re.escape(rule.name), name) for rule in SPLITS.values())


def find_rule(name: str) -> SplitRule:
    """Return a rule by its name, such as `shuffled`, `group-5fold` or `leave-one-session-out`.

    `UnknownNameError` if there is none of this name; `SplitError` if it asks for fewer than 3 or more than 100 folds.
    """
    for rule in SPLITS.values():
        if rule.pattern and (found := re.fullmatch(rule.pattern, name)):
            made: Callable[..., SplitRule] = type(rule)
            return made(name, **found.groupdict())
        if rule.name == name and not rule.pattern:
            return rule
    raise UnknownNameError("split", name, SPLITS, WITHOUT_CORPUS)
