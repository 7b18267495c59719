"""Bundles of shards on their way to a crew: Dask's threaded scheduler, each of whose threads has one computed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.segments import segment_of
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store, open_store
from pipelines.build.plan import BuildPlan, rows_in_a_bundle
from pipelines.build.progress import Progress
from pipelines.build.rejects import remember_reject
from pipelines.build.tasks import Bundle, Receipt, run_bundle
from pipelines.workers.engines import kept_engine, open_engine
from pipelines.workers.local_workers import LocalWorkers, WorkerDiedError

MOST_DEATHS = 3
"""Workers that may die over a bundle; the system may have killed the first for what another program did."""
REASON = "it crashes the process that reads it."
PATIENCE = 120.0
"""Seconds for one recording, when it is looked for what kills workers."""


@dataclass
class BundleCounts:
    """What the tasks of a build have done so far."""

    computed: int = 0
    copied: int = 0
    bytes_written: int = 0
    written: set[str] = field(default_factory=set)
    """Addresses of shards."""
    rejected: list[tuple[RowSpec, str, str]] = field(default_factory=list)
    long: list[tuple[RowSpec, str, float]] = field(default_factory=list)
    leased: list[str] = field(default_factory=list)
    """Shards that other builders were at."""

    def add(self, bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished task."""
        self.computed += receipt.computed
        self.copied += receipt.copied
        self.bytes_written += receipt.bytes_written
        self.written.update(receipt.written)
        self.leased.extend(receipt.leased)
        self.rejected.extend((bundle.spec, content, reason) for content, reason in receipt.rejected)
        self.long.extend((bundle.spec, content, seconds) for content, seconds in receipt.long)


def bundles_of(store: Store, plan: BuildPlan) -> list[Bundle]:
    """Put tasks with the same members together, within a bound of memory; the largest come first."""
    bundles: list[Bundle] = []
    for part in plan.parts:
        if not part.tasks:
            continue
        limit = rows_in_a_bundle(plan.corpus, part.part.spec.features, part.part.spec.augmentation)
        for members, group in groupby(part.tasks, key=lambda task: task.shard.members):
            tasks = tuple(group)
            size = max(1, limit // tasks[0].shard.rows)
            bundles.extend(
                Bundle(store.uri, part.part.spec, members, tasks[start : start + size], plan.recipe.max_seconds)
                for start in range(0, len(tasks), size)
            )
    return sorted(bundles, key=lambda bundle: -bundle.rows)


class Crew(Protocol):
    """Who computes bundles: processes of this machine, the workers of a cluster, or a device."""

    threads: int
    """Bundles that can be under way at a time."""

    def run(self, bundle: Bundle) -> Receipt:
        """Have one bundle computed; `WorkerDiedError` if the worker died over it."""

    def stop(self) -> None:
        """Let go of what is under way, so that no thread waits for it."""


class LocalCrew:
    """Worker processes of this machine."""

    def __init__(self, workers: LocalWorkers, jobs: int, progress: Progress) -> None:
        self.threads = jobs
        self.stop = workers.end
        self._workers, self._progress = workers, progress

    def run(self, bundle: Bundle) -> Receipt:
        """Run a bundle, on one worker after the other if they die over it."""
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
    """A device that computes in this process, for one thread at a time, while others decode, encode and commit.

    Raises
    ------
    BuildError
        If the device is not there, or, from `run`, out of memory.
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


def run_bundles(crew: Crew, bundles: Sequence[Bundle], progress: Progress, tally: BundleCounts) -> None:
    """Have bundles computed, in their order, as many at a time as the crew can.

    Those that wait when workers die over one are left for the next round of the build.

    Raises
    ------
    BuildError
        If a bundle kills its workers and no recording of it does so alone, or there is nobody left to compute.
    """
    from dask import threaded

    work = _Work(crew, iter(bundles), progress, tally)
    threads = min(crew.threads, len(bundles))
    tasks = {f"bundle-{number}": (work.run_next,) for number in range(len(bundles))}
    storage = open_store(bundles[0].store_uri).storage
    with storage.hold(exclusive=False), ThreadPoolExecutor(threads, "bundles") as pool:
        try:
            threaded.get(tasks, list(tasks), pool=pool, num_workers=threads)
        except BaseException:
            crew.stop()
            pool.shutdown(cancel_futures=True)
            raise
        for bundle in work.deadly:
            work.note(bundle, _without_culprits(crew, bundle))


@dataclass
class _Work:
    """Bundles that wait, and what has become of the others."""

    crew: Crew
    waiting: Iterator[Bundle]
    progress: Progress
    tally: BundleCounts
    deadly: list[Bundle] = field(default_factory=list)
    """Bundles over which workers died."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run_next(self) -> None:
        """Run the next bundle that waits: in the given order, whichever task Dask takes first."""
        with self.lock:
            bundle = None if self.deadly else next(self.waiting, None)
        if bundle is None:
            return
        try:
            receipt = self.crew.run(bundle)
        except WorkerDiedError:
            with self.lock:
                self.deadly.append(bundle)
            return
        with self.lock:
            self.note(bundle, receipt)

    def note(self, bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished bundle."""
        self.tally.add(bundle, receipt)
        self.progress.advance(receipt.computed + receipt.copied)


def _without_culprits(crew: Crew, bundle: Bundle) -> Receipt:
    """Return the recordings of a deadly bundle that kill workers as rejects; if none does, run it a last time."""
    culprits = isolate_culprits(bundle)
    if culprits:
        return Receipt(rejected=culprits)
    try:
        return crew.run(bundle)
    except WorkerDiedError as error:
        raise BuildError(
            f"{2 * MOST_DEATHS} workers died over the same {bundle.rows:,} rows, and no recording of them kills one "
            "alone: see the system's log for what did (memory?), then run the same command again to continue."
        ) from error


def isolate_culprits(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """Find the recordings of a bundle that kill the process which reads them, and remember them as rejected.

    Decoders run in processes of their own (`featurestore.signal.guarded`), so this is the second line, for what brings
    a worker down after decoding. Those of the build are left out of it, since a cluster may lose one for good.

    Returns
    -------
    tuple of (content, reason)
        Empty if no recording does it alone.

    Raises
    ------
    BuildError
        If functions of the user's own compute the rows: rather they than the recordings end the process, and a
        recording that is remembered as rejected would stay so after they are mended.
    """
    own = bundle.spec.augmentation.own if bundle.spec.augmentation else ()
    named = (bundle.spec.features.function, *(one.function for one in own))
    functions = dict.fromkeys(name for name in named if name)
    if functions:
        raise BuildError(
            f"workers die over {bundle.rows:,} rows from {' and '.join(functions)}, which may end or crash its "
            "process (os._exit, memory?): mend it, then run the same command again; no recording was rejected."
        )
    culprits = []
    probes = LocalWorkers()
    try:
        for content in bundle.members:
            try:
                probes.ask(_probe, bundle, content, patience=PATIENCE)
            except WorkerDiedError:
                remember_reject(open_store(bundle.store_uri), bundle.spec, content, REASON)
                culprits.append((content, REASON))
    finally:
        probes.end()
    return tuple(culprits)


def _probe(bundle: Bundle, content: str) -> None:
    """Load a recording and make a row of it, in a process that may die of it."""
    engine = kept_engine(bundle.spec, bundle.store_uri)
    with suppress(FeatureStoreError):  # one that is merely bad is rejected by the task itself
        original = open_store(bundle.store_uri).source(content)
        engine.rows([(engine.load(original, segment_of(content), bundle.max_seconds), None)])
