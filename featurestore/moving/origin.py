"""The store that a dataset is copied from: every object is checked before any byte of it is written elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from featurestore.datasets import (
    CALLED,
    LISTING,
    SOURCES,
    CorpusReference,
    DatasetRecord,
    Listing,
    Reference,
    corpora_of,
    listing_key,
    parse_listing,
)
from featurestore.errors import DamagedObjectError, DamagedOriginError, MissingObjectError, StorageError
from featurestore.integrity.verify import sound_shard
from featurestore.segments import brief
from featurestore.shards.record import ShardRecord
from featurestore.storage.local import LocalStorage
from featurestore.storage.protocol import Buffer
from featurestore.store import Store
from featurestore.tables import Table

CORPUS = re.compile(r"[a-z0-9_]{1,40}")
"""What a corpus is called in the key of its listing."""


@dataclass(frozen=True)
class CorpusListing:
    """Which recordings and label files a corpus has, as a store knows it."""

    reference: CorpusReference
    body: bytes
    files: Listing


class Origin:
    """A dataset in a store, which may be a stranger's.

    Parameters
    ----------
    store : Store
        Where the dataset is.
    dataset : str
        Its name, or the beginning of its digest.
    own : bool
        Whether the store is the user's own; then links in it are followed.

    Raises
    ------
    DamagedOriginError
        In every method, if something is not what its name or record says, or is missing.
    """

    def __init__(self, store: Store, dataset: str, *, own: bool) -> None:
        storage = store.storage.fresh()
        if isinstance(storage, LocalStorage) and not own:
            storage = LocalStorage(storage.root, links=False)
        self.store = Store(storage)
        self._own = own
        if not own and not storage.is_store():
            raise StorageError(f"no store at {self.store.uri!r}: check the address.")
        with self.checked():
            self.reference: Reference = self.store.reference(dataset)
            self.record: DatasetRecord = self.store.dataset(self.reference.dataset)
            self.table: Table = self.store.table(self.reference.table)
            self._check_table()
            self.without: tuple[str, ...] = self.store.lacks(self.record.id)

    @property
    def name(self) -> str:
        """Its name there, or the beginning of its digest if it has no name any more."""
        with self.checked():
            named = self.store.storage.exists(self.reference.key)
            named = named and self.store.reference(self.reference.name).dataset == self.record.id
        return self.reference.name if named else self.record.digest[:CALLED]

    @property
    def holds_sources(self) -> bool:
        """Whether its originals are there."""
        return SOURCES not in self.without

    @cached_property
    def sizes(self) -> dict[str, int | None]:
        """Bytes of each original of the dataset, by its sha256; None where the table does not say."""
        known = {one.file.content: one.size for one in self.table.utterances}
        return {content: known.get(content) for content in self.record.originals}

    def shard(self, address: str) -> tuple[ShardRecord, Buffer]:
        """Return record and data of a shard."""
        with self.checked():
            return sound_shard(self.store, address)

    def original(self, content: str, size: int | None) -> bytes:
        """Return an original, which has so many bytes."""
        key = f"sources/{content}"
        with self.checked():
            if size is not None and self.store.storage.size(key) != size:
                raise DamagedObjectError(key, f"not of {size:,} bytes, as the table says")
            data = self.store.storage.get(key)
            if hashlib.sha256(data).hexdigest() != content:
                raise DamagedObjectError(key, "its bytes do not match its name")
            return data

    def size(self, key: str) -> int:
        """Return how many bytes an object has, as the store says."""
        with self.checked():
            return self.store.storage.size(key)

    def corpora(self) -> list[CorpusListing]:
        """Return the listings of the dataset's corpora; nothing if it was copied without them."""
        if LISTING in self.without:
            return []
        found = []
        with self.checked():
            for corpus in corpora_of(self.table.corpus):
                reference = self.store.corpus(corpus)
                body = self.store.storage.get(listing_key(reference.listing))
                files = parse_listing(listing_key(reference.listing), body)
                found.append(CorpusListing(reference, body, files))
        return found

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Turn damage in the origin into an error that says where it is and what to do about it."""
        try:
            yield
        except DamagedObjectError as error:
            said = "is missing" if isinstance(error, MissingObjectError) else f"is damaged ({error.reason})"
            advice = "'featurestore repair' mends it." if self._own else "ask its owner to run 'featurestore verify'."
            raise DamagedOriginError(
                f"{self.store.uri}: {error.key} {said}, so nothing was published: {advice}"
            ) from error

    def _check_table(self) -> None:
        """Refuse a table that is not that of the dataset's recordings, or names a corpus that cannot be."""
        known = set(self.table.utterances.contents)
        for part in self.record.parts:
            for content in part.contents:
                if content not in known:
                    raise DamagedObjectError(self.table.key, f"it lacks recording {brief(content)}")
        if not all(CORPUS.fullmatch(corpus) for corpus in corpora_of(self.table.corpus)):
            raise DamagedObjectError(self.table.key, f"no corpus is called {self.table.corpus!r:.80}")
