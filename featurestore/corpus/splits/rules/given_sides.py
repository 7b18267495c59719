"""Splits that others decided: fields of the corpus, official lists, and a user's own table of paths and sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from featurestore.corpus.labels.tables import LARGEST_LABEL_FILE, read_columns
from featurestore.corpus.manifest import SideRule, TableRule
from featurestore.corpus.splits.types import (
    OFFICIAL_FIELD,
    SIDE_NAMES,
    Split,
    SplitItem,
    SplitRule,
    by_value,
    field_of,
    sides_by,
    ticket,
)
from featurestore.errors import SplitError

INCOMPLETE = "Give a complete source, or choose another split."


class OwnSides(SplitRule, registered=False):
    """A split of a manifest's own: a field decides the side, and some groups of the training side may validate.

    Utterances whose value no side takes are left out. The split may have an empty side only where no utterance
    has the value that it takes, such as a published test side without labels.
    """

    def __init__(self, rule: SideRule) -> None:
        self.rule, self.name, self.description = rule, rule.name, rule.description

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the one split; `SplitError` if nobody trains or nobody is tested, or too few groups could validate."""
        rule = self.rule
        places = {value: side for side in ("train", "validation", "test") for value in getattr(rule, side)}
        sides = {one.path: places.get(str(field_of(one, rule.field))) for one in utterances}
        held = self._held_out([one for one in utterances if sides[one.path] == "train"], seed)

        def side(one: SplitItem) -> str | None:
            """Return the side of an utterance; None if it takes no part."""
            chosen = sides[one.path]
            return "validation" if chosen == "train" and str(field_of(one, rule.group)) in held else chosen

        found = sides_by(rule.name, utterances, side)
        if not found.train or not found.test:
            values = ", ".join(sorted({str(field_of(one, rule.field)) for one in utterances})[:8])
            raise SplitError(
                f"split {rule.name!r} goes by {rule.field!r} and a side is empty here (values: {values or 'none'})."
                f" {INCOMPLETE}"
            )
        return (found,)

    def _held_out(self, train: Sequence[SplitItem], seed: int) -> set[str]:
        """Return the groups of the training side that validate."""
        rule, held = self.rule, set[str]()
        if not rule.hold_out:
            return held
        for value, members in (by_value(train, rule.by) if rule.by else {None: train}).items():
            groups = sorted({str(field_of(one, rule.group)) for one in members})
            if len(groups) <= rule.hold_out:
                where = f" with {rule.by} {value!r}" if rule.by else ""
                raise SplitError(
                    f"split {rule.name!r} holds out {rule.hold_out} {rule.group}s{where}, and training has "
                    f"{len(groups)}. {INCOMPLETE}"
                )
            if rule.drawn:
                groups.sort(key=lambda group: (ticket(seed, group), group))
            held.update(groups[: rule.hold_out])
        return held


class Official(OwnSides):
    """The sides of the field `split`, under any of the names that people give them."""

    name = "official"
    description = "the sides that the corpus comes with"
    needs = ((OFFICIAL_FIELD, 2),)

    def __init__(self) -> None:
        train, validation, test = (
            tuple(name for name, meant in SIDE_NAMES.items() if meant == side)
            for side in ("train", "validation", "test")
        )
        super().__init__(SideRule(self.name, self.description, OFFICIAL_FIELD, train, validation, test))


class TableSides(SplitRule, registered=False):
    """A user's table: a column of paths and one of sides, with or without a header.

    Utterances that the table does not name are left out. A path may be that inside the corpus or end like it, as long
    as no other does.
    """

    def __init__(self, path: str) -> None:
        self.name, self.description = path, f"the sides that {path} gives"

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the one split; `SplitError` if a path is no recording of the corpus, or is on two sides."""
        listed = self._listed_sides()
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
                raise SplitError(f"split {self.name!r} puts {name!r} on two sides: {places[found]} and {side}.")
        if strangers:
            raise SplitError(
                f"split {self.name!r} names {len(strangers)} recordings that the corpus does not have, "
                f"such as {strangers[0]!r:.120}. Write their paths as 'featurestore splits' shows them."
            )
        return (sides_by(self.name, utterances, lambda one: places.get(one.path)),)

    def _listed_sides(self) -> list[tuple[str, str]]:
        rule = TableRule((self.name,), header=False, columns={"path": (1,), "side": (2,)})
        try:
            with Path(self.name).open("rb") as stream:
                data = stream.read(LARGEST_LABEL_FILE + 1)
        except OSError as error:
            raise SplitError(
                f"split {self.name!r} cannot be read ({error.strerror}). Give a table of paths and sides."
            ) from error
        rows = [(row.get("path", ""), row.get("side", "").lower()) for row in read_columns(rule, self.name, data)]
        if rows and rows[0][1] not in SIDE_NAMES:
            rows = rows[1:]  # the header
        for name, side in rows:
            if side not in SIDE_NAMES:
                wrong = f"{side!r:.40} of {name!r:.80} is no side: train, validation or test"
                raise SplitError(f"split {self.name!r}: {wrong}.")
        return [(name, SIDE_NAMES[side]) for name, side in rows]
