"""Bundles of shards on this machine: Dask's threaded scheduler, each of whose threads has a worker process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from featurestore.errors import BuildError
from pipelines.build.progress import Progress
from pipelines.build.tasks import Bundle, Receipt, run_bundle
from pipelines.workers.crash_isolation import isolate_culprits
from pipelines.workers.dispatch import BundleCounts
from pipelines.workers.local_workers import LocalWorkers, WorkerDiedError

MOST_DEATHS = 3
"""Workers that may die over a bundle; the system may have killed the first for what another program did."""


def run_bundles_locally(
    workers: LocalWorkers, jobs: int, bundles: Sequence[Bundle], progress: Progress, tally: BundleCounts
) -> None:
    """Run bundles, in their order, on as many worker processes as `jobs` says.

    Raises
    ------
    BuildError
        If a bundle kills its workers and no recording of it does so alone, or if no worker can be started.
    """
    from dask import threaded

    work = _Work(workers, iter(bundles), progress, tally)
    threads = min(jobs, len(bundles))
    tasks = {f"bundle-{number}": (work.run_next,) for number in range(len(bundles))}
    with ThreadPoolExecutor(threads, "workers") as pool:
        try:
            threaded.get(tasks, list(tasks), pool=pool, num_workers=threads)
        except BaseException:
            workers.end()  # so that no thread waits for its worker
            pool.shutdown(cancel_futures=True)
            raise
    for bundle in work.deadly:
        work.note(bundle, _without_culprits(workers, bundle, progress))


@dataclass
class _Work:
    """Bundles that wait, and what has become of the others."""

    workers: LocalWorkers
    waiting: Iterator[Bundle]
    progress: Progress
    tally: BundleCounts
    deadly: list[Bundle] = field(default_factory=list)
    """Bundles over which workers died."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run_next(self) -> None:
        """Run the next bundle that waits: in the given order, whichever task Dask takes first."""
        with self.lock:
            bundle = None if self.deadly else next(self.waiting, None)  # the rest is planned again
        if bundle is None:
            return
        receipt = _survived(self.workers, bundle, self.progress)
        with self.lock:
            if receipt is None:
                self.deadly.append(bundle)
            else:
                self.note(bundle, receipt)

    def note(self, bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished bundle."""
        self.tally.add(bundle, receipt)
        self.progress.advance(receipt.computed + receipt.copied)


def _survived(workers: LocalWorkers, bundle: Bundle, progress: Progress) -> Receipt | None:
    """Run a bundle; None if one worker after the other dies over it."""
    for _ in range(MOST_DEATHS):
        try:
            receipt: Receipt = workers.ask(run_bundle, bundle)
        except WorkerDiedError as death:
            progress.tell(f"{death}; another one takes over its {bundle.rows:,} rows")
            continue
        return receipt
    return None


def _without_culprits(workers: LocalWorkers, bundle: Bundle, progress: Progress) -> Receipt:
    """Return the recordings of a deadly bundle that kill workers as rejects; if none does, run it a last time."""
    culprits = isolate_culprits(bundle)
    if culprits:
        return Receipt(rejected=culprits)
    receipt = _survived(workers, bundle, progress)
    if receipt is None:
        raise BuildError(
            f"{2 * MOST_DEATHS} workers died over the same {bundle.rows:,} rows, and no recording of them kills one "
            "alone: see the system's log for what did (memory?), then run the same command again to continue."
        )
    return receipt
