"""Bundles of shards on a Dask cluster, a few for each worker at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING

from featurestore.errors import BuildError
from featurestore.shards.plan import ShardTask
from featurestore.specs.rows import RowSpec
from featurestore.store import Store
from pipelines.estimate import rows_in_a_bundle
from pipelines.planning import BuildPlan
from pipelines.progress import Progress
from pipelines.tasks import Bundle, Receipt, run_bundle

if TYPE_CHECKING:
    from distributed import Client, Future

WINDOW = 4
"""Bundles in flight for each worker: enough to keep it busy, few enough to stop soon."""


@dataclass
class Tally:
    """What the tasks of a build have done so far."""

    computed: int = 0
    copied: int = 0
    written: int = 0
    rejected: list[tuple[RowSpec, str, str]] = field(default_factory=list)
    leased: list[str] = field(default_factory=list)
    """Shards that other builders were at."""

    def add(self, bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished task."""
        self.computed += receipt.computed
        self.copied += receipt.copied
        self.written += receipt.bytes_written
        self.leased.extend(receipt.leased)
        self.rejected.extend((bundle.spec, content, reason) for content, reason in receipt.rejected)


def bundles_of(store: Store, plan: BuildPlan) -> list[Bundle]:
    """Put tasks with the same members together, within a bound of memory; the largest come first."""
    bundles: list[Bundle] = []
    for part in plan.parts:
        for members, group in groupby(part.tasks, key=lambda task: task.shard.members):
            limit = rows_in_a_bundle(plan.corpus, part.part.spec.features)
            bundles.extend(Bundle(store.uri, part.part.spec, members, tasks) for tasks in _bounded(tuple(group), limit))
    return sorted(bundles, key=lambda bundle: -bundle.rows)


def _bounded(tasks: tuple[ShardTask, ...], limit: int) -> Iterator[tuple[ShardTask, ...]]:
    size = max(1, limit // tasks[0].shard.rows)
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def run_bundles(client: Client, bundles: Sequence[Bundle], progress: Progress, tally: Tally) -> None:
    """Run bundles on a cluster, a few for each worker at a time."""
    from distributed import as_completed

    waiting = iter(bundles)
    running: dict[Future, Bundle] = {}

    def room() -> int:
        """Return how many more bundles may be under way; workers join while others are at work already."""
        return WINDOW * max(1, len(client.scheduler_info(n_workers=-1)["workers"])) - len(running)

    def submit(count: int) -> list[Future]:
        futures = {client.submit(_task, bundle, pure=False): bundle for bundle in islice(waiting, count)}
        running.update(futures)
        return list(futures)

    finished = as_completed(submit(room()))
    for future in finished:
        bundle = running.pop(future)
        receipt = _result(future)
        tally.add(bundle, receipt)
        progress.advance(receipt.computed + receipt.copied)
        for new in submit(room()):
            finished.add(new)


def _result(future: Future) -> Receipt:
    """Return a task's receipt; a lost worker becomes an error that says how to go on."""
    from distributed import KilledWorker

    try:
        receipt: Receipt = future.result()
    except KilledWorker as error:
        raise BuildError(
            f"a worker died three times over the same task ({error.task}): run the same command again to continue."
        ) from error
    return receipt


def _task(bundle: Bundle) -> Receipt:
    """Run a bundle on a Dask worker, which computes the next one while this one is written."""
    from distributed import secede

    return run_bundle(bundle, before_commit=secede)
