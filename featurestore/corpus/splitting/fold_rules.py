"""Splits with folds: leave one speaker, session or other group out, k folds of utterances or of whole groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from featurestore.corpus.splitting.sides import (
    Build,
    Split,
    SplitItem,
    by_value,
    field_of,
    filled_sides,
    held_speakers,
    known_values,
    sides_by,
    ticket,
)
from featurestore.errors import SplitError

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
