"""The workers of a build: processes of this machine by default, those of a running Dask scheduler on request."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Self

from featurestore.errors import BuildError
from pipelines.workers.local_workers import LocalWorkers
from pipelines.workers.scheduler import SchedulerLostError, check_scheduler, connect

if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client

JOBS_VARIABLE, MOST_JOBS = "FEATURESTORE_JOBS", 1024
SCHEDULER_PATIENCE = 60.0
"""Seconds within which a scheduler that was lost has to be back."""


def available_cores() -> int:
    """Return the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs() -> int:
    """Return the worker processes of builds: `FEATURESTORE_JOBS`, else one for each core.

    `BuildError` if the variable is no number from 1 to 1,024.
    """
    text = os.environ.get(JOBS_VARIABLE, "").strip()
    if not text:
        return available_cores()
    if not (text.isdecimal() and 1 <= int(text) <= MOST_JOBS):
        raise BuildError(f"{JOBS_VARIABLE} must be a number from 1 to {MOST_JOBS:,}, not {text!r}.")
    return int(text)


class Workers:
    """The workers of a build: local processes with one thread each, or those of a running scheduler.

    Local ones take a second to import and load what they need. `start` and `prepare` let that happen in the background,
    while the corpus is still being read. As a context it ends them.

    Parameters
    ----------
    jobs : int or None
        Local worker processes; None is `FEATURESTORE_JOBS`, else one for each core.
    scheduler : str or None
        Address of a running Dask scheduler, in place of local processes.
    allow_unencrypted : bool
        Use a scheduler on another machine without TLS, in a network whose every user may run code as this one.

    Raises
    ------
    BuildError
        If the scheduler is on another machine and not encrypted.
    """

    def __init__(
        self, jobs: int | None = None, scheduler: str | None = None, *, allow_unencrypted: bool = False
    ) -> None:
        if scheduler is not None:
            check_scheduler(scheduler, allow_unencrypted=allow_unencrypted)
        self.jobs = jobs or default_jobs()
        self.scheduler = scheduler
        self._allow_unencrypted = allow_unencrypted
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
            connected = connect(self.scheduler, allow_unencrypted=self._allow_unencrypted)
            self._client = self._opened.enter_context(connected)
        return self._client

    def await_scheduler(self, tell: Callable[[str], None]) -> None:
        """Wait until a scheduler that was lost is back; `SchedulerLostError` if that takes too long."""
        self._client = None
        self._opened.close()
        tell(f"the Dask scheduler at {self.scheduler} is gone; waiting up to {SCHEDULER_PATIENCE:.0f} s for it")
        until = time.monotonic() + SCHEDULER_PATIENCE
        while self._client is None:
            try:
                self.client()
            except BuildError as error:
                if time.monotonic() >= until:
                    raise SchedulerLostError from error
                time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._local is not None:
            self._local.end()
        if self._importing is not None:
            self._importing.join()  # an interpreter that shuts down under an import prints a traceback
        self._local = self._client = self._importing = None
        self._opened.close()
