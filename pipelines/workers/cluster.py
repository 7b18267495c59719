"""The workers of a build: processes of this machine by default, those of a running Dask scheduler on request."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from featurestore.errors import BuildError
from pipelines.workers.local_workers import LocalWorkers

if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client


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
            # While the main thread unpacks a corpus, which leaves this one the interpreter.
            self._importing = threading.Thread(target=import_module, args=("dask.threaded",), name="importing dask")
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


@contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """Yield a client of a running scheduler; `BuildError` if it cannot be reached, or must not."""
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
    """Refuse a scheduler on another machine without encryption: a scheduler runs the code that it is sent."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme != "tls" and parts.hostname not in LOOPBACK:
        raise BuildError(
            f"{address!r} is on another machine without encryption: use tls://, since a scheduler runs what it is sent."
        )
