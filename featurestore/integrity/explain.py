"""What makes two datasets differ, or a build compute rows again, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from featurestore.corpus.types import Utterance
from featurestore.datasets import DatasetRecord, Table
from featurestore.segments import brief
from featurestore.shards.plan import Part
from featurestore.store import Store

MOST_LABELS = 20
"""Changed labels, speakers, paths and rejected files, of each kind, that are listed one by one."""
MOST_INPUTS = 3
"""Changed noises or room responses that are listed one by one."""
INPUTS = ".contents"
"""How the fields end that name recordings which rows take in."""


@dataclass(frozen=True)
class Difference:
    """One field in which two datasets differ."""

    field: str
    old: Any
    new: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {"field": self.field, "old": self.old, "new": self.new}

    @property
    def text(self) -> str:
        """What differs, as words: `0.1 -> 0.2`, where there is nothing `none`, and the number of what was counted."""
        if self.old == 0 and self.field.startswith(COUNTED):
            return f"{self.new:,}"
        return f"{_words(self.old)} -> {_words(self.new)}"


COUNTED = ("recordings ", "other ")
"""Fields that say how many of something there are, from 0 on."""


def readable(found: Iterable[Difference]) -> list[tuple[str, str]]:
    """Return lines of a field and what differs in it; what one side lacks altogether is one line.

    Examples
    --------
    >>> readable([Difference("copies", 0, 2), Difference("noise.low", None, 1), Difference("noise.high", None, 2)])
    [('copies', '0 -> 2'), ('noise', 'none -> low 1, high 2')]
    """
    lines: list[tuple[str, str]] = []
    for section, members in groupby(found, key=partial(_part, depth=1)):
        together = list(members)
        if _lacking(together):
            lines.append((section, _lacking_text(section, together)))
            continue
        for part, fields in groupby(together, key=partial(_part, depth=2)):
            group = list(fields)
            whole = part != section and _lacking(group)
            lines += [(part, _lacking_text(part, group))] if whole else [(one.field, one.text) for one in group]
    return lines


def _part(one: Difference, depth: int) -> str:
    """Return the part of a description, so many names deep, that a field is in; a field that is none is its own."""
    names = one.field.split(".")
    return one.field if " " in names[0] else ".".join(names[: min(depth, len(names) - 1)]) or one.field


def _lacking(group: Sequence[Difference]) -> bool:
    """Tell whether one side has none of several fields."""
    return len(group) > 1 and {_absent(one) for one in group} in ({"old"}, {"new"})


def _lacking_text(part: str, group: Sequence[Difference]) -> str:
    inside = [(one.field.removeprefix(f"{part}."), one.old if one.new is None else one.new) for one in group]
    listed = ", ".join(f"{name} {_words(value)}" for name, value in inside)
    return f"none -> {listed}" if _absent(group[0]) == "old" else f"{listed} -> none"


def _absent(one: Difference) -> str | None:
    """Return the side that lacks a field; None if both have it."""
    return "old" if one.old is None else "new" if one.new is None else None


def _words(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_words, value))})"
    return "none" if value is None else str(value)


def compare_datasets(store: Store, old: str, new: str) -> list[Difference]:
    """Return every field in which two datasets differ: specs, versions, copies, recordings, table, layout.

    Raises
    ------
    UnknownNameError
        If one of them does not exist.
    """
    first, second = store.reference(old), store.reference(new)
    records = store.dataset(first.dataset), store.dataset(second.dataset)
    tables = store.table(first.table), store.table(second.table)
    found = list(_fields(_description(*records[0].parts), _description(*records[1].parts)))
    found += _recordings(_contents(records[0]), _contents(records[1]))
    found += _tables(tables[0], tables[1])
    if records[0].digest == records[1].digest and records[0].addresses != records[1].addresses:
        found.append(Difference("layout", f"{len(records[0].addresses)} shards", f"{len(records[1].addresses)} shards"))
    return found


def explain_build(store: Store, dataset: str, known: Iterable[str] | None) -> list[Difference]:
    """Return why a build like the one that made a dataset would compute rows now.

    Parameters
    ----------
    store : Store
    dataset : str
        Name or digest prefix.
    known : iterable of str or None
        Content ids of the corpus as it is now; None if the store does not know.
    """
    record = store.dataset(store.reference(dataset).dataset)
    now = [Part(p.spec.renewed(), p.contents, p.first, p.stop) for p in record.parts]
    found = list(_fields(_description(*record.parts), _description(*now)))
    if known is not None:
        found += _recordings(_contents(record), set(known))
    missing = [address for address in record.addresses if not store.has_shard(address)]
    if missing:
        found.append(Difference("shards", len(record.addresses), len(record.addresses) - len(missing)))
    return found


def _description(*parts: Part) -> dict[str, Any]:
    """Flatten what the parts of a dataset say to `field: value`."""
    flat: dict[str, Any] = {"copies": max((part.stop - 1 for part in parts), default=0)}
    for part in parts:
        kind = "clean" if part.first == 0 else "augmented"
        document = part.spec.document
        flat |= _flat(document["features"], "features")
        flat |= _flat(document["augmentation"] or {}, "augmentation")
        flat |= _flat(document["versions"], "versions")
        flat[f"{kind} recordings"] = len(part.contents)
    return flat


def _flat(value: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 (any JSON value)
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        value = {str(place): entry for place, entry in enumerate(value, 1)}
    if not isinstance(value, Mapping):
        return {name: value}
    return {field: inner for key, entry in value.items() for field, inner in _flat(entry, f"{name}.{key}").items()}


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name.endswith(INPUTS):
            yield from _inputs(name.removesuffix(INPUTS), before or [], after or [])
        else:
            yield Difference(name, before, after)


def _inputs(name: str, old: list[str], new: list[str]) -> Iterator[Difference]:
    """Count noises or room responses, and name the few that only one side has."""
    if len(old) != len(new):
        yield Difference(f"{name} recordings", len(old), len(new))
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    if old and new:
        yield Difference(f"{name} changed", _some(gone), _some(come))


def _some(contents: list[str]) -> str:
    """Spell out the first few content ids."""
    shown = ", ".join(brief(content) for content in contents[:MOST_INPUTS])
    return shown + (f" and {len(contents) - MOST_INPUTS} more" if len(contents) > MOST_INPUTS else "")


def _contents(record: DatasetRecord) -> set[str]:
    return {content for part in record.parts for content in part.contents}


def _recordings(old: set[str], new: set[str]) -> list[Difference]:
    """Count the recordings that only one side has."""
    counts = (("recordings removed", len(old - new)), ("recordings added", len(new - old)))
    return [Difference(field, 0, count) for field, count in counts if count]


def _tables(old: Table, new: Table) -> Iterator[Difference]:
    """Yield what differs between two tables; it computes nothing."""
    for name in ("corpus", "licence", "citation"):
        if getattr(old, name) != getattr(new, name):
            yield Difference(name, getattr(old, name), getattr(new, name))
    before = {one.path: one for one in old.utterances}
    pairs = [(before[one.path], one) for one in new.utterances if one.path in before]
    for name in ("label", "speaker"):
        yield from _most([_changed(name, *pair) for pair in pairs], f"other {name}s changed")
    yield from _fields_of_labels(pairs)
    yield from _most(_moved(old, new), "other paths changed")
    reasons = [{one.path: one.reason for one in table.rejected} for table in (old, new)]
    yield from _most([*_fields(*({f"rejected {path}": why for path, why in one.items()} for one in reasons))], REJECTED)


REJECTED = "other rejected files"


def _most(changed: Iterable[Difference | None], others: str) -> Iterator[Difference]:
    """Yield the first changes one by one, then the number of the others."""
    found = [one for one in changed if one is not None]
    yield from found[:MOST_LABELS]
    if len(found) > MOST_LABELS:
        yield Difference(others, 0, len(found) - MOST_LABELS)


def _changed(name: str, old: Utterance, new: Utterance) -> Difference | None:
    before, after = getattr(old, name), getattr(new, name)
    return Difference(f"{name} of {new.path}", before, after) if before != after else None


def _fields_of_labels(pairs: Iterable[tuple[Utterance, Utterance]]) -> Iterator[Difference]:
    """Count the recordings in which each field beside the class and the speaker differs."""
    counts: Counter[str] = Counter()
    for old, new in pairs:
        before, after = ({**dict(one.labels), "text": one.text} for one in (old, new))
        counts.update(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    yield from (Difference(f"recordings with another {name!r}", 0, counts[name]) for name in sorted(counts))


def _moved(old: Table, new: Table) -> Iterator[Difference]:
    """Yield recordings that stand under another path."""
    paths: dict[str, set[str]] = {}
    for one in old.utterances:
        paths.setdefault(one.content, set()).add(one.path)
    for one in new.utterances:
        before = paths.get(one.content, {one.path})
        if one.path not in before:
            yield Difference(f"path of {brief(one.content)}", min(before), one.path)
