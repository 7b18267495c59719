"""The workers of a build: processes of this machine by default, those of a running Dask scheduler on request."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from pipelines.build.progress import Progress
from pipelines.build.tasks import Bundle, Receipt, refuse_other_versions, run_bundle
from pipelines.workers.local_workers import LocalWorkers, WorkerDiedError

if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client, Future


STORE_PATIENCE = 5.0
"""Seconds in which a network file system shows a worker what the client has just written."""


WORKER_PATIENCE = 30
"""Seconds in which a worker that died has to be back."""
WINDOW = 4
"""Bundles under way for each worker: enough to keep it busy, few enough to stop soon."""
MOST_THREADS = 512
"""Bundles under way at most, each of which a thread here waits for."""


GONE = "the Dask scheduler is gone: run the same command again to continue."


class ClusterCrew:
    """The workers of a cluster that have been asked whether they may take part; they may come and go.

    Parameters
    ----------
    client : distributed.Client
    bundles : sequence of Bundle
        All of one store.
    progress : Progress
        Is told of workers that are left out.
    """

    threads = MOST_THREADS

    def __init__(self, client: Client, bundles: Sequence[Bundle], progress: Progress) -> None:
        self._client = client
        self._storage = open_store(bundles[0].store_uri).storage
        self._specs = tuple({bundle.spec.id: bundle.spec for bundle in bundles}.values())
        self._progress = progress
        self._faults: dict[str, str] = {}
        self._running: set[Future] = set()
        self._stopped = False
        self._next = threading.Lock()
        """Of the thread that waits until there is room for its bundle."""
        self._ended = threading.Event()
        self._moment = time.monotonic()
        """When a bundle ended, or it was told that none does."""

    def run(self, bundle: Bundle) -> Receipt:
        """Run a bundle on a worker that may take part, as soon as there is room.

        Raises
        ------
        WorkerDiedError
            If one worker after the other died over it.
        BuildError
            If all workers are gone or of other versions or see another store, or if the scheduler is gone.
        """
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            future = self._submitted(bundle)
            try:
                receipt = self._receipt(future)
            finally:
                self._running.discard(future)
                self._ended.set()
        except KilledWorker as error:
            self._await_workers()
            raise WorkerDiedError("workers died") from error
        except (CancelledError, CommClosedError) as error:
            raise BuildError(GONE) from error
        self._moment = time.monotonic()
        return receipt

    def stop(self) -> None:
        """Cancel what is under way."""
        self._stopped = True
        self._ended.set()
        with suppress(Exception):  # a scheduler that is gone has let go of it
            self._client.cancel(list(self._running), force=True)

    def _submitted(self, bundle: Bundle) -> Future:
        with self._next:
            while not self._stopped:
                self._ended.clear()
                fit, all_fit = self._fit()
                if len(self._running) < WINDOW * max(1, len(fit)):
                    break
                self._ended.wait(1)  # in which workers may join
            if self._stopped:
                raise BuildError("the build has ended: run the same command again to continue.")
            future = self._client.submit(_task, bundle, pure=False, workers=None if all_fit else fit)
            self._running.add(future)
            return future

    def _receipt(self, future: Future) -> Receipt:
        """Wait until a bundle has ended; give up if all workers are gone and none comes back."""
        while True:
            try:
                receipt: Receipt = future.result(timeout=WORKER_PATIENCE)
            except TimeoutError:
                if future.done():
                    raise  # of the task
                self._await_workers()  # while there are workers, a bundle may take its time
                if time.monotonic() - self._moment >= WORKER_PATIENCE:
                    self._moment = time.monotonic()
                    self._progress.tell(
                        f"no task has finished for {WORKER_PATIENCE} s; {len(self._fit()[0])} workers are running"
                    )
            else:
                return receipt

    def _await_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WORKER_PATIENCE)
        except TimeoutError as error:
            raise BuildError(
                f"all workers are gone and none came back within {WORKER_PATIENCE} s: "
                "run the same command again to continue."
            ) from error

    def _fit(self) -> tuple[list[str], bool]:
        """Ask workers that have joined; return the addresses of those that may work, and whether all may.

        Raises
        ------
        BuildError
            If none of those that are there may.
        """
        identity = self._client.scheduler_info(n_workers=-1)
        if "workers" not in identity:
            raise BuildError(GONE)
        there = list(identity["workers"])
        new = [worker for worker in there if worker not in self._faults]
        question = (self._specs, self._storage.uri, self._storage.sign())
        answers = self._client.run(fault_of_worker, *question, workers=new, on_error="return") if new else {}
        for worker in new:
            answer = answers.get(worker, "")
            self._faults[worker] = answer if isinstance(answer, str) else f"it does not answer ({answer!r:.200})"
            if self._faults[worker]:
                self._progress.tell(f"worker {worker} is left out: {self._faults[worker]}")
        fit = [worker for worker in there if not self._faults[worker]]
        if there and not fit:
            raise BuildError(f"no worker can take part; {there[0]}: {self._faults[there[0]]}.")
        return fit, len(fit) == len(there)


def _task(bundle: Bundle) -> Receipt:
    """Run a bundle on a Dask worker, which computes the next one while this one is written."""
    from distributed import secede

    return run_bundle(bundle, before_commit=secede)


def fault_of_worker(specs: tuple[RowSpec, ...], store_uri: str, sign: str) -> str:
    """Say why this worker may not take part in a build; an empty text if it may."""
    try:
        for spec in specs:
            refuse_other_versions(spec)
        storage = open_store(store_uri).storage
        until = time.monotonic() + STORE_PATIENCE
        while not storage.shows(sign):
            if time.monotonic() > until:
                return f"what it finds at {store_uri} is not the store that this build writes"
            time.sleep(0.1)
    except FeatureStoreError as error:
        return str(error).rstrip(".")
    return ""


LOOPBACK = ("127.0.0.1", "localhost", "::1")

SETTINGS = {"distributed.admin.tick.limit": "1h", "distributed.comm.retry.count": 2}


def available_cores() -> int:
    """Return the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """The workers of a build: local processes with one thread each, or those of a running scheduler.

    Local ones take a second to import and load what they need. `start` and `prepare` let that happen in the background,
    while the corpus is still being read. As a context it ends them.

    Parameters
    ----------
    jobs : int or None
        Local worker processes; None is one for each core.
    scheduler : str or None
        Address of a running Dask scheduler, in place of local processes.
    """

    def __init__(self, jobs: int | None = None, scheduler: str | None = None) -> None:
        self.jobs = jobs or available_cores()
        self.scheduler = scheduler
        self._opened = ExitStack()
        self._local: LocalWorkers | None = None
        self._client: Client | None = None
        self._importing: threading.Thread | None = None

    def start(self) -> None:
        """Start the process that local workers are forked from, which imports what all of them need."""
        if self._local is None and self.scheduler is None:
            self._local = LocalWorkers()

    def prepare(self, task: Callable[[], None]) -> None:
        """Let local workers find a task done, such as loading compiled code; only the first call counts."""
        self.start()
        if self._local is None:
            return
        self._local.prepare(task)
        if self._importing is None:
            self._importing = threading.Thread(target=_import_dask, name="importing dask")
            self._importing.start()

    def local(self) -> LocalWorkers:
        """Return the local workers; they start if they have not been started."""
        self.start()
        if self._local is None:
            raise BuildError(f"the workers are those of {self.scheduler!r}: leave --scheduler out for local ones.")
        return self._local

    def client(self) -> Client:
        """Return a client of the running scheduler; errors as of `connect`."""
        if self.scheduler is None:
            raise BuildError("no Dask scheduler is known: give its address with --scheduler.")
        if self._client is None:
            self._client = self._opened.enter_context(connect(self.scheduler))
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._local is not None:
            self._local.end()
        if self._importing is not None:
            self._importing.join()  # an interpreter that shuts down under an import prints a traceback
        self._local = self._client = self._importing = None
        self._opened.close()


def _import_dask() -> None:
    """Import Dask's local scheduler while the main thread unpacks a corpus, which leaves it the interpreter."""
    import dask.threaded  # noqa: F401  # for whoever imports it next


@contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """Yield a client of a running scheduler.

    A Dask scheduler runs the code it is sent, so one on another machine must be reached by `tls://`.

    Raises
    ------
    BuildError
        If the scheduler cannot be reached, or must not.
    """
    check_scheduler(scheduler)
    import dask
    from distributed import Client

    with dask.config.set(SETTINGS):
        try:
            client = Client(scheduler, timeout=15)
        except (OSError, TimeoutError, ValueError) as error:
            raise BuildError(
                f"no Dask scheduler answers at {scheduler!r}: start one or leave --scheduler out."
            ) from error
        except TypeError as error:  # of tls:// without certificates
            raise BuildError(
                f"{scheduler!r} cannot be used without certificates: name them in "
                "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT and ..._TLS__CLIENT__KEY."
            ) from error
        logger = logging.getLogger("distributed.client")
        level = logger.level
        logger.setLevel(logging.CRITICAL)  # a scheduler that ends is our one line, not its traceback
        try:
            yield client
        finally:
            client.close()
            logger.setLevel(level)


def check_scheduler(address: str) -> None:
    """Refuse a scheduler on another machine without encryption, with `BuildError`."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme != "tls" and parts.hostname not in LOOPBACK:
        raise BuildError(
            f"{address!r} is on another machine without encryption: use tls://, since a scheduler runs what it is sent."
        )
