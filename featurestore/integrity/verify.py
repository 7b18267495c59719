"""Checking everything a store holds, byte by byte, and whether this installation still computes the same bits."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from featurestore.card import check_card
from featurestore.checksummed_json import digest, parsed, reading, sealed, unsealed
from featurestore.datasets import (
    CALLED,
    LISTING,
    SOURCES,
    DatasetRecord,
    Reference,
    corpora_of,
    dataset_digest,
    listing_key,
)
from featurestore.errors import DamagedObjectError, FeatureStoreError, LeftOutError, StorageError, StoreTooNewError
from featurestore.row_index import index_bytes, index_key
from featurestore.segments import brief, segment_of
from featurestore.shards.reader import decode_rows, read_object
from featurestore.shards.record import ShardRecord, data_key, record_key, row_checksum
from featurestore.signal.arrays import LARGEST_MAX_SECONDS, is_finite
from featurestore.specs.row_spec import CPU
from featurestore.storage.folder_lock import MARK
from featurestore.storage.protocol import INDEX, KEY, Buffer
from featurestore.store import Store
from featurestore.tables import Table

if TYPE_CHECKING:
    from featurestore.row_engine import Engine

FOREIGN = "a foreign file: no part of a store"


@dataclass
class Findings:
    """What a verification saw."""

    shards: int = 0
    rows: int = 0
    damaged: list[tuple[str, str]] = field(default_factory=list)
    """(object, reason), sorted by object."""
    present: set[str] = field(default_factory=set, repr=False)
    """Objects that others need and that are there: what many datasets need is looked for once."""


def verify(
    store: Store, dataset: str | None = None, progress: Callable[[int, int | None], None] | None = None
) -> Findings:
    """Check every object of a store, or those of one dataset.

    A shard is a pure function of its rows: each row is compared with its checksum, and the rows encoded again must
    give the stored bytes, so that no flipped bit can hide in padding or index.

    Parameters
    ----------
    store : Store
        What to check.
    dataset : str, optional
        Name or digest prefix; only its records, shards and sources are checked.
    progress : callable, optional
        Is told how many objects have been checked, and of how many; they are counted first.

    Raises
    ------
    UnknownNameError
        If the dataset does not exist.
    StorageError
        If the place is no store, or may not be read: that is no damage, and no soundness either.
    """
    store.require(dataset)
    store = Store(store.storage.fresh())  # what was read before may have changed since
    findings = Findings()
    total = None if progress is None else sum(1 for _ in _keys(store, dataset, Findings()))
    for done, key in enumerate(_keys(store, dataset, findings), start=1):
        try:
            _check(store, key, findings)
        except DamagedObjectError as error:
            findings.damaged.append((error.key, error.reason))
        except FeatureStoreError as error:
            if isinstance(error, StorageError) and not isinstance(error, StoreTooNewError):
                raise
            findings.damaged.append((key, str(error)))
        if progress is not None:
            progress(done, total)
    findings.damaged = sorted(dict(reversed(findings.damaged)).items())  # the first reason for each object
    return findings


def _keys(store: Store, dataset: str | None, findings: Findings) -> Iterator[str]:
    """Yield the keys of all objects, or of what a dataset consists of; a record that cannot be read is a finding."""
    if dataset is None:
        return (key for key, _ in store.storage.walk())
    return _dataset_keys(store, dataset, findings)


def _dataset_keys(store: Store, name: str, findings: Findings) -> Iterator[str]:
    """Yield the keys of what a dataset consists of; a record that cannot be read is a finding."""
    try:
        reference = store.reference(name)
        record = store.dataset(reference.dataset)
        table = store.table(reference.table)
    except DamagedObjectError as error:
        findings.damaged.append((error.key, error.reason))
        return
    yield f"refs/datasets/{record.id}.json"
    yield record.key
    if store.storage.exists(index_key(record.id)):
        yield index_key(record.id)
    yield table.key
    for address in record.addresses:
        yield record_key(address)
    for content in () if SOURCES in store.lacks(record.id) else record.originals:
        yield f"sources/{content}"


def _check(store: Store, key: str, findings: Findings) -> None:
    """Check one object; `DamagedObjectError` if it does not match its key."""
    if not KEY.fullmatch(key):
        raise DamagedObjectError(key, FOREIGN)
    match key.split("/"):
        case ["shards", spec, name, *_]:
            address = f"shards/{spec}/{name}"
            if key == record_key(address):
                record = check_shard(store, address)
                findings.shards += 1
                findings.rows += record.rows
            elif not store.storage.exists(record_key(address)):
                raise DamagedObjectError(key, "data without a record: an interrupted write or a lost record")
        case ["datasets", _]:
            _check_dataset(store, key, findings.present)
        case ["indexes", name]:
            _check_index(store, key, name.removesuffix(".npy"))
        case ["tables", _]:
            Table.from_bytes(key, store.storage.get(key))
        case ["sources", content]:
            store.original(content)
        case ["listings", name]:
            store.listing(name.removesuffix(".json"))
        case ["rejects", *_]:
            _check_reject(store, key)
        case ["refs", "corpora", name]:
            listing = store.corpus(name.removesuffix(".json")).listing
            _check_exist(store, [listing_key(listing)], key, findings.present)
            contents = {file.content for file in store.listing(listing)}
            _check_exist(store, (f"sources/{content}" for content in sorted(contents)), key, findings.present)
        case ["refs", *_]:
            _check_reference(store, key, findings.present)
        case ["cards", *_]:
            check_card(key, store.storage.get(key))
        case [index] if index == INDEX:  # of what stood when a dataset was last pushed: it may be behind
            unsealed(key, store.storage.get(key))
        case _:  # the marker, which is all that the grammar of keys leaves
            if store.storage.get(key) != MARK:
                raise DamagedObjectError(key, "it does not mark a store")


def check_shard(store: Store, address: str) -> ShardRecord:
    """Check record and data of one shard completely and return the record; `DamagedObjectError` says what is wrong."""
    return sound_shard(store, address)[0]


def sound_shard(store: Store, address: str) -> tuple[ShardRecord, Buffer]:
    """Return record and data of one shard, checked completely; `DamagedObjectError` says what is wrong."""
    record = ShardRecord.from_bytes(address, store.storage.get(record_key(address)))
    key = data_key(address)
    data = read_object(record, store.storage)
    rows = decode_rows(record, data)
    for (content, copy), row, checksum in zip(record.row_keys(), rows, record.checksums, strict=True):
        if row_checksum(row) != checksum:
            raise DamagedObjectError(key, f"row {brief(content)}/{copy} does not match its checksum")
        if not is_finite(row):
            raise DamagedObjectError(key, f"row {brief(content)}/{copy} holds numbers that did not fit {row.dtype}")
    if not np.array_equal(record.layout.encode(rows), data):
        raise DamagedObjectError(key, "bytes beside the rows have changed")
    return record, data


def _check_dataset(store: Store, key: str, present: set[str]) -> None:
    """Check a dataset record: its shards and originals are there and hold its rows with its digest."""
    record = DatasetRecord.from_bytes(key, store.storage.get(key))
    for address in record.addresses:
        if not store.has_shard(address):
            raise DamagedObjectError(address, f"missing, and dataset {record.id[:12]} needs it")
    if SOURCES not in store.lacks(record.id):
        _check_exist(store, (f"sources/{content}" for content in record.originals), key, present)
    try:
        found = dataset_digest(record.parts, [store.record(address) for address in record.addresses])
    except DamagedObjectError as error:
        if error.key.startswith("shards/"):
            return  # reported as its own object
        raise DamagedObjectError(key, error.reason) from error
    if found != record.digest:
        raise DamagedObjectError(key, "its shards hold rows of another digest")


def _check_index(store: Store, key: str, dataset: str) -> None:
    """Check that an index agrees with the records of the dataset's shards on each row."""
    data = store.storage.get(key)
    try:
        found = index_bytes(store.index(store.dataset(dataset)))
    except FeatureStoreError:
        return  # reported as its own object
    if found != data:
        raise DamagedObjectError(key, "it differs from the records of its shards")


def _check_reject(store: Store, key: str) -> None:
    """Check a note on a rejected recording: its seal, and that its key has its own spec and content."""
    data = store.storage.get(key)
    with reading(key, "a note on a rejected recording"):
        body = parsed(data)
        seal = body.pop("seal")
        sound = key == f"rejects/{body['spec']}/{body['content']}.json" and isinstance(body["reason"], str)
        sound = sound and seal == digest(body) and data == sealed(body)
    if not sound:
        raise DamagedObjectError(key, "its seal does not match")


def _check_reference(store: Store, key: str, present: set[str]) -> None:
    """Check a dataset's name: it has its own key, and what it names exists."""
    reference = Reference.from_bytes(key, store.storage.get(key))
    table = f"tables/{reference.table}.json"
    _check_exist(store, (f"datasets/{reference.dataset}.json", table, reference.root), key, present)
    corpus = ""
    with suppress(FeatureStoreError):  # a damaged table is reported as its own object
        corpus = store.table(reference.table).corpus
    if corpus and reference.corpus not in ("", corpus):
        raise DamagedObjectError(key, f"it says {reference.corpus!r}, and its table {corpus!r}")
    corpora = corpora_of(corpus) if corpus and LISTING not in store.lacks(reference.dataset) else ()
    _check_exist(store, (f"refs/corpora/{corpus}.json" for corpus in corpora), key, present)
    if not store.storage.exists(reference.key):
        nameless = True
        with suppress(FeatureStoreError):  # likewise
            nameless = store.dataset(reference.dataset).digest[:CALLED] == reference.name
        if not nameless:
            raise DamagedObjectError(reference.key, f"missing, and {key} needs it")


def _check_exist(store: Store, targets: Iterable[str], key: str, present: set[str]) -> None:
    """Check that what an object needs is there, and remember it as present."""
    for target in targets:
        if target not in present and not store.storage.exists(target):
            raise DamagedObjectError(target, f"missing, and {key} needs it")
        present.add(target)


@dataclass(frozen=True)
class Drift:
    """What computing rows again has shown."""

    recomputed: int
    """Rows that were computed again."""
    skipped: int
    """Sampled rows of other versions of the operations or libraries, or without their originals here."""
    drifted: tuple[tuple[str, str], ...]
    """(row, reason) of those that came out differently."""


def recompute(
    store: Store, rows: int, dataset: str | None = None, open_engine: Callable[..., Engine] | None = None
) -> Drift:
    """Compute a sample of stored rows from their originals, to see whether this installation still gives their bits.

    The sample are the rows whose keys have the smallest sha256: spread evenly over the store, and the same each time.

    Parameters
    ----------
    store : Store
    rows : int
        Size of the sample.
    dataset : str, optional
        Name or digest prefix; only shards of this dataset are sampled.
    open_engine : callable, optional
        Gives an engine for the rows of any spec, with `recordings` as `pipelines.workers.engines.open_engine` takes
        them; without it only those of the processor's own engine are computed.

    Raises
    ------
    LeftOutError
        If the dataset was copied without its originals.
    """
    from featurestore.row_engine import RowEngine  # not above: repair verifies without kernels

    if dataset is not None and SOURCES in store.lacks(store.reference(dataset).dataset):
        raise LeftOutError(store.uri)
    sample = sorted(
        ((record.spec.id, content, copy, record) for _, content, copy, record in _sample(store, rows, dataset)),
        key=lambda row: row[:3],
    )
    recomputed, skipped, drifted = 0, 0, []
    for _, group in groupby(sample, key=lambda row: row[0]):
        chosen = list(group)
        spec = chosen[0][3].spec
        if not spec.computable or (open_engine is None and spec.engine != CPU):
            skipped += len(chosen)
            continue
        if open_engine is None:
            engine: Engine = RowEngine(spec.features, spec.augmentation, store.original)
        else:
            engine = open_engine(spec, recordings=store.original)
        for _, content, copy, record in chosen:
            try:
                reason = _difference(store, engine, record, content, copy)
            except LeftOutError:
                skipped += 1
                continue
            recomputed += 1
            if reason:
                drifted.append((f"{record.address} {brief(content)}/{copy}", reason))
    return Drift(recomputed, skipped, tuple(drifted))


def _sample(store: Store, rows: int, dataset: str | None) -> list[tuple[str, str, int, ShardRecord]]:
    """Return (sha256 of the key, content, copy, record) of the rows with the smallest sha256."""
    if dataset is None:
        children = store.storage.children
        addresses = [f"shards/{spec}/{name}" for spec in children("shards") for name in children(f"shards/{spec}")]
        addresses = [address for address in addresses if store.storage.exists(record_key(address))]
    else:
        addresses = list(store.dataset(store.reference(dataset).dataset).addresses)

    def keys() -> Iterator[tuple[str, str, int, ShardRecord]]:
        """Yield the sha256 of each row's key, and the row."""
        for address in addresses:
            with suppress(FeatureStoreError):  # what verify reports
                record = store.record(address)
                for content, copy in record.row_keys():
                    key = hashlib.sha256(f"{address}/{content}/{copy}".encode("ascii")).hexdigest()
                    yield key, content, copy, record

    return heapq.nsmallest(rows, keys())


def _difference(store: Store, engine: Engine, record: ShardRecord, content: str, copy: int) -> str:
    """Compute one row; return what is different and what most likely changed, or nothing."""
    augmentation = record.spec.augmentation
    try:
        recording = engine.load(store.original(content), segment_of(content), LARGEST_MAX_SECONDS)
        drawn = None if augmentation is None else engine.draw_perturbation(recording, content, copy).perturbation
        (row,) = engine.rows([(recording, drawn)])
    except LeftOutError:
        raise
    except FeatureStoreError as error:
        return str(error)
    if row_checksum(row) == record.checksums[record.row_index(content, copy)]:
        return ""
    named = [record.spec.features.function, *(one.function for one in (augmentation.own if augmentation else ()))]
    functions = " or ".join(name for name in named if name)  # whose code no address knows
    changed = f"{functions} may have changed without a new version" if functions else ""
    return f"computed again, it has other bits: {changed or 'another processor or GPU, or a library that changed'}"
