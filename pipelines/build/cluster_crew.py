"""The workers of a Dask cluster as a crew, each checked before it gets work; they may come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from featurestore.trusted_code import trusted_function
from pipelines.build.report import BuildProgress, now_and_then
from pipelines.build.tasks import Bundle, Receipt, UnfitWorkerError, refuse_other_versions, run_bundle
from pipelines.workers.cluster import GONE, SchedulerLostError
from pipelines.workers.local_workers import WorkerDiedError

if TYPE_CHECKING:
    from distributed import Client, Future

STORE_PATIENCE = 5.0
"""Seconds within which a network file system shows a worker what the client has just written."""
WORKER_PATIENCE = 120.0
"""Seconds within which a worker has to join if there is none."""
ANSWER_PATIENCE = 30.0
"""Seconds within which a scheduler has to answer."""
WINDOW = 2
"""Bundles in flight for each thread of a worker: one that is computed, and one that lies ready."""
MOST_THREADS = 1024
"""Maximum bundles in flight; a local thread waits for each."""
LOOK = 1.0
"""Seconds between looks at which workers are there."""
TASK_LOOK = 5.0
"""Seconds between looks at whether the workers that a bundle was given to are still there."""
QUIET = 30.0
"""Seconds without a finished bundle after which that is reported."""


class Refusal(NamedTuple):
    """The answer of a worker that may not write the rows of a bundle."""

    worker: str
    """Its address."""
    reason: str


class ClusterCrew:
    """The workers of a cluster.

    Each new one is asked whether it computes the specs under the client's addresses and sees the heartbeat that the
    client keeps in the store. It gets work only after it has said so, and asks itself again before it writes.

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
        self._client, self._progress = client, progress
        self._storage = open_store(bundles[0].store_uri).storage
        self._specs = tuple({bundle.spec.id: bundle.spec for bundle in bundles}.values())
        self._answers: dict[str, Future | str] = {}
        """What each worker is asked, and then why it is left out, by address; empty if it may take part."""
        self._fit: dict[str, int] = {}
        """Threads of each worker that may take part, by address, as of the last look."""
        self._looked = self._empty_since = -1.0
        self._running: set[Future] = set()
        self._stopped = False
        self._next, self._looking = threading.Lock(), threading.Lock()
        """Held by the thread that waits for room for its bundle, and by the one that looks at the workers."""
        self._ended = threading.Event()
        self._last_sign = time.monotonic()
        """Time of the last finished bundle, or of the last report that none finishes."""
        self._tell = now_and_then(progress)

    def run(self, bundle: Bundle) -> Receipt:
        """Run a bundle on a worker that may take part, as soon as there is room.

        Raises
        ------
        WorkerDiedError
            If one worker after another died over it.
        BuildError
            If no worker is there for long, or none may take part.
        SchedulerLostError
            If the scheduler is gone.
        """
        from distributed import KilledWorker

        while True:
            try:
                answer = self._answer(bundle)
            except KilledWorker as error:
                raise WorkerDiedError("workers died") from error
            except FeatureStoreError:
                raise
            except Exception as error:
                if self._client.status == "running" and not _is_lost(error):
                    raise
                raise SchedulerLostError(GONE) from error
            if isinstance(answer, Receipt):
                self._last_sign = time.monotonic()
                return answer
            if isinstance(answer, Refusal):
                with self._looking:
                    self._leave_out(*answer)
                    self._fit.pop(answer.worker, None)

    def stop(self) -> None:
        """Cancel bundles in flight."""
        self._stopped = True
        self._ended.set()
        with suppress(Exception):  # a scheduler that is gone has let go of it
            self._client.cancel(list(self._running), force=True)

    def _answer(self, bundle: Bundle) -> Receipt | Refusal | None:
        """Have a bundle run once; None if all workers that it was given to have left."""
        future, workers = self._submit(bundle)
        try:
            while True:
                try:
                    answer: Receipt | Refusal = future.result(timeout=TASK_LOOK)
                except TimeoutError:
                    if future.status == "error":
                        raise  # of the task; one that has ended well may be on its way
                else:
                    return answer
                if not workers & self._look().keys():
                    return None
                self._report_quiet()
        finally:
            self._running.discard(future)
            self._ended.set()

    def _submit(self, bundle: Bundle) -> tuple[Future, set[str]]:
        """Send a bundle as soon as there is room; return its future and the workers that may take it."""
        with self._next:
            while not self._stopped:
                self._ended.clear()
                fit = self._look()
                if len(self._running) < WINDOW * sum(fit.values()):
                    heartbeat = self._storage.heartbeat()
                    future = self._client.submit(run_checked, bundle, heartbeat, pure=False, workers=list(fit))
                    self._running.add(future)
                    return future, set(fit)
                self._ended.wait(LOOK)  # in which workers may join
        raise BuildError("the build has ended: run the same command again to continue.")

    def _report_quiet(self) -> None:
        if time.monotonic() - self._last_sign >= QUIET:
            self._last_sign = time.monotonic()
            self._progress.tell(
                f"no task has finished for {QUIET:.0f} s; {len(self._fit)} workers are running, which compile what "
                "they need before their first"
            )

    def _look(self) -> dict[str, int]:
        """Ask workers that have joined, and return the threads of those that may work, by address.

        `BuildError` if there has been none for too long, or none of them may.
        """
        with self._looking:
            if time.monotonic() - self._looked < LOOK:
                return self._fit
            there = {address: worker["nthreads"] for address, worker in self._identity()["workers"].items()}
            for address in self._answers.keys() - there.keys():
                del self._answers[address]
            for address in there.keys() - self._answers.keys():
                question = (self._specs, self._storage.uri, self._storage.heartbeat())
                self._answers[address] = self._client.submit(
                    fault_of_worker, *question, workers=[address], pure=False, priority=1
                )
            for address, answer in list(self._answers.items()):
                if not isinstance(answer, str) and answer.done():
                    reason = _reason(answer)
                    if reason is None:
                        del self._answers[address]
                        there.pop(address)
                    else:
                        self._leave_out(address, reason)
            self._fit = {address: count for address, count in there.items() if self._answers[address] == ""}
            self._looked = time.monotonic()
            self._await_workers(there)
            return self._fit

    def _leave_out(self, worker: str, reason: str) -> None:
        """Note why a worker is left out, and say so; an empty reason lets it in."""
        known = self._answers.get(worker) == reason
        self._answers[worker] = reason
        if reason and not known:
            self._progress.tell(f"worker {worker} is left out: {reason}")

    def _await_workers(self, there: dict[str, int]) -> None:
        """Report that no worker is there, has answered yet, or may work; end the build if that does not change."""
        faults = [address for address in there if self._answers[address] and isinstance(self._answers[address], str)]
        if there and len(faults) == len(there):
            raise BuildError(f"no worker can take part; {faults[0]}: {self._answers[faults[0]]}.")
        if self._fit:
            self._empty_since = -1.0
            return
        if self._empty_since < 0:
            self._empty_since = self._looked
        state = f"none of {len(there)} workers has answered yet" if there else "the scheduler has no workers"
        if self._looked - self._empty_since >= WORKER_PATIENCE:
            raise BuildError(
                f"{state}, and that did not change within {WORKER_PATIENCE:.0f} s: start workers, then run the same "
                "command again to continue."
            )
        self._tell(f"waiting for workers: {state}")

    def _identity(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return what the scheduler says of itself and its workers."""
        if self._client.status != "running" or self._client.scheduler is None:
            raise SchedulerLostError(GONE)
        identity = self._client.scheduler.identity
        try:
            found: dict[str, dict[str, dict[str, int]]] = self._client.sync(
                identity, n_workers=-1, callback_timeout=ANSWER_PATIENCE
            )
        except (OSError, TimeoutError) as error:
            raise SchedulerLostError(GONE) from error
        return found


def _is_lost(error: Exception) -> bool:
    """Tell whether an error says that scheduler or worker have let go of what they were asked."""
    from distributed import CancelledError
    from distributed.comm import CommClosedError

    return isinstance(error, (CancelledError, CommClosedError))


def _reason(answer: Future) -> str | None:
    """Return what a worker has answered, or why it cannot; None if the answer was lost on its way."""
    try:
        found: str = answer.result(timeout=LOOK)
    except Exception as error:
        if _is_lost(error) or answer.status != "error":
            return None
        cause = error.__cause__ or error
        return f"it cannot run this version of featurestore ({type(cause).__name__}: {cause!s:.200})"
    return found


def run_checked(bundle: Bundle, heartbeat: str) -> Receipt | Refusal:
    """Run a bundle on a Dask worker, unless it turns out that it may not write its rows."""
    from distributed import get_worker

    try:
        return run_bundle(bundle, before_commit=lambda: _refuse_other_store(bundle.store_uri, heartbeat))
    except UnfitWorkerError as error:
        return Refusal(get_worker().address, str(error).rstrip("."))


def fault_of_worker(specs: tuple[RowSpec, ...], store_uri: str, heartbeat: str) -> str:
    """Say why this worker may not take part in a build; an empty text if it may."""
    try:
        for spec in specs:
            refuse_other_versions(spec)
            for function in spec.functions:
                trusted_function(function)
        _refuse_other_store(store_uri, heartbeat)
    except FeatureStoreError as error:
        return str(error).rstrip(".")
    return ""


def _refuse_other_store(store_uri: str, heartbeat: str) -> None:
    """Raise `UnfitWorkerError` unless the client's heartbeat is in what this worker finds at a URI."""
    storage = open_store(store_uri).storage
    until = time.monotonic() + STORE_PATIENCE
    while not storage.has_heartbeat(heartbeat):
        if time.monotonic() > until:
            raise UnfitWorkerError(f"what it finds at {store_uri} is not the store that this build writes.")
        time.sleep(0.1)
