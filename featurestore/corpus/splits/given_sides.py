"""Splits that others decided: fields of the corpus, official lists, and a user's own table of paths and sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from featurestore.corpus.labels.tables.readers import read_columns
from featurestore.corpus.labels.tables.rows import LARGEST_LABEL_FILE
from featurestore.corpus.manifest.model import SideRule, TableRule
from featurestore.corpus.splits.types import Build, Split, SplitItem, by_value, field_of, sides_by, ticket
from featurestore.errors import SplitError

SIDE_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "devel": "validation",
    "test": "test",
    "testing": "test",
}
"""Names of sides as people write them."""


def names_of_side(side: str) -> tuple[str, ...]:
    """Return how people write one of `train`, `validation` and `test`."""
    return tuple(name for name, meant in SIDE_NAMES.items() if meant == side)


def by_field(rule: SideRule) -> Build:
    """Return the split in which a field decides the side, and some groups of the training side may validate.

    Utterances whose value no side takes are left out. The split may have an empty side only where no utterance
    has the value that it takes, such as a published test side without labels.
    """

    def build(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the one split; `SplitError` if nobody trains or nobody is tested, or too few groups could validate."""
        places = {value: side for side in ("train", "validation", "test") for value in getattr(rule, side)}
        train = [one for one in utterances if places.get(str(field_of(one, rule.field))) == "train"]
        held = _held_out(rule, train, seed)
        found = sides_by(rule.name, utterances, lambda one: _side(one, rule, places, held))
        if not found.train or not found.test:
            values = ", ".join(sorted({str(field_of(one, rule.field)) for one in utterances})[:8])
            raise SplitError(
                f"split {rule.name!r} goes by {rule.field!r} and a side is empty here (values: {values or 'none'})."
                " Give a complete source, or choose another split."
            )
        return (found,)

    return build


def _side(one: SplitItem, rule: SideRule, places: dict[str, str], held: set[str]) -> str | None:
    side = places.get(str(field_of(one, rule.field)))
    return "validation" if side == "train" and str(field_of(one, rule.group)) in held else side


def _held_out(rule: SideRule, train: Sequence[SplitItem], seed: int) -> set[str]:
    """Return the groups of the training side that validate."""
    if not rule.hold_out:
        return set()
    held: set[str] = set()
    for value, members in (by_value(train, rule.by) if rule.by else {None: train}).items():
        groups = sorted({str(field_of(one, rule.group)) for one in members})
        if len(groups) <= rule.hold_out:
            where = f" with {rule.by} {value!r}" if rule.by else ""
            raise SplitError(
                f"split {rule.name!r} holds out {rule.hold_out} {rule.group}s{where}, and training has {len(groups)}."
                " Give a complete source, or choose another split."
            )
        if rule.drawn:
            groups.sort(key=lambda group: (ticket(seed, group), group))
        held.update(groups[: rule.hold_out])
    return held


def by_file(path: str) -> Build:
    """Return the split that a user's table gives: a column of paths and one of sides, with or without a header.

    Utterances that the table does not name are left out. A path may be that inside the corpus or end like it, as long
    as that tells it from all others.
    """

    def build(utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the one split; `SplitError` if a path is no recording of the corpus, or one stands on two sides."""
        listed = _listed_sides(path)
        known = {one.path for one in utterances}
        names = Counter(one.rsplit("/", 1)[-1] for one in known)
        by_name = {one.rsplit("/", 1)[-1]: one for one in known}
        places: dict[str, str] = {}
        strangers = []
        for name, side in listed:
            last = name.rsplit("/", 1)[-1]
            found = name if name in known else by_name.get(last) if names[last] == 1 else None
            if found is None:
                strangers.append(name)
            elif places.setdefault(found, side) != side:
                raise SplitError(f"split {path!r} puts {name!r} on two sides: {places[found]} and {side}.")
        if strangers:
            raise SplitError(
                f"split {path!r} names {len(strangers)} recordings that the corpus does not have, "
                f"such as {strangers[0]!r:.120}. Write their paths as 'featurestore splits' shows them."
            )
        return (sides_by(path, utterances, lambda one: places.get(one.path)),)

    return build


def _listed_sides(path: str) -> list[tuple[str, str]]:
    rule = TableRule((path,), header=False, columns={"path": (1,), "side": (2,)})
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(LARGEST_LABEL_FILE + 1)
    except OSError as error:
        raise SplitError(
            f"split {path!r} cannot be read ({error.strerror}). Give a table of paths and sides."
        ) from error
    rows = [(row.get("path", ""), row.get("side", "").lower()) for row in read_columns(rule, path, data)]
    if rows and rows[0][1] not in SIDE_NAMES:
        rows = rows[1:]  # the header
    for name, side in rows:
        if side not in SIDE_NAMES:
            raise SplitError(f"split {path!r}: {side!r:.40} of {name!r:.80} is no side: train, validation or test.")
    return [(name, SIDE_NAMES[side]) for name, side in rows]
