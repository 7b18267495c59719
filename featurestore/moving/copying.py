"""`push` and `pull`: a dataset copied from store to store, by content, verified, and resumed where it was broken off.

Data comes first, then records, the name last: a copy that is killed leaves objects that nothing names, which the next
copy finds and garbage collection removes. Everything is checked before it is written, and before the name is written
the dataset's digest is computed again from the records that arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from featurestore.card import card_files
from featurestore.checksummed_json import FORMAT, sealed
from featurestore.datasets import (
    LEFT_OUT,
    LISTING,
    SOURCES,
    Reference,
    check_dataset_name,
    corpora_of,
    dataset_digest,
    listing_key,
)
from featurestore.errors import (
    DamagedObjectError,
    DamagedOriginError,
    LeftOutError,
    SpecError,
    StorageError,
)
from featurestore.moving.licences import forbids_derivatives, may_pass_on
from featurestore.moving.origin import CorpusListing, Origin
from featurestore.shards.record import data_key, record_key
from featurestore.showing import spelled_bytes
from featurestore.storage.protocol import INDEX, KEY, put
from featurestore.store import Store

AT_A_TIME = 6
"""Objects that are copied at a time if one of the stores is remote."""

CopyProgress = Callable[[int, int | None], None]
"""Gets the bytes that were copied so far, and all that have to be."""


@dataclass(frozen=True)
class Copied:
    """What a copy did."""

    dataset: str
    """Its name where it is now."""
    digest: str
    objects: int
    """Objects that were written; the dataset's name and what describes it are not counted."""
    bytes: int
    """Their bytes."""
    standing: int
    """Objects that were there already."""
    sources: bool
    """Whether the originals are there."""
    licence: str
    citation: str
    seconds: float
    notes: tuple[str, ...] = ()
    """What else a user should know."""


def push(
    store: Store,
    dataset: str,
    to: Store,
    *,
    name: str | None = None,
    sources: bool = True,
    corpus: bool = False,
    redistribute: bool = False,
    progress: CopyProgress = lambda *_: None,
) -> Copied:
    """Copy a dataset to another store; what stands there already is not sent again.

    Parameters
    ----------
    store : Store
        Where the dataset is.
    dataset : str
        Its name, or the beginning of its digest.
    to : Store
        Where it is copied to, which becomes a store if it is an empty place.
    name : str, optional
        What it is called there; by default as here.
    sources : bool
        False leaves the originals out: rows can be read, but nothing that needs the audio can be done with the copy.
    corpus : bool
        Also copy the listing of its corpus with all files of that, so that a build there needs no source.
    redistribute : bool
        Copy the recordings although the manifest does not say that they may be passed on: the user vouches for it.
    progress : callable
        Gets the bytes that were copied so far, and all that have to be.

    Raises
    ------
    UnknownNameError
        If there is no such dataset.
    SpecError
        If the name stands there for other rows or labels, or the licence does not let the recordings be passed on.
    LeftOutError
        If originals are to be copied of a dataset that has none.
    DamagedOriginError
        If an object here is damaged or missing: nothing is published.
    StorageError
        If the other place cannot be written; the same call goes on where this one stopped.
    """
    origin = Origin(store, dataset, own=True)
    if sources and not origin.holds_sources:
        raise LeftOutError(f"{store.uri} (to copy what is there, leave the sources out)")
    notes = _licence_notes(origin, sources=sources or corpus, redistribute=redistribute)
    return _copy(origin, to, name, sources=sources, corpus=corpus, progress=progress, notes=notes, index=True)


def pull(
    store: Store,
    dataset: str,
    origin: Store,
    *,
    name: str | None = None,
    sources: bool = True,
    corpus: bool = False,
    progress: CopyProgress = lambda *_: None,
) -> Copied:
    """Copy a dataset from another store, which may be a stranger's.

    Nothing there is trusted: objects are read up to the size that their kind can have, links are not followed, every
    byte is compared with names, checksums and the dataset's digest, and the name is published last. No reader can check
    whether the rows are those of the recordings; `verify --recompute` computes some of them again.

    Parameters
    ----------
    store : Store
        Where it is copied to.
    dataset : str
        Its name there, or the beginning of its digest.
    origin : Store
        Where it is.
    name : str, optional
        What it is called here; by default as there.
    sources : bool
        False leaves the originals out.
    corpus : bool
        Also take over which files the corpus has, so that builds here need no source. They then trust that list.
    progress : callable
        Gets the bytes that were copied so far, and all that have to be.

    Raises
    ------
    UnknownNameError
        If there is no such dataset.
    SpecError
        If the name stands here for other rows or labels.
    DamagedOriginError
        If an object of the other store is damaged, missing or not what it says: nothing is published.
    StorageError
        If a store cannot be read or written; the same call goes on where this one stopped.
    """
    found = Origin(origin, dataset, own=False)
    notes = []
    if sources and not found.holds_sources:
        notes.append("the other store has it without its recordings, so this copy has none either")
        sources = False
    return _copy(found, store, name, sources=sources, corpus=corpus, progress=progress, notes=notes)


def _licence_notes(origin: Origin, *, sources: bool, redistribute: bool) -> list[str]:
    """Return what the licence says about a copy elsewhere; `SpecError` if it does not let recordings be passed on."""
    licence, audible = origin.table.licence, origin.record.parts[0].spec.features.kind == "waveform"
    if not may_pass_on(licence) and (sources or audible) and not redistribute:
        what = "Its rows are the recordings themselves" if audible else "Use --without-sources to copy features only"
        raise SpecError(
            f"the licence of {origin.table.corpus} ({licence!r:.120}) does not say that its recordings may be passed "
            f"on. {what}, or add --redistribute where the licence, or who reads the other place, allows it."
        )
    if not may_pass_on(licence) or forbids_derivatives(licence):
        return [f"features were made from the recordings; see whether their licence ({licence}) covers that copy"]
    return []


def _copy(
    origin: Origin,
    target: Store,
    name: str | None,
    *,
    sources: bool,
    corpus: bool,
    progress: CopyProgress,
    notes: list[str],
    index: bool = False,
) -> Copied:
    started = time.monotonic()
    if origin.store.uri == target.uri:
        raise SpecError(f"{target.uri} is where the dataset is already: name another store.")
    name = check_dataset_name(name or origin.name)
    _refuse_other(origin, target, name)
    with target.storage.hold(exclusive=False):
        target.storage.sweep()
        copy = _Copy(origin, Store(target.storage), progress)
        corpora = origin.corpora() if corpus else []
        copy.plan(sources=sources, corpora=corpora)
        copy.run()
        copy.publish_corpora(corpora)
        without = copy.publish(name)
        if index:
            copy.publish_index()
    return Copied(
        dataset=name,
        digest=origin.record.digest,
        objects=copy.written,
        bytes=copy.sent,
        standing=copy.standing,
        sources=SOURCES not in without,
        licence=origin.table.licence,
        citation=origin.table.citation,
        seconds=time.monotonic() - started,
        notes=tuple(notes),
    )


def _refuse_other(origin: Origin, target: Store, name: str) -> None:
    """Refuse a name that stands for other rows or other labels in the target, with `SpecError`."""
    key = f"refs/{name}.json"
    if not target.storage.exists(key):
        return
    standing = Reference.from_bytes(key, target.storage.get(key))
    same = standing.dataset == origin.record.id  # whose record here may be one that was copied in part
    digest = origin.record.digest if same else target.dataset(standing.dataset).digest
    if digest != origin.record.digest:
        what = f"digest {digest[:12]}, not {origin.record.digest[:12]}"
    elif standing.table != origin.table.id:
        what = "the same rows with other labels"
    else:
        return
    raise SpecError(f"{target.uri} has a dataset {name!r} already, with {what}: choose another name with --as NAME.")


@dataclass
class _Copy:
    """What is left to copy of a dataset, and what was copied."""

    origin: Origin
    target: Store
    progress: CopyProgress
    written: int = 0
    sent: int = 0
    standing: int = 0
    _shards: list[str] = field(default_factory=list)
    _originals: dict[str, int | None] = field(default_factory=dict)
    _to_send: int = 0

    def plan(self, *, sources: bool, corpora: Iterable[CorpusListing]) -> None:
        """Find out what the target lacks; `StorageError` if it has no room for that."""
        storage = self.target.storage
        for address in self.origin.record.addresses:
            if self._stands(address):
                self.standing += 2
            else:
                self._shards.append(address)
                self._to_send += self.origin.size(data_key(address)) + self.origin.size(record_key(address))
        wanted = dict(self.origin.sizes) if sources else {}
        wanted |= {file.content: file.size for listing in corpora for file in listing.files}
        for content, size in wanted.items():
            key = f"sources/{content}"
            if storage.exists(key) and size in (None, storage.size(key)):
                self.standing += 1
            else:
                self._originals[content] = size
                self._to_send += self.origin.size(key) if size is None else size
        free = storage.free_bytes()
        if free is not None and free < self._to_send:
            raise StorageError(
                f"{self.target.uri} has {spelled_bytes(free)} free and the copy needs {spelled_bytes(self._to_send)}: "
                "free some space or give another place. Nothing was written."
            )

    def _stands(self, address: str) -> bool:
        """Tell whether the target holds a shard whose data have the size that its record says."""
        try:
            record = self.target.record(address)
            return self.target.storage.size(data_key(address)) == record.layout.object_bytes
        except DamagedObjectError:  # missing, cut short, or not readable: it is copied
            return False

    def run(self) -> None:
        """Copy what is missing, several objects at a time if a store is remote; shards come first."""
        near = self.origin.store.storage.random_access and self.target.storage.random_access
        for copy, names in ((self._copy_shard, self._shards), (self._copy_original, list(self._originals))):
            if near:
                for one in names:
                    self._count(copy(one))
                continue
            with ThreadPoolExecutor(AT_A_TIME, "copy") as pool:
                try:
                    for sizes in pool.map(copy, names):
                        self._count(sizes)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise

    def _count(self, sizes: list[int]) -> None:
        self.written += len(sizes)
        self.sent += sum(sizes)
        self.progress(self.sent, max(self.sent, self._to_send))

    def _copy_shard(self, address: str) -> list[int]:
        """Copy data, then record; return the bytes of each."""
        record, data = self.origin.shard(address)
        self._put(data_key(address), data.tobytes())
        self._put(record_key(address), record.to_bytes())
        return [len(data), len(record.to_bytes())]

    def _copy_original(self, content: str) -> list[int]:
        data = self.origin.original(content, self._originals[content])
        self._put(f"sources/{content}", data)
        return [len(data)]

    def _put(self, key: str, data: bytes) -> None:
        put(self.target.storage, key, data)  # what has other bytes has no record, or was cut short: it is no data

    def publish_corpora(self, corpora: Iterable[CorpusListing]) -> None:
        """Write the listings of corpora, and names for them where there are none."""
        for listing in corpora:
            self._put(listing_key(listing.reference.listing), listing.body)
            self.target.storage.put_if_absent(listing.reference.key, listing.reference.to_bytes())

    def publish(self, name: str) -> tuple[str, ...]:
        """Check that all has arrived and publish the dataset; return what it lacks."""
        origin, target = self.origin, self.target
        records = [target.record(address) for address in origin.record.addresses]
        with origin.checked():
            digest = dataset_digest(origin.record.parts, records)
        if digest != origin.record.digest:
            raise DamagedOriginError(
                f"{origin.store.uri}: its rows do not have the digest {origin.record.digest[:12]}, or some of the "
                f"shards that stood in {target.uri} already hold other bits of the same rows; nothing was published: "
                "copy it into an empty store to see which."
            )
        _refuse_other(origin, target, name)  # once more: others may have written meanwhile
        without = self._lacks()
        for key, data in card_files(name, origin.record, origin.table, without).items():
            self._put(key, data)
        target.publish(origin.record, origin.table, name, without=without)
        return without

    def publish_index(self) -> None:
        """List in one object what the target holds, for servers that list nothing."""
        storage = self.target.storage
        objects = [[key, size] for key, size in storage.walk() if KEY.fullmatch(key) and key != INDEX]
        data = sealed({"format": FORMAT, "objects": objects})
        self._put(INDEX, data)

    def _lacks(self) -> tuple[str, ...]:
        """Return what the dataset lacks in the target; a copy that was whole before stays whole."""
        storage = self.target.storage
        corpora = corpora_of(self.origin.table.corpus)
        there = {
            LISTING: all(storage.exists(f"refs/corpora/{corpus}.json") for corpus in corpora),
            SOURCES: all(storage.exists(f"sources/{content}") for content in self.origin.record.originals),
        }
        missing = {part for part in LEFT_OUT if not there[part]}
        root = f"refs/datasets/{self.origin.record.id}.json"
        if storage.exists(root):
            with suppress(DamagedObjectError):
                missing &= {*Reference.from_bytes(root, storage.get(root)).without}
        return tuple(sorted(missing))
