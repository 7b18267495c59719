"""What makes two datasets differ, or a build compute rows again, field by field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import Any

from featurestore.datasets import DatasetRecord
from featurestore.segments import brief
from featurestore.shards.parts import Part
from featurestore.store import Store
from featurestore.tables import Table

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
        return asdict(self)

    @property
    def text(self) -> str:
        """What differs, as words: `0.1 -> 0.2`, where there is nothing `none`, and the number of what was counted."""
        if self.old == 0 and self.field.startswith(("recordings ", "other ")):
            return f"{self.new:,}"
        return f"{_words(self.old)} -> {_words(self.new)}"


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
        if text := _one_sided(section, together):
            lines.append((section, text))
            continue
        for part, fields in groupby(together, key=partial(_part, depth=2)):
            group = list(fields)
            text = _one_sided(part, group) if part != section else ""
            lines += [(part, text)] if text else [(one.field, one.text) for one in group]
    return lines


def _part(one: Difference, depth: int) -> str:
    """Return the part of a description, so many names deep, that a field is in; a field that is none is its own."""
    names = one.field.split(".")
    return one.field if " " in names[0] else ".".join(names[: min(depth, len(names) - 1)]) or one.field


def _one_sided(part: str, group: Sequence[Difference]) -> str:
    """Write several fields that one side lacks as one text; empty if there is one field, or both sides have some."""
    gained, lost = all(one.old is None for one in group), all(one.new is None for one in group)
    if len(group) == 1 or not (gained or lost):
        return ""
    values = ((one.field.removeprefix(f"{part}."), one.new if gained else one.old) for one in group)
    listed = ", ".join(f"{name} {_words(value)}" for name, value in values)
    return f"none -> {listed}" if gained else f"{listed} -> none"


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
    before, after = store.dataset(first.dataset), store.dataset(second.dataset)
    found = list(_fields(_description(before.parts), _description(after.parts)))
    found += _recordings(_contents(before), _contents(after))
    found += _tables(store.table(first.table), store.table(second.table))
    if before.digest == after.digest and before.addresses != after.addresses:
        found.append(Difference("layout", f"{len(before.addresses)} shards", f"{len(after.addresses)} shards"))
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
    found = list(_fields(_description(record.parts), _description(now)))
    if known is not None:
        found += _recordings(_contents(record), set(known))
    missing = sum(not store.has_shard(address) for address in record.addresses)
    if missing:
        found.append(Difference("shards", len(record.addresses), len(record.addresses) - missing))
    return found


def _description(parts: Iterable[Part]) -> dict[str, Any]:
    """Flatten the descriptions of a dataset's parts to `field: value`."""
    flat: dict[str, Any] = {"copies": max((part.stop - 1 for part in parts), default=0)}
    for part in parts:
        document = part.spec.document
        for section in ("features", "augmentation", "versions"):
            flat |= _flat(document[section] or {}, section)
        flat[f"{'clean' if part.first == 0 else 'augmented'} recordings"] = len(part.contents)
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
        if before != after and name.endswith(INPUTS):
            yield from _inputs(name.removesuffix(INPUTS), before or [], after or [])
        elif before != after:
            yield Difference(name, before, after)


def _inputs(name: str, old: list[str], new: list[str]) -> Iterator[Difference]:
    """Count noises or room responses, and name the few that only one side has."""
    if len(old) != len(new):
        yield Difference(f"{name} recordings", len(old), len(new))
    if old and new:
        shown = []
        for one, other in ((old, new), (new, old)):
            contents = sorted(set(one) - set(other))
            more = f" and {len(contents) - MOST_INPUTS} more" if len(contents) > MOST_INPUTS else ""
            shown.append(", ".join(map(brief, contents[:MOST_INPUTS])) + more)
        yield Difference(f"{name} changed", *shown)


def _contents(record: DatasetRecord) -> set[str]:
    return {content for part in record.parts for content in part.contents}


def _recordings(old: set[str], new: set[str]) -> list[Difference]:
    """Count the recordings that only one side has."""
    counts = (("recordings removed", len(old - new)), ("recordings added", len(new - old)))
    return [Difference(field, 0, count) for field, count in counts if count]


def _tables(old: Table, new: Table) -> Iterator[Difference]:
    """Yield what differs between two tables; none of it makes a build compute rows."""
    for name in ("corpus", "licence", "citation"):
        if getattr(old, name) != getattr(new, name):
            yield Difference(name, getattr(old, name), getattr(new, name))
    by_path = {one.path: one for one in old.utterances}
    pairs = [(by_path[one.path], one) for one in new.utterances if one.path in by_path]
    for name in ("label", "speaker"):
        values = ((two.path, getattr(one, name), getattr(two, name)) for one, two in pairs)
        changed = [Difference(f"{name} of {path}", a, b) for path, a, b in values if a != b]
        yield from _most(changed, f"other {name}s changed")
    counts: Counter[str] = Counter()
    for pair in pairs:
        before, after = ({**dict(one.fields), "text": one.text} for one in pair)
        counts.update(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    yield from (Difference(f"recordings with another {name!r}", 0, counts[name]) for name in sorted(counts))
    paths: defaultdict[str, set[str]] = defaultdict(set)
    for one in old.utterances:
        paths[one.content].add(one.path)
    moved = [one for one in new.utterances if one.content in paths and one.path not in paths[one.content]]
    yield from _most(
        [Difference(f"path of {brief(one.content)}", min(paths[one.content]), one.path) for one in moved],
        "other paths changed",
    )
    reasons = ({f"rejected {one.path}": one.reason for one in table.rejected} for table in (old, new))
    yield from _most([*_fields(*reasons)], "other rejected files")


def _most(found: Sequence[Difference], others: str) -> Iterator[Difference]:
    """Yield the first changes one by one, then the number of the others."""
    yield from found[:MOST_LABELS]
    if len(found) > MOST_LABELS:
        yield Difference(others, 0, len(found) - MOST_LABELS)
