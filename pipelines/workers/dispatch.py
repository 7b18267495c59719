"""Bundles of shards on a Dask cluster, a few for each worker at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING

from featurestore.errors import BuildError
from featurestore.shards.plan import ShardTask
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store, open_store
from pipelines.build.plan import BuildPlan, rows_in_a_bundle
from pipelines.build.progress import Progress
from pipelines.build.tasks import Bundle, Receipt, run_bundle
from pipelines.workers.cluster import Crew
from pipelines.workers.crash_isolation import isolate_culprits
from pipelines.workers.engines import open_engine

if TYPE_CHECKING:
    from distributed import Client, Future

WORKER_PATIENCE = 30
"""Seconds in which a worker that died has to be back."""
WINDOW = 4
"""Bundles in flight for each worker: enough to keep it busy, few enough to stop soon."""


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
            bundles.extend(
                Bundle(store.uri, part.part.spec, members, tasks, plan.recipe.max_seconds)
                for tasks in _bounded(tuple(group), limit)
            )
    return sorted(bundles, key=lambda bundle: -bundle.rows)


def _bounded(tasks: tuple[ShardTask, ...], limit: int) -> Iterator[tuple[ShardTask, ...]]:
    size = max(1, limit // tasks[0].shard.rows)
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def run_bundles(client: Client, bundles: Sequence[Bundle], progress: Progress, tally: BundleCounts) -> None:
    """Run bundles of one store on a cluster, a few for each worker at a time.

    Raises
    ------
    BuildError
        If a bundle kills its workers and no recording of it does so alone, if all workers are gone or of other
        versions or see another store, or if the scheduler is gone.
    """
    from distributed import CancelledError
    from distributed.comm import CommClosedError

    storage = open_store(bundles[0].store_uri).storage
    try:
        with storage.hold(exclusive=False):
            _run_all(client, Crew(client, bundles, storage.sign(), progress), bundles, progress, tally)
    except (CancelledError, CommClosedError) as error:
        raise BuildError("the Dask scheduler is gone: run the same command again to continue.") from error


def _run_all(client: Client, crew: Crew, bundles: Sequence[Bundle], progress: Progress, tally: BundleCounts) -> None:
    waiting = iter(bundles)
    running: dict[Future, Bundle] = {}

    def submit() -> None:
        """Send as many of the waiting bundles as there is room for, the largest first; workers may have joined."""
        fit, all_fit = crew.fit()
        room = max(0, WINDOW * max(1, len(fit)) - len(running))
        only = None if all_fit else fit
        running.update(
            {client.submit(_task, bundle, pure=False, workers=only): bundle for bundle in islice(waiting, room)}
        )

    submit()
    while running:
        for future in _finished(client, crew, running, progress):
            bundle = running.pop(future)
            receipt = _result(client, future, bundle)
            tally.add(bundle, receipt)
            progress.advance(receipt.computed + receipt.copied)
        submit()


def _finished(client: Client, crew: Crew, running: Collection[Future], progress: Progress) -> list[Future]:
    """Wait until a bundle has ended; give up if all workers are gone and none comes back."""
    from distributed import wait

    while True:
        try:
            return list(wait(list(running), timeout=WORKER_PATIENCE, return_when="FIRST_COMPLETED").done)
        except TimeoutError:  # nothing ended meanwhile, which is no fault while there are workers
            _await_workers(client)
            fit, _ = crew.fit()
            progress.tell(f"nothing has ended for {WORKER_PATIENCE} s; workers at work: {len(fit)}")


def run_bundles_here(
    store: Store, bundles: Sequence[Bundle], device: str, threads: int, progress: Progress, tally: BundleCounts
) -> None:
    """Run bundles in this process: a device computes for one thread, while others decode, encode and commit.

    Raises
    ------
    BuildError
        If the device is not there, or runs out of memory.
    """
    engines = {bundle.spec.id: open_engine(bundle.spec, device) for bundle in bundles}
    with ThreadPoolExecutor(threads, "rows") as pool:
        running = {
            pool.submit(run_bundle, bundle, store=store, engine=engines[bundle.spec.id]): bundle for bundle in bundles
        }
        try:
            for future in futures.as_completed(running):
                receipt = future.result()
                tally.add(running[future], receipt)
                progress.advance(receipt.computed + receipt.copied)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _result(client: Client, future: Future, bundle: Bundle) -> Receipt:
    """Return a task's receipt; of one whose workers died, the recordings that kill them, or an error if none does."""
    from distributed import KilledWorker

    try:
        receipt: Receipt = future.result()
    except KilledWorker as error:
        culprits = isolate_culprits(bundle)
        _await_workers(client)
        receipt = Receipt(rejected=culprits) if culprits else _again(client, bundle, error.task)
    return receipt


def _again(client: Client, bundle: Bundle, task: str) -> Receipt:
    """Run a bundle once more: it may only have waited where another one killed the worker."""
    from distributed import KilledWorker

    try:
        receipt: Receipt = client.submit(_task, bundle, pure=False).result()
    except KilledWorker as error:
        raise _lost(task) from error
    return receipt


def _await_workers(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKER_PATIENCE)
    except TimeoutError as error:
        raise BuildError(
            f"all workers are gone and none came back within {WORKER_PATIENCE} s: "
            "run the same command again to continue."
        ) from error


def _lost(task: str) -> BuildError:
    return BuildError(f"a worker died three times over the same task ({task}): run the same command again to continue.")


def _task(bundle: Bundle) -> Receipt:
    """Run a bundle on a Dask worker, which computes the next one while this one is written."""
    from distributed import secede

    return run_bundle(bundle, before_commit=secede)
