"""The workers of a Dask cluster as the crew of a build, and what each is asked before it gets work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from featurestore.store import open_store
from pipelines.build.report import BuildProgress, now_and_then
from pipelines.build.tasks import Bundle, Receipt, run_bundle
from pipelines.workers.cluster_workers import ClusterWorkers, Refusal
from pipelines.workers.fitness import UnfitWorkerError, fault_of_worker, refuse_other_store
from pipelines.workers.scheduler import AGAIN

if TYPE_CHECKING:
    from distributed import Client

WINDOW = 2
"""Bundles in flight for each thread of a worker: one that is computed, and one that lies ready."""
MOST_THREADS = 1024
"""Maximum bundles in flight; a local thread waits for each."""
QUIET = 30.0
"""Seconds without a finished bundle after which that is reported."""


class ClusterCrew:
    """The workers of a cluster.

    Each is asked whether it computes the specs under the client's addresses and sees the heartbeat that the client
    keeps in the store. It gets work only after it has said so, and asks itself again before it writes.

    Parameters
    ----------
    client : distributed.Client
    bundles : sequence of Bundle
        All of one store, which is held while they run.
    progress : BuildProgress
        Hears which workers are left out, and why.
    """

    threads = MOST_THREADS

    def __init__(self, client: Client, bundles: Sequence[Bundle], progress: BuildProgress) -> None:
        specs = tuple({bundle.spec.id: bundle.spec for bundle in bundles}.values())
        self._storage, self._progress = open_store(bundles[0].store_uri).storage, progress
        self._workers = ClusterWorkers(
            client,
            lambda: partial(fault_of_worker, specs, self._storage.uri, self._storage.heartbeat()),
            tell=progress.tell,
            wait=now_and_then(progress),
            window=WINDOW,
            go_on=AGAIN,
        )
        self._last_sign = time.monotonic()
        """Time of the last finished bundle, or of the last report that none finishes."""

    def run(self, bundle: Bundle) -> Receipt:
        """Run a bundle on a worker that may take part; errors as of `ClusterWorkers.run`."""
        receipt: Receipt = self._workers.run(run_checked, bundle, self._storage.heartbeat(), waiting=self._report_quiet)
        self._last_sign = time.monotonic()
        return receipt

    def stop(self) -> None:
        """Cancel bundles in flight."""
        self._workers.stop()

    def _report_quiet(self, workers: int) -> None:
        if time.monotonic() - self._last_sign >= QUIET:
            self._last_sign = time.monotonic()
            self._progress.tell(
                f"no task has finished for {QUIET:.0f} s; {workers} workers are running, which compile what they need "
                "before their first"
            )


def run_checked(bundle: Bundle, heartbeat: str) -> Receipt | Refusal:
    """Run a bundle on a Dask worker, unless it turns out that it may not write its rows."""
    from distributed import get_worker

    try:
        return run_bundle(bundle, before_commit=lambda: refuse_other_store(bundle.store_uri, heartbeat))
    except UnfitWorkerError as error:
        return Refusal(get_worker().address, str(error).rstrip("."))
