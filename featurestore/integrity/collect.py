"""Garbage collection: what no dataset needs is removed, after a grace period, record before data."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from featurestore.datasets import listing_key
from featurestore.row_index import index_key
from featurestore.segments import recording_of
from featurestore.shards.record import data_key, record_key
from featurestore.storage.protocol import CARD, KEY
from featurestore.store import Store

DAY = 86_400.0
COLLECTED = ("shards", "datasets", "indexes", "tables", "listings", "sources", "rejects", "cards")
"""Kinds of objects that can become garbage; names never do, and foreign files are the user's to remove."""
NAMES = ("refs", "refs/datasets", "refs/corpora")
"""Folders of names."""
FAR_STEP = 100
"""Objects of a bucket that are removed between two looks at its names."""
TICK = 0.02
"""Seconds after which every file system that a kernel keeps the time of gives a change another time."""

Objects = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Collection:
    """What a collection found, and whether it was removed."""

    objects: Objects
    """Key and bytes of each object that nothing needs, in the order in which they are removed."""
    young: int
    """Objects that nothing needs and that the grace period keeps."""
    deleted: bool

    @property
    def bytes(self) -> int:
        """Bytes of the objects."""
        return sum(size for _, size in self.objects)


def collect(
    store: Store,
    *,
    grace: float = 7 * DAY,
    delete: bool = False,
    now: float | None = None,
    announce: Callable[[Objects], None] = lambda _: None,
) -> Collection:
    """Find what no dataset needs, and remove it if asked to.

    Parameters
    ----------
    store : Store
        Where to collect; a base below it is left alone.
    grace : float
        Seconds that every object is kept after it was written, whether anything needs it or not.
    delete : bool
        False only reports what would be removed.
    now : float, optional
        The time, in seconds since 1970.
    announce : callable
        Gets the objects before the first is removed.

    Raises
    ------
    StorageError
        If the place is no store.
    StoreBusyError
        If something builds, repairs or collects in the store, and `delete` is set.
    DamagedObjectError
        If a root is damaged, so that nobody can know what it needs.
    """
    store.require()
    store = Store(store.storage)  # what was read before may have changed since
    now = time.time() if now is None else now
    with store.storage.hold(exclusive=True) if delete else nullcontext():
        found = _find(store, grace, now, delete=delete)
        announce(found.objects)
        if delete:
            _delete(store, found.objects)
            store.storage.sweep()
    return found


def _find(store: Store, grace: float, now: float, *, delete: bool) -> Collection:
    needed = marked(store)
    garbage: list[tuple[str, int]] = []
    young = 0
    for kind in COLLECTED:
        for key, size in store.storage.walk(kind):
            if key in needed or not KEY.fullmatch(key):
                continue
            if now - store.storage.modified(key) < grace:
                young += 1
            else:
                garbage.append((key, size))
    # records of shards first: without its record a shard does not exist
    garbage.sort(key=lambda entry: (not entry[0].endswith("/zarr.json"), entry[0]))
    return Collection(tuple(garbage), young, delete)


def _delete(store: Store, objects: Objects) -> None:
    """Remove objects one by one; names that changed meanwhile are looked at again before each.

    In a bucket, where a look costs as many requests as three removals and nobody else is let in, before each hundredth.
    """
    seen: list[tuple[int, ...]] | None = None
    needed: set[str] = set()
    step = 1 if store.storage.random_access else FAR_STEP
    for number, (key, _) in enumerate(objects):
        if number % step == 0 and [store.storage.changed(folder) for folder in NAMES] != seen:
            time.sleep(TICK)  # a change after this one gets another time
            seen = [store.storage.changed(folder) for folder in NAMES]
            needed = marked(store)
        if key not in needed:
            store.storage.delete(key)


def marked(store: Store) -> set[str]:
    """Return the keys of all objects that a name needs, directly or not.

    Names are those of datasets that were not forgotten, and of corpora. They keep records, tables and shards, the
    originals and listings that these name, and the notes on rejected ones among them.
    `DamagedObjectError` if a record on the way is damaged or missing.
    """
    needed: set[str] = set()
    contents: set[str] = set()
    references = store.references(every=True)
    for record in map(store.dataset, {reference.dataset for reference in references}):
        needed |= {record.key, index_key(record.id)}
        for address in record.addresses:
            needed |= {record_key(address), data_key(address)}
        contents.update(record.originals)
    for table in map(store.table, {reference.table for reference in references}):
        needed.add(table.key)
        contents.update(table.utterances.contents)
    for name in store.storage.children("refs/corpora"):
        listing = store.corpus(name.removesuffix(".json")).listing
        needed.add(listing_key(listing))
        contents |= {file.content for file in store.listing(listing)}
    needed |= {f"cards/{name}/{file}" for name in store.names() for file in CARD}
    notes = (key for key, _ in store.storage.walk("rejects"))
    needed |= {key for key in notes if key.rpartition("/")[2].removesuffix(".json") in contents}
    return needed | {f"sources/{recording_of(content)}" for content in contents}
