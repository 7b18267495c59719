"""The workers of a build: processes of this machine by default, those of a running Dask scheduler on request."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from pipelines.build.progress import Progress
from pipelines.build.tasks import Bundle, refuse_other_versions

if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client

    from pipelines.workers.local_workers import LocalWorkers


STORE_PATIENCE = 5.0
"""Seconds in which a network file system shows a worker what the client has just written."""


class Crew:
    """The workers that have been asked whether they may take part.

    Parameters
    ----------
    client : distributed.Client
    bundles : sequence of Bundle
        All of one store.
    sign : str
        The client's sign of life in the store.
    progress : Progress
        Is told of workers that are left out.
    """

    def __init__(self, client: Client, bundles: Sequence[Bundle], sign: str, progress: Progress) -> None:
        self._client = client
        self._question = (
            tuple({bundle.spec.id: bundle.spec for bundle in bundles}.values()),
            bundles[0].store_uri,
            sign,
        )
        self._progress = progress
        self._faults: dict[str, str] = {}

    def fit(self) -> tuple[list[str], bool]:
        """Ask workers that have joined; return the addresses of those that may work, and whether all may.

        Raises
        ------
        BuildError
            If none of those that are there may.
        """
        there = list(self._client.scheduler_info(n_workers=-1)["workers"])
        new = [worker for worker in there if worker not in self._faults]
        answers = self._client.run(fault_of_worker, *self._question, workers=new, on_error="return") if new else {}
        for worker in new:
            answer = answers.get(worker, "")
            self._faults[worker] = answer if isinstance(answer, str) else f"it cannot be asked ({answer!r:.200})"
            if self._faults[worker]:
                self._progress.tell(f"worker {worker} is left out: {self._faults[worker]}")
        fit = [worker for worker in there if not self._faults[worker]]
        if there and not fit:
            raise BuildError(f"no worker can take part; {there[0]}: {self._faults[there[0]]}.")
        return fit, len(fit) == len(there)


def fault_of_worker(specs: tuple[RowSpec, ...], store_uri: str, sign: str) -> str:
    """Say in a worker why it may not work at a build; an empty text if it may."""
    try:
        for spec in specs:
            refuse_other_versions(spec)
        storage = open_store(store_uri).storage
        until = time.monotonic() + STORE_PATIENCE
        while not storage.shows(sign):
            if time.monotonic() > until:
                return f"what stands there at {store_uri} is not the store that this build writes"
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
            from pipelines.workers.local_workers import LocalWorkers

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
