"""Dask clusters: local processes by default, one that already runs on request."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from featurestore.errors import BuildError

if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client, Future, LocalCluster

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EARLY_WORKERS = 4
"""Most local workers that start before it is known how much there is to do."""
IMPORTED_ONCE = ("distributed", "pipelines.tasks", "featurestore.rows")
"""What the process imports that local workers are forked from."""
SINGLE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
SETTINGS = {
    "distributed.admin.tick.limit": "1h",
    "distributed.worker.daemon": True,
    "distributed.worker.profile.enabled": False,  # it takes a sample of every worker each 10 ms
    "distributed.nanny.environ": SINGLE_THREAD,
    "distributed.nanny.pre-spawn-environ": {},  # these would stay behind here, and a training that follows be slow
    "distributed.comm.retry.count": 2,
}


def available_cores() -> int:
    """Return the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """The workers of a build: local processes with one thread each, or those of a running scheduler.

    Local ones take a second to start. `start` lets them do so in the background, while the corpus is still being
    read; `client` waits for them, or starts them. As a context it ends them.

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
        self._starting: threading.Thread | None = None
        self._client: Client | None = None
        self._cluster: LocalCluster | None = None
        self._failure: BaseException | None = None
        self._first: list[Future] = []

    def start(self, prepare: Callable[[], None] | None = None) -> None:
        """Start a few local workers in the background, and let each run `prepare` before its first task."""
        if self._starting is None and self._client is None and self.scheduler is None:
            self._starting = threading.Thread(target=self._start, args=(prepare,), name="starting workers")
            self._starting.start()

    def client(self, tasks: int) -> Client:
        """Return a client of as many workers as `tasks` can use.

        A Dask scheduler runs the code it is sent, so one on another machine must be reached by `tls://`.

        Raises
        ------
        BuildError
            If the scheduler cannot be reached, or must not.
        """
        wanted = max(1, min(self.jobs, tasks))
        self._wait()
        if self._client is None:
            self._open(wanted)
        elif self._cluster is not None and len(self._cluster.workers) < wanted:
            self._cluster.scale(wanted)
        if self._client is None:
            raise BuildError("the workers did not start: run the same command again.")
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(BaseException):  # a start that failed has nothing to end
            self._wait()
        if self._cluster is not None:
            _kill_workers(self._cluster)
        self._client = self._cluster = None
        self._first.clear()
        self._opened.close()

    def _start(self, prepare: Callable[[], None] | None) -> None:
        try:
            self._open(min(self.jobs, EARLY_WORKERS))
            if prepare is not None:
                self._prepare(prepare)
        except BaseException as failure:  # raised again in the thread that waits
            self._failure = failure

    def _prepare(self, prepare: Callable[[], None]) -> None:
        """Give every worker the same first task; what it raises, the next task raises again."""
        if self._client is not None:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._first = [self._client.submit(prepare, workers=[name], pure=False) for name in workers]

    def _wait(self) -> None:
        if self._starting is not None:
            self._starting.join()
            self._starting = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _open(self, count: int) -> None:
        method = _start_method() if self.scheduler is None else "spawn"
        import dask  # takes as long as the process above needs for its own imports
        from distributed import Client

        self._opened.enter_context(dask.config.set({**SETTINGS, "distributed.worker.multiprocessing-method": method}))
        if self.scheduler is not None:
            self._client = _reach(self.scheduler)
        else:
            self._cluster = self._opened.enter_context(_local(count))
            self._client = Client(self._cluster)
        self._opened.callback(self._client.close)  # not entered: a client must be left in the thread that entered it


@contextmanager
def connect(jobs: int, scheduler: str | None) -> Iterator[Client]:
    """Yield a client of `jobs` local workers or of a running scheduler; errors as of `Workers.client`."""
    with Workers(jobs, scheduler) as workers:
        yield workers.client(jobs)


def _reach(scheduler: str) -> Client:
    from distributed import Client

    check_scheduler(scheduler)
    try:
        return Client(scheduler, timeout=15)
    except (OSError, TimeoutError, ValueError) as error:
        raise BuildError(f"no Dask scheduler answers at {scheduler!r}: start one or leave --scheduler out.") from error


def _start_method() -> str:
    """Return how local workers start: forked from a process that has imported everything, where the system can.

    That process starts here, alone and without threads of its own; it ends with this one.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(IMPORTED_ONCE))
    before = {name: os.environ.get(name) for name in SINGLE_THREAD}
    os.environ.update(SINGLE_THREAD)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return "forkserver"


def _local(count: int) -> LocalCluster:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


def _kill_workers(cluster: LocalCluster) -> None:
    """Kill local workers instead of waiting for what they are at, or for their farewells.

    A kill does no harm: what a worker has committed stands, and the rest does not exist.
    """
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


def check_scheduler(address: str) -> None:
    """Refuse a scheduler on another machine without encryption, with `BuildError`."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme != "tls" and parts.hostname not in LOOPBACK:
        raise BuildError(
            f"{address!r} is on another machine without encryption: use tls://, since a scheduler runs what it is sent."
        )
