"""What makes two datasets differ, or a build compute rows again, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.datasets import DatasetRecord, Table
from featurestore.shards.plan import Part
from featurestore.store import Store

MOST_LABELS = 20
"""Changed labels that are listed one by one."""


@dataclass(frozen=True)
class Difference:
    """One field in which two datasets differ."""

    field: str
    old: Any
    new: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {"field": self.field, "old": self.old, "new": self.new}


def compare_datasets(store: Store, old: str, new: str) -> list[Difference]:
    """Return every field in which two datasets differ: specs, versions, copies, recordings, labels, layout.

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
    found += _labels(tables[0], tables[1])
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
    if not isinstance(value, Mapping):
        return {name: value}
    return {field: inner for key, entry in value.items() for field, inner in _flat(entry, f"{name}.{key}").items()}


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Difference(name, old.get(name), new.get(name))


def _contents(record: DatasetRecord) -> set[str]:
    return {content for part in record.parts for content in part.contents}


def _recordings(old: set[str], new: set[str]) -> list[Difference]:
    """Count the recordings that only one side has."""
    counts = (("recordings removed", len(old - new)), ("recordings added", len(new - old)))
    return [Difference(field, 0, count) for field, count in counts if count]


def _labels(old: Table, new: Table) -> Iterator[Difference]:
    """Yield what differs between two tables; it computes nothing."""
    if old.corpus != new.corpus:
        yield Difference("corpus", old.corpus, new.corpus)
    labels = {utterance.path: utterance.label for utterance in old.utterances}
    changed = [one for one in new.utterances if labels.get(one.path, one.label) != one.label]
    for utterance in changed[:MOST_LABELS]:
        yield Difference(f"label of {utterance.path}", labels[utterance.path], utterance.label)
    if len(changed) > MOST_LABELS:
        yield Difference("other labels changed", 0, len(changed) - MOST_LABELS)
