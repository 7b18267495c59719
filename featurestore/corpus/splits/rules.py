"""The rules that split any corpus, by name, and those with folds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from featurestore.corpus.manifest.model import SideRule
from featurestore.corpus.splits.given_sides import by_field, by_file, names_of_side
from featurestore.corpus.splits.share_rules import by_name, random, stratified, whole_speakers
from featurestore.corpus.splits.types import (
    Build,
    Split,
    SplitItem,
    SplitRule,
    by_value,
    field_of,
    filled_sides,
    held_speakers,
    known_values,
    sides_by,
    ticket,
)
from featurestore.errors import SplitError, UnknownNameError

MOST_FOLDS = 100


def leave_one_out(field: str, name: str) -> Build:
    """Return a rule whose fold k tests value k of a field, in sorted order, and validates on the next one.

    With two values one tests and the other trains. Of that one, some whole speakers validate if it has several;
    otherwise nobody does, since everybody else would be a speaker of the training or of the test.
    """

    def build(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return a split `NAME/value` for each value, sorted; `SplitError` with an unknown value or fewer than two."""
        values = known_values(utterances, field, name, least=2)
        if len(values) == 2:
            return tuple(_one_against_one(f"{name}/{tested}", utterances, field, tested, seed) for tested in values)
        following = dict(zip(values, [*values[1:], values[0]], strict=True))
        return tuple(
            _placed(f"{name}/{tested}", utterances, field, {tested: "test", following[tested]: "validation"})
            for tested in values
        )

    return build


def _one_against_one(name: str, utterances: Sequence[SplitItem], field: str, tested: str, seed: int) -> Split:
    """Return the split that tests one of two values and trains on the other, without the speakers that validate."""
    held = held_speakers([one for one in utterances if field_of(one, field) != tested], seed)

    def side(one: SplitItem) -> str:
        """Return `test` by the value of the field, else `validation` for speakers held out, else `train`."""
        if field_of(one, field) == tested:
            return "test"
        return "validation" if one.speaker in held else "train"

    return sides_by(name, utterances, side)


def _placed(name: str, utterances: Sequence[SplitItem], field: str, places: Mapping[str | None, str]) -> Split:
    """Return the split in which values of a field have places of their own and all others train."""
    return sides_by(name, utterances, lambda one: places.get(field_of(one, field), "train"))


def partner_validates(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
    """Fold k tests speaker k, validates on the others of the same session, trains on all other sessions.

    With two speakers a session this is the protocol of Etienne et al. 2018 on IEMOCAP: ten folds, eight speakers train.
    """
    name = "loso-in-session"
    known_values(utterances, "session", name, least=2)
    sessions: dict[str | None, str | None] = {}
    for one in utterances:
        if sessions.setdefault(one.speaker, field_of(one, "session")) != field_of(one, "session"):
            raise SplitError(f"split {name!r}: speaker {one.speaker!r} speaks in several sessions. Use 'loso'.")
    found = []
    for tested in known_values(utterances, "speaker", name):
        places = {
            speaker: "test" if speaker == tested else "validation"
            for speaker, session in sessions.items()
            if session == sessions[tested]
        }
        if len(places) < 2:
            raise SplitError(f"split {name!r}: speaker {tested!r} is alone in a session. Use 'loso'.")
        found.append(_placed(f"{name}/{tested}", utterances, "speaker", places))
    return tuple(found)


def stratified_folds(count: int, name: str) -> Build:
    """Return a rule of `count` folds with about equal shares of each class, shuffled by the seed."""

    def build(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Deal out one class after the other, each in the seed's order; folds differ by one utterance at most."""
        parts: dict[str, int] = {}
        position = 0
        for members in by_value(utterances, "label").values():
            for one in sorted(members, key=lambda one: (ticket(seed, one.content), one.path)):
                parts[one.path] = position % count
                position += 1
        return _rotated(name, utterances, parts, count)

    return build


def group_folds(count: int, name: str, field: str = "speaker") -> Build:
    """Return a rule of `count` folds of whole groups: the largest group left goes to the smallest fold."""

    def build(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the folds; `SplitError` if there are fewer groups than folds, or an utterance has no group."""
        known_values(utterances, field, name, least=count)
        groups = by_value(utterances, field)
        sizes = [0] * count
        parts: dict[str, int] = {}
        for group in sorted(groups, key=lambda group: (-len(groups[group]), ticket(seed, str(group)))):
            smallest = sizes.index(min(sizes))
            sizes[smallest] += len(groups[group])
            parts |= {one.path: smallest for one in groups[group]}
        return _rotated(name, utterances, parts, count)

    return build


def _rotated(name: str, utterances: Sequence[SplitItem], parts: Mapping[str, int], count: int) -> tuple[Split, ...]:
    """Fold k tests part k, validates on the next one cyclically, trains on the others."""
    return tuple(filled_sides(_rotation(f"{name}/{fold + 1}", utterances, parts, fold, count)) for fold in range(count))


def _rotation(name: str, utterances: Sequence[SplitItem], parts: Mapping[str, int], fold: int, count: int) -> Split:
    places = {fold: "test", (fold + 1) % count: "validation"}
    return sides_by(name, utterances, lambda one: places.get(parts[one.path], "train"))


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
