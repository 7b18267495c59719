"""Computing a sample of stored rows once more, to see whether this installation still gives their bits."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from featurestore.errors import FeatureStoreError
from featurestore.rows.engine import Engine, RowEngine
from featurestore.segments import brief, segment_of
from featurestore.shards.record import ShardRecord, record_key, row_checksum
from featurestore.signal.arrays import MOST_SECONDS
from featurestore.specs.row_spec import RowSpec
from featurestore.specs.versions import CPU
from featurestore.store import Store


@dataclass(frozen=True)
class Drift:
    """What computing rows again has shown."""

    recomputed: int
    """Rows that were computed again."""
    skipped: int
    """Sampled rows of other versions of the operations or libraries, which are not computed here."""
    drifted: tuple[tuple[str, str], ...]
    """(row, reason) of those that came out differently."""


def recompute(
    store: Store, rows: int, dataset: str | None = None, open_engine: Callable[..., Engine] | None = None
) -> Drift:
    """Compute a sample of rows from their originals and compare checksums.

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
    """
    sample = heapq.nsmallest(rows, _all_rows(store, dataset))
    by_spec = sorted(((record.spec.id, content, copy, record) for _, content, copy, record in sample), key=_key)
    recomputed, skipped, drifted = 0, 0, []
    for _, group in groupby(by_spec, key=lambda row: row[0]):
        chosen = list(group)
        spec = chosen[0][3].spec
        if not spec.computable or (open_engine is None and spec.engine != CPU):
            skipped += len(chosen)
            continue
        engine = (open_engine or _own_engine)(spec, recordings=store.source)
        for _, content, copy, record in chosen:
            recomputed += 1
            reason = _difference(store, engine, record, content, copy)
            if reason:
                drifted.append((f"{record.address} {brief(content)}/{copy}", reason))
    return Drift(recomputed, skipped, tuple(drifted))


def _own_engine(spec: RowSpec, recordings: Callable[[str], bytes]) -> Engine:
    return RowEngine(spec.features, spec.augmentation, recordings)


def _key(row: tuple[str, str, int, ShardRecord]) -> tuple[str, str, int]:
    return row[:3]


def _all_rows(store: Store, dataset: str | None) -> Iterator[tuple[str, str, int, ShardRecord]]:
    for address in _addresses(store, dataset):
        try:
            record = store.record(address)
        except FeatureStoreError:  # what verify reports
            continue
        for content, copy in record.row_keys():
            yield hashlib.sha256(f"{address}/{content}/{copy}".encode("ascii")).hexdigest(), content, copy, record


def _addresses(store: Store, dataset: str | None) -> Iterator[str]:
    if dataset is not None:
        yield from store.dataset(store.reference(dataset).dataset).addresses
        return
    for spec in store.storage.children("shards"):
        for name in store.storage.children(f"shards/{spec}"):
            if store.storage.exists(record_key(f"shards/{spec}/{name}")):
                yield f"shards/{spec}/{name}"


def _difference(store: Store, engine: Engine, record: ShardRecord, content: str, copy: int) -> str:
    """Compute one row; return what is different, or nothing."""
    augmentation = record.spec.augmentation
    try:
        source = engine.load(store.source(content), segment_of(content), MOST_SECONDS)
        row = engine.rows([(source, None if augmentation is None else engine.drawn(source, content, copy)[0])])[0]
    except FeatureStoreError as error:
        return str(error)
    same = row_checksum(row) == record.checksums[record.row_index(content, copy)]
    return "" if same else f"computed again, it has other bits: {_suspected(record.spec)}"


def _suspected(spec: RowSpec) -> str:
    """Say what most likely made rows differ: a function of the user's, if there is one; no address has its code."""
    named = [spec.features.function, *(one.function for one in (spec.augmentation.own if spec.augmentation else ()))]
    functions = [name for name in named if name]
    if functions:
        return f"{' or '.join(functions)} may have changed without a new version"
    return "another processor or GPU, or a library that changed"
