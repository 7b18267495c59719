"""The rules that split any corpus, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from featurestore.corpus.sheet.protocol_rules import SideRule
from featurestore.corpus.splitting.fold_rules import (
    MOST_FOLDS,
    group_folds,
    leave_one_out,
    partner_validates,
    stratified_folds,
)
from featurestore.corpus.splitting.given_sides import by_field, by_file, names_of_side
from featurestore.corpus.splitting.share_rules import by_name, random, stratified, whole_speakers
from featurestore.corpus.splitting.sides import SplitRule
from featurestore.errors import SplitError, UnknownNameError

OFFICIAL_FIELD = "split"
"""The field that holds the sides a corpus comes with."""
FIELD = "FIELD"
"""Stands for any field in the name and in the needs of a rule."""
SPEAKERS_SESSION = "the session of each speaker"
"""Stands in the needs of a rule for a field `session` of which each speaker has one value, shared with others."""
_OFFICIAL = SideRule(
    "official",
    field=OFFICIAL_FIELD,
    train=names_of_side("train"),
    validation=names_of_side("validation"),
    test=names_of_side("test"),
)

SPLITS: Mapping[str, SplitRule] = {
    "mathworks": SplitRule(by_name, "70 / 15 / 15 % of each class in name order (MathWorks' CNN-LSTM example)"),
    "shuffled": SplitRule(stratified, "70 / 15 / 15 % of each class, shuffled by a seed; speakers stand on all sides"),
    "random": SplitRule(random, "70 / 15 / 15 % of all, shuffled by a seed whatever the classes and speakers"),
    "speakers": SplitRule(
        whole_speakers,
        "whole speakers: about 70 / 15 / 15 % of the recordings and of each class, drawn by a seed",
        needs={"speaker": 3},
    ),
    "official": SplitRule(by_field(_OFFICIAL), "the sides that the corpus comes with", needs={OFFICIAL_FIELD: 2}),
    "loso": SplitRule(
        leave_one_out("speaker", "loso"),
        "a fold for each speaker; the next one validates (of two speakers nobody does)",
        folds=True,
        needs={"speaker": 2},
    ),
    "loso-in-session": SplitRule(
        partner_validates,
        "a fold for each speaker; the others of the same session validate",
        folds=True,
        needs={"session": 2, "speaker": 3, SPEAKERS_SESSION: 2},
    ),
    "stratified-Nfold": SplitRule(
        stratified_folds(5, "stratified-5fold"),
        "N folds of each class, shuffled by a seed; the next one validates",
        folds=True,
    ),
    "group-Nfold": SplitRule(
        group_folds(5, "group-5fold"),
        "N folds of whole speakers of about equal size; the next one validates",
        folds=True,
        needs={"speaker": 3},
    ),
    "leave-one-FIELD-out": SplitRule(
        leave_one_out("session", "leave-one-session-out"),
        "a fold for each value of a field; the next one validates",
        folds=True,
        needs={FIELD: 2},
    ),
}
"""The rules by name; N is a number and FIELD a label field, as in `group-5fold` and `group-5fold-by-dialog`."""

_PLACEHOLDERS = ("stratified-Nfold", "group-Nfold", "leave-one-FIELD-out")
_FAMILY = re.compile(
    r"(?P<kind>stratified|group)-(?P<count>\d{1,4})fold(?:-by-(?P<group>\w+))?|leave-one-(?P<field>\w+)-out"
)


def is_rule(name: str) -> bool:
    """Tell whether a name is a rule that fits any corpus."""
    return (name in SPLITS and name not in _PLACEHOLDERS) or _FAMILY.fullmatch(name) is not None


def find_rule(name: str) -> SplitRule:
    """Return a rule by its name, such as `shuffled`, `group-5fold` or `leave-one-session-out`.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    SplitError
        If it asks for fewer than 3 or more than 100 folds.
    """
    family = _FAMILY.fullmatch(name)
    if family is None:
        if name not in SPLITS or name in _PLACEHOLDERS:
            raise UnknownNameError("split", name, SPLITS, "Protocols are named as 'emodb/loso', tables end in .tsv.")
        return SPLITS[name]
    if family["field"]:
        return SplitRule(leave_one_out(family["field"], name), f"a fold for each {family['field']}", folds=True)
    count = int(family["count"])
    if not 3 <= count <= MOST_FOLDS:
        raise SplitError(f"split {name!r}: 3 to {MOST_FOLDS} folds are possible, one tests and the next one validates.")
    if family["kind"] == "group":
        field = family["group"] or "speaker"
        return SplitRule(group_folds(count, name, field), f"{count} folds of whole {field}s", folds=True)
    return SplitRule(stratified_folds(count, name), f"{count} folds of each class", folds=True)


def table_rule(path: str) -> SplitRule:
    """Return the rule of a user's table of paths and sides."""
    return SplitRule(by_file(path), f"the sides that {path} gives")
