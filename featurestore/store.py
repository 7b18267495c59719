"""The store: shards, datasets, tables, originals and the names for them, behind one object."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.datasets import (
    CALLED,
    SOURCES,
    CorpusReference,
    DatasetRecord,
    Listing,
    Reference,
    check_dataset_name,
    listing_key,
    parse_listing,
)
from featurestore.errors import (
    DamagedObjectError,
    FeatureStoreError,
    LeftOutError,
    MissingObjectError,
    SpecError,
    StorageError,
    UnknownNameError,
)
from featurestore.row_index import FRAMES, SHARD, START, Places, index_bytes, index_key, index_of, parse_index
from featurestore.segments import recording_of
from featurestore.shards.record import Layout, ShardRecord, data_key, record_key
from featurestore.showing import MOST_COUNTS, counted, html_table
from featurestore.specs.row_spec import RowSpec
from featurestore.storage import default_place, layered_place, open_storage
from featurestore.storage.layered import LayeredStorage
from featurestore.storage.protocol import DATASET_NAME, Storage, put
from featurestore.tables import Table

if TYPE_CHECKING:
    from featurestore.view import DatasetView

SHORTEST_PREFIX = 6
"""Fewest hexadecimal digits by which a dataset can be called."""
SHOWN_DIGITS = 12
"""Digits of a digest shown in a list."""


class Store:
    """Everything that builds have left in one storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._records: dict[str, ShardRecord] = {}

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    def _repr_html_(self) -> str:
        try:
            names = self.names()
            corpora = [self._named(name).corpus for name in names[:MOST_COUNTS]]
        except FeatureStoreError as error:  # a cell of a notebook that only shows a store does not fail
            return html_table(f"Store {self.uri}", [("error", error)])
        more = len(names) - len(corpora)
        lines = [(name, corpus or "-") for name, corpus in zip(names, corpora, strict=False)]
        return html_table(f"Store {self.uri}: {counted(len(names), 'dataset')}", [*lines, ("...", more or "")])

    @property
    def uri(self) -> str:
        """The address that opens this store again."""
        return self.storage.uri

    def record(self, address: str) -> ShardRecord:
        """Return a shard's record, checked; `MissingObjectError` if there is no such shard."""
        if address not in self._records:
            self._records[address] = ShardRecord.from_bytes(address, self.storage.get(record_key(address)))
        return self._records[address]

    def records(self, spec: RowSpec) -> tuple[list[ShardRecord], dict[str, DamagedObjectError]]:
        """Return the records of all shards of a spec, and what is wrong with those that are damaged, by address."""
        folder = f"shards/{spec.id[:16]}"
        sound: list[ShardRecord] = []
        damaged: dict[str, DamagedObjectError] = {}
        for name in self.storage.children(folder):
            address = f"{folder}/{name}"
            try:
                record = self.record(address)
            except MissingObjectError:
                continue  # data whose record was never written: the shard does not exist
            except DamagedObjectError as error:
                damaged[address] = error
                continue
            if record.spec.id == spec.id and self.storage.exists(data_key(address)):
                sound.append(record)
        return sound, damaged

    def has_shard(self, address: str) -> bool:
        """Return whether a shard's record and data object both exist."""
        return self.storage.exists(record_key(address)) and self.storage.exists(data_key(address))

    def original(self, content: str) -> bytes:
        """Return the bytes of the original recording that a content id is, or is a segment of.

        `MissingObjectError` if the store does not hold it, `LeftOutError` if that is because a dataset was copied
        without originals, `DamagedObjectError` if its bytes have changed.
        """
        recording = recording_of(content)
        key = f"sources/{recording}"
        try:
            data = self.storage.get(key)
        except MissingObjectError:
            if any(SOURCES in self.lacks(dataset) for dataset in self.dataset_ids()):
                raise LeftOutError(self.uri, key) from None
            raise
        if hashlib.sha256(data).hexdigest() != recording:
            raise DamagedObjectError(key, "its bytes do not match its name")
        return data

    def names(self) -> list[str]:
        """Return the names of all named datasets, sorted."""
        return [name.removesuffix(".json") for name in self.storage.children("refs") if name.endswith(".json")]

    def dataset_ids(self) -> list[str]:
        """Return the ids of all datasets that have not been forgotten, named or not, sorted."""
        return [name.removesuffix(".json") for name in self.storage.children("refs/datasets") if name.endswith(".json")]

    def reference(self, name: str) -> Reference:
        """Return the dataset that a name, or the beginning of a digest or dataset id, refers to.

        `DIGEST@TABLE` is a dataset with the labels of a table, as runs name it.

        Raises
        ------
        UnknownNameError
            If there is no such dataset; the nearest name is offered.
        StorageError
            If there is no store.
        SpecError
            If it is the beginning of several digests, or of one with several tables of labels.
        """
        name, _, table = name.partition("@")
        if re.fullmatch(DATASET_NAME, name) and self.storage.exists(f"refs/{name}.json"):
            references = [self._named(name)]
        else:
            ids = self.dataset_ids() if len(name) >= SHORTEST_PREFIX else []
            datasets = [
                dataset for dataset in ids if dataset.startswith(name) or self.dataset(dataset).digest.startswith(name)
            ]
            if not datasets:
                self.require(name)
                advice = f"'featurestore ls' lists the datasets of {self.uri}."
                raise UnknownNameError("dataset", name, self.names(), advice)
            references = [known for known in map(self._named, self.names()) if known.dataset in datasets]
            if not table and len({self.dataset(dataset).digest for dataset in datasets}) > 1:
                raise SpecError(f"{name!r} is the beginning of several digests: give more digits.")
            if not table and len({reference.table for reference in references}) > 1:  # labels are in no digest
                names = " and ".join(sorted(reference.name for reference in references))
                raise SpecError(f"{name!r} is the digest of {names}, whose labels differ: give one of these names.")
            references += map(self._root, datasets)
        if table and references[0].table != table:  # no reference has it, if no name has those labels any more
            exact = (reference for reference in references if reference.table == table)
            return next(exact, dataclasses.replace(references[0], table=table, corpus=""))
        return references[0]

    def _named(self, name: str) -> Reference:
        return self._reference(f"refs/{name}.json")

    def _root(self, dataset: str) -> Reference:
        return self._reference(f"refs/datasets/{dataset}.json")

    def _reference(self, key: str) -> Reference:
        return Reference.from_bytes(key, self.storage.get(key))

    def dataset(self, dataset: str) -> DatasetRecord:
        """Return a dataset record by its id."""
        key = f"datasets/{dataset}.json"
        return DatasetRecord.from_bytes(key, self.storage.get(key))

    def index(self, record: DatasetRecord) -> Places:
        """Find every row of a dataset in the records of its shards; `DamagedObjectError` if some are not there."""
        return index_of(record, {address: self.record(address) for address in record.addresses})

    def corpus(self, name: str) -> CorpusReference:
        """Return which listing a corpus has; `MissingObjectError` if the store does not know the corpus."""
        key = f"refs/corpora/{name}.json"
        return CorpusReference.from_bytes(key, self.storage.get(key))

    def listing(self, checksum: str) -> Listing:
        """Return the recordings and label files of a corpus by the checksum of their listing."""
        key = listing_key(checksum)
        return parse_listing(key, self.storage.get(key))

    def table(self, table: str) -> Table:
        """Return a table by its id."""
        key = f"tables/{table}.json"
        return Table.from_bytes(key, self.storage.get(key))

    def lacks(self, dataset: str) -> tuple[str, ...]:
        """Return what a dataset, given by its id, was copied without, of `LEFT_OUT`; nothing if its root is lost."""
        with suppress(DamagedObjectError):
            return self._root(dataset).without
        return ()

    def publish(
        self, record: DatasetRecord, table: Table, name: str, *, named: bool = True, without: tuple[str, ...] = ()
    ) -> Reference:
        """Make a dataset visible under a name, after checking that all its shards exist.

        Without `named` the name is only recorded in the dataset's root, and no reference moves to the dataset.
        `without` says what a copy lacks, of `LEFT_OUT`.
        `MissingObjectError` if a shard has vanished since it was planned; building again restores it.
        """
        for address in record.addresses:
            if not self.has_shard(address):
                raise MissingObjectError(address)
        reference = Reference(check_dataset_name(name), record.id, table.id, table.corpus, without)
        put(self.storage, record.key, record.to_bytes())
        put(self.storage, index_key(record.id), index_bytes(self.index(record)))
        put(self.storage, table.key, table.to_bytes())
        for key in (reference.root, reference.key) if named else (reference.root,):
            if not self.storage.exists(key) or self.storage.get(key) != reference.to_bytes():
                self.storage.replace(key, reference.to_bytes())
        return reference

    def forget(self, name: str) -> Reference:
        """Remove a dataset's name, or a nameless dataset; its shards stay until garbage is collected.

        A dataset is forgotten for good once none of its names is left. The name goes last, so that the same call
        finishes one that was interrupted.

        `SpecError` if it belongs to the base, which is never written, or is called by its digest though it has a name.
        """
        reference = self.reference(name)
        key = f"refs/{name}.json" if name in self.names() else reference.root
        if self.borrowed(key):
            raise SpecError(f"{name!r} belongs to the base of {self.uri}, which is read-only here: forget it there.")
        others = {self._named(other).dataset: other for other in self.names() if other != name}
        if name not in self.names() and reference.dataset in others:
            raise SpecError(f"{name!r} is dataset {others[reference.dataset]!r}: forget it by that name.")
        if reference.dataset not in others:
            self.storage.delete(reference.root)
        if name in self.names():
            # Roots that still have the lost name get their digest as a name, so that verify misses none.
            for dataset in self.dataset_ids():
                root = self._root(dataset)
                if root.name == name and not self.borrowed(f"refs/datasets/{dataset}.json"):
                    called = dataclasses.replace(root, name=self.dataset(dataset).digest[:CALLED])
                    self.storage.replace(f"refs/datasets/{dataset}.json", called.to_bytes())
            self.storage.delete(f"refs/{name}.json")
        return reference

    def require(self, dataset: str | None = None) -> None:
        """Raise a `StorageError` if the place is no store; a dataset may also be in a base alone."""
        if dataset is not None and isinstance(self.storage, LayeredStorage):
            return
        if not self.storage.is_store():
            raise StorageError(
                f"no store at {self.uri!r}: check --store and FEATURESTORE_HOME, and that its disk is mounted."
            )

    def borrowed(self, key: str) -> bool:
        """Return whether an object is read from a base and not from this store itself."""
        return isinstance(self.storage, LayeredStorage) and not self.storage.own.exists(key)

    def view(self, name: str) -> DatasetView:
        """Open a dataset by name, digest prefix or `DIGEST@TABLE`; errors as of `reference`.

        `DamagedObjectError` if one of its records is damaged or missing.
        """
        from featurestore.view import DatasetView

        return DatasetView.open(self, self.reference(name))

    def references(self, *, every: bool = False) -> list[Reference]:
        """Return all named datasets, then those that only a digest names, each sorted.

        With `every`, the second part holds the named ones too, whose table may be another.
        """
        named = [self._named(name) for name in self.names()]
        ids = set() if every else {reference.dataset for reference in named}
        return named + [self._root(dataset) for dataset in self.dataset_ids() if dataset not in ids]

    def describe_datasets(self) -> list[dict[str, Any]]:
        """Return what each dataset is, as JSON values; bytes in shards that another dataset refers to are shared.

        `missing` counts shards that are not there, or end too early: those of a copy that was broken off. A dataset
        whose records cannot be read has no digest, and all of it is missing; see `damaged_references` for names that
        cannot be read.
        """
        references, _ = self._readable_references()
        records = [self._readable(reference) for reference in references]
        users = Counter(address for record in records if record for address in record.addresses)
        sizes = {address: self._size_of_data(address) for address in users}
        named = {one.name: one for one in reversed(references) if self.storage.exists(one.key)}  # names come first
        described = []
        for reference, record in zip(references, records, strict=True):
            addresses = record.addresses if record else ()
            called = record.digest[:SHOWN_DIGITS] if record else reference.dataset[:SHOWN_DIGITS]
            described.append(
                {
                    "dataset": reference.name if named.get(reference.name) == reference else called,
                    "corpus": reference.corpus or self._corpus(reference),
                    "rows": record.rows if record else 0,
                    "bytes": sum(sizes[address] or 0 for address in addresses),
                    "shared_bytes": sum(sizes[address] or 0 for address in addresses if users[address] > 1),
                    "digest": record.digest if record else "",
                    "missing": self._missing(record, sizes) if record else 1,
                    "base": self.borrowed(f"datasets/{reference.dataset}.json"),
                }
            )
        return described

    def damaged_references(self) -> list[DamagedObjectError]:
        """Return what is wrong with each reference that cannot be read, which `describe_datasets` leaves out."""
        return self._readable_references()[1]

    def _readable_references(self) -> tuple[list[Reference], list[DamagedObjectError]]:
        """Return what `references` does, without those that cannot be read, and why these cannot."""
        found: list[Reference] = []
        wrong: list[DamagedObjectError] = []
        for read, names in ((self._named, self.names()), (self._root, self.dataset_ids())):
            known = {reference.dataset for reference in found}
            for name in names:
                try:
                    if read == self._named or name not in known:
                        found.append(read(name))
                except DamagedObjectError as error:
                    wrong.append(error)
        return found, wrong

    def _readable(self, reference: Reference) -> DatasetRecord | None:
        with suppress(DamagedObjectError):
            return self.dataset(reference.dataset)
        return None

    def _corpus(self, reference: Reference) -> str:
        with suppress(DamagedObjectError):
            return self.table(reference.table).corpus
        return ""

    def _size_of_data(self, address: str) -> int | None:
        """Return the bytes of a shard's data; None if there is no such shard."""
        with suppress(DamagedObjectError):
            return self.storage.size(data_key(address)) if self.storage.exists(record_key(address)) else None
        return None

    def _missing(self, record: DatasetRecord, sizes: Mapping[str, int | None]) -> int:
        """Count the shards of a dataset that are not there or, in a folder, too short for the frames in its index."""
        ends = np.zeros(len(record.addresses), np.int64)
        if self.storage.random_access:  # elsewhere objects appear whole
            with suppress(DamagedObjectError):
                key = index_key(record.id)
                places = parse_index(key, self.storage.get(key), record.rows).astype(np.int64)
                known = places[SHARD] < len(ends)
                np.maximum.at(ends, places[SHARD, known], (places[START] + places[FRAMES])[known])
        features = record.parts[0].spec.features
        needed = [Layout(int(end), features.width, features.dtype).object_bytes if end else 0 for end in ends]
        return sum((sizes[one] or -1) < least for one, least in zip(record.addresses, needed, strict=True))


def open_store(uri: str | Path | Store | None = None, base: str | Path | None = None) -> Store:
    """Open a store; `StorageError` if the place cannot be one.

    Parameters
    ----------
    uri : str, path or Store, optional
        Where the store is; else `FEATURESTORE_HOME`, else the user's cache folder. A store that is open is returned.
    base : str or path, optional
        A store below it that is only read, such as a group's; else `FEATURESTORE_BASE`. Rows that it has are not
        computed again.
    """
    if isinstance(uri, Store):
        return uri
    return Store(open_storage(layered_place(str(uri or default_place()), str(base) if base else None)))
