"""Rules with folds for cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featurestore.corpus.splits.types import (
    FIELD,
    SPEAKERS_SESSION,
    Split,
    SplitItem,
    SplitRule,
    by_value,
    field_of,
    filled_sides,
    folds_by,
    held_speakers,
    known_values,
    sides_by,
    ticket,
)
from featurestore.errors import SplitError

MOST_FOLDS = 100


class LeaveOneOut(SplitRule):
    """Fold k tests value k of a field, in sorted order, and validates on the next one.

    With two values one tests and the other trains. Of that one, some whole speakers validate if it has several;
    otherwise nobody does, since everybody else would be a speaker of the training or of the test.
    """

    name = "leave-one-FIELD-out"
    pattern = r"leave-one-(?P<field>\w+)-out"
    description = "a fold for each value of a field; the next one validates"
    folds = True
    needs = ((FIELD, 2),)

    def __init__(self, name: str = name, field: str = FIELD) -> None:
        self.name, self.field = name, field
        if field != FIELD:
            self.description = f"a fold for each {field}"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return a split `NAME/value` for each value, sorted; `SplitError` with an unknown value or fewer than two."""
        values = known_values(utterances, self.field, self.name, least=2)
        if len(values) > 2:
            following = dict(zip(values, [*values[1:], values[0]], strict=True))
            places: dict[str, dict[str | None, str]] = {
                tested: {tested: "test", following[tested]: "validation"} for tested in values
            }
            return folds_by(self.name, utterances, lambda one: field_of(one, self.field), places)
        return tuple(self._against_the_other(utterances, tested, seed) for tested in values)

    def _against_the_other(self, utterances: Sequence[SplitItem], tested: str, seed: int) -> Split:
        testing = {one.path for one in utterances if field_of(one, self.field) == tested}
        held = held_speakers([one for one in utterances if one.path not in testing], seed)
        return sides_by(
            f"{self.name}/{tested}",
            utterances,
            lambda one: "test" if one.path in testing else "validation" if one.speaker in held else "train",
        )


class LeaveOneSpeakerOut(SplitRule):
    """`leave-one-speaker-out` under its usual name."""

    name = "loso"
    description = "a fold for each speaker; the next one validates (of two speakers nobody does)"
    folds = True
    needs = (("speaker", 2),)

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return a split for each speaker, as `LeaveOneOut` does."""
        return LeaveOneOut(self.name, "speaker").build(utterances, seed)


class PartnerValidates(SplitRule):
    """Fold k tests speaker k, validates on the others of the same session, trains on all other sessions.

    With two speakers a session this is the protocol of Etienne et al. 2018 on IEMOCAP: ten folds, eight speakers train.
    """

    name = "loso-in-session"
    description = "a fold for each speaker; the others of the same session validate"
    folds = True
    needs = (("session", 2), ("speaker", 3), (SPEAKERS_SESSION, 2))

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the folds; `SplitError` if a speaker is alone in a session, or speaks in several."""
        known_values(utterances, "session", self.name, least=2)
        sessions: dict[str | None, str | None] = {}
        for one in utterances:
            session = field_of(one, "session")
            if sessions.setdefault(one.speaker, session) != session:
                raise SplitError(
                    f"split {self.name!r}: speaker {one.speaker!r} speaks in several sessions. Use 'loso'."
                )
        places: dict[str, dict[str | None, str]] = {}
        for tested in known_values(utterances, "speaker", self.name):
            together = [speaker for speaker, session in sessions.items() if session == sessions[tested]]
            if len(together) < 2:
                raise SplitError(f"split {self.name!r}: speaker {tested!r} is alone in a session. Use 'loso'.")
            places[tested] = {**dict.fromkeys(together, "validation"), tested: "test"}
        return folds_by(self.name, utterances, lambda one: one.speaker, places)


class StratifiedFolds(SplitRule):
    """Folds with about equal shares of each class, shuffled by the seed."""

    name = "stratified-Nfold"
    pattern = r"stratified-(?P<count>\d{1,4})fold"
    description = "N folds of each class, shuffled by a seed; the next one validates"
    folds = True

    def __init__(self, name: str = name, count: str = "") -> None:
        self.name = name
        if count:
            self.count = _checked_count(name, count)
            self.description = f"{self.count} folds of each class"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Deal out one class after the other, each in the seed's order; folds differ by one utterance at most."""
        parts: dict[str, int] = {}
        for members in by_value(utterances, "label").values():
            for one in sorted(members, key=lambda one: (ticket(seed, one.content), one.path)):
                parts[one.path] = len(parts) % self.count
        return _rotated(self.name, utterances, parts, self.count)


class GroupFolds(SplitRule):
    """Folds of whole groups: the largest group left goes to the smallest fold."""

    name = "group-Nfold"
    pattern = r"group-(?P<count>\d{1,4})fold(?:-by-(?P<field>\w+))?"
    description = "N folds of whole speakers of about equal size; the next one validates"
    folds = True
    needs = (("speaker", 3),)

    def __init__(self, name: str = name, count: str = "", field: str | None = None) -> None:
        self.name, self.field = name, field or "speaker"
        if count:
            self.count = _checked_count(name, count)
            self.description = f"{self.count} folds of whole {self.field}s"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the folds; `SplitError` if there are fewer groups than folds, or an utterance has no group."""
        known_values(utterances, self.field, self.name, least=self.count)
        groups = by_value(utterances, self.field)
        sizes = [0] * self.count
        parts: dict[str, int] = {}
        for group in sorted(groups, key=lambda group: (-len(groups[group]), ticket(seed, str(group)))):
            smallest = sizes.index(min(sizes))
            sizes[smallest] += len(groups[group])
            parts |= {one.path: smallest for one in groups[group]}
        return _rotated(self.name, utterances, parts, self.count)


def _checked_count(name: str, count: str) -> int:
    if not 3 <= int(count) <= MOST_FOLDS:
        raise SplitError(f"split {name!r}: 3 to {MOST_FOLDS} folds are possible, one tests and the next one validates.")
    return int(count)


def _rotated(name: str, utterances: Sequence[SplitItem], parts: Mapping[str, int], count: int) -> tuple[Split, ...]:
    """Fold k tests part k, validates on the next one cyclically, trains on the others."""
    places = {str(k + 1): {k: "test", (k + 1) % count: "validation"} for k in range(count)}
    return tuple(map(filled_sides, folds_by(name, utterances, lambda one: parts[one.path], places)))
