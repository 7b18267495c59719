"""Dispatch of bundles to a crew that computes them: local worker processes, a cluster's workers, or a device.

Dask's threaded scheduler hands them out; each of its threads waits for one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.segments import segment_of
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store, open_store
from pipelines.build.rejects import remember_reject
from pipelines.build.report import BuildProgress
from pipelines.build.tasks import Bundle, Receipt, run_bundle
from pipelines.workers.engines import lent_engine, open_engine
from pipelines.workers.local_workers import LocalWorkers, WorkerDiedError

MOST_DEATHS = 3
"""Workers that may die over a bundle; the system may have killed the first because of another program."""
REASON = "it crashes the process that reads it."
PROBE_PATIENCE = 120.0
"""Seconds allowed per recording when searching for the one that kills workers."""


@dataclass
class BundleCounts:
    """Counts of what the tasks of a build have done so far."""

    computed: int = 0
    copied: int = 0
    bytes_written: int = 0
    written: set[str] = field(default_factory=set)
    """Addresses of shards."""
    rejected: list[tuple[RowSpec, str, str]] = field(default_factory=list)
    long: list[tuple[RowSpec, str, float]] = field(default_factory=list)
    leased: list[str] = field(default_factory=list)
    """Shards that other builders were writing."""

    def add(self, bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished task."""
        self.computed += receipt.computed
        self.copied += receipt.copied
        self.bytes_written += receipt.bytes_written
        self.written.update(receipt.written)
        self.leased.extend(receipt.leased)
        self.rejected.extend((bundle.spec, content, reason) for content, reason in receipt.rejected)
        self.long.extend((bundle.spec, content, seconds) for content, seconds in receipt.long)


class Crew(Protocol):
    """What computes bundles."""

    threads: int
    """Bundles that can be in flight at a time."""

    def run(self, bundle: Bundle) -> Receipt:
        """Have one bundle computed; `WorkerDiedError` if the worker died over it."""

    def stop(self) -> None:
        """Abandon bundles in flight, so that no thread waits for them."""


def run_bundles(crew: Crew, bundles: Sequence[Bundle], progress: BuildProgress, counts: BundleCounts) -> None:
    """Have bundles computed in their order, as many at a time as the crew can.

    Once workers have died over one, those that wait are left for the next round of the build.

    Raises
    ------
    BuildError
        If a bundle kills its workers but no single recording of it does, or no workers are left.
    """
    from dask import threaded

    waiting, deadly, lock = iter(bundles), list[Bundle](), threading.Lock()

    def note(bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished bundle."""
        counts.add(bundle, receipt)
        progress.advance(receipt.computed + receipt.copied)

    def run_next() -> None:
        """Run the next waiting bundle: in the given order, whichever task Dask takes first."""
        with lock:
            bundle = None if deadly else next(waiting, None)
        if bundle is None:
            return
        try:
            receipt = crew.run(bundle)
        except WorkerDiedError:
            with lock:
                deadly.append(bundle)
            return
        with lock:
            note(bundle, receipt)

    threads = min(crew.threads, len(bundles))
    tasks = {f"bundle-{number}": (run_next,) for number in range(len(bundles))}
    storage = open_store(bundles[0].store_uri).storage
    with storage.hold(exclusive=False), ThreadPoolExecutor(threads, "bundles") as pool:
        try:
            threaded.get(tasks, list(tasks), pool=pool, num_workers=threads)
        except BaseException:
            crew.stop()
            pool.shutdown(cancel_futures=True)
            raise
        for bundle in deadly:
            note(bundle, _without_culprits(crew, bundle))


def _without_culprits(crew: Crew, bundle: Bundle) -> Receipt:
    """Return the recordings of a deadly bundle that kill workers as rejects; if none does, run it a last time."""
    culprits = isolate_culprits(bundle)
    if culprits:
        return Receipt(rejected=culprits)
    try:
        return crew.run(bundle)
    except WorkerDiedError as error:
        raise BuildError(
            f"{2 * MOST_DEATHS} workers died over the same {bundle.rows:,} rows, and no single recording of them kills "
            "a worker: see the system log for the cause (memory?), then run the same command again to continue."
        ) from error


def isolate_culprits(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """Find the recordings of a bundle that kill the process which reads them, and record them as rejected.

    Decoders run in processes of their own (`featurestore.signal.guarded`), so this is the second line of defence, for
    crashes after decoding. It uses local processes, since a cluster may lose a worker for good.

    Returns
    -------
    tuple of (content, reason)
        Empty if no single recording does it.

    Raises
    ------
    BuildError
        If the user's own functions compute the rows: they are the likelier cause, and recordings recorded as rejected
        would stay rejected after the functions are fixed.
    """
    functions = bundle.spec.functions
    if functions:
        raise BuildError(
            f"workers die over {bundle.rows:,} rows from {' and '.join(functions)}, which may end or crash its "
            "process (os._exit, memory?): fix it, then run the same command again; no recording was rejected."
        )
    culprits = []
    probes = LocalWorkers()
    try:
        for content in bundle.members:
            try:
                probes.ask(_probe, bundle, content, patience=PROBE_PATIENCE)
            except WorkerDiedError:
                remember_reject(open_store(bundle.store_uri), bundle.spec, content, REASON)
                culprits.append((content, REASON))
    finally:
        probes.end()
    return tuple(culprits)


def _probe(bundle: Bundle, content: str) -> None:
    """Load a recording and compute a row from it, in a process that may die doing so."""
    # One that is merely bad is rejected by the task itself.
    with suppress(FeatureStoreError), lent_engine(bundle.spec, bundle.store_uri) as engine:
        original = open_store(bundle.store_uri).original(content)
        engine.rows([(engine.load(original, segment_of(content), bundle.max_seconds), None)])


class LocalCrew:
    """Local worker processes."""

    def __init__(self, workers: LocalWorkers, jobs: int, progress: BuildProgress) -> None:
        self.threads = jobs
        self.stop = workers.end
        self._workers, self._progress = workers, progress

    def run(self, bundle: Bundle) -> Receipt:
        """Run a bundle, on another worker if one dies over it."""
        for deaths in range(MOST_DEATHS):
            try:
                receipt: Receipt = self._workers.ask(run_bundle, bundle)
            except WorkerDiedError as death:
                if deaths + 1 == MOST_DEATHS:
                    raise
                self._progress.tell(f"{death}; another one takes over its {bundle.rows:,} rows")
            else:
                break
        return receipt


class DeviceCrew:
    """A device that computes in this process for one thread at a time, while others decode, encode and commit.

    Raises
    ------
    BuildError
        If the device is missing or, from `run`, out of memory.
    """

    def __init__(self, store: Store, specs: Sequence[RowSpec], device: str, threads: int) -> None:
        self.threads = threads
        self._store = store
        self._engines = {spec.id: open_engine(spec, device) for spec in specs}

    def run(self, bundle: Bundle) -> Receipt:
        """Run a bundle."""
        return run_bundle(bundle, store=self._store, engine=self._engines[bundle.spec.id])

    def stop(self) -> None:
        """Do nothing: a bundle takes seconds."""
